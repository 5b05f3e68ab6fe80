import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { LogFiles, LOG_KEPT_BYTES, readFitting, removeLogs } from './log-files.ts';

let dir: string;
beforeEach(async () => { dir = await mkdtemp(join(tmpdir(), 'rambo-logs-')); });
afterEach(async () => { await rm(dir, { recursive: true }); });
const of = { run: 'run', node: '../../etc/passwd', item: -1, attempt: 1 };

test('pieces come together, repeated and overlapping ones change nothing', async () => {
  const logs = new LogFiles(dir);
  await Promise.all([logs.append(of, 0, 'hello '), logs.append(of, 6, 'world'), logs.append(of, 0, 'hello '), logs.append(of, 9, 'ld!')]);
  expect(await logs.read(of, 0, 1_000)).toEqual({ text: 'hello world!', next: 12 });
  expect(await logs.read(of, 6, 3)).toEqual({ text: 'wor', next: 9 });
});

test('an unknown log is empty, and names never become paths', async () => {
  const logs = new LogFiles(dir);
  expect(await logs.read(of, 5, 10)).toEqual({ text: '', next: 5 });
  await logs.append(of, 0, 'x');
  expect((await readdir(dir))).toHaveLength(1);
});

test('a read never ends within a character', async () => {
  const logs = new LogFiles(dir);
  await logs.append(of, 0, 'aé€𝄞');
  let text = '';
  let offset = 0;
  for (let i = 0; i < 10; i++) {
    const piece = await logs.read(of, offset, 4);
    text += piece.text;
    offset = piece.next;
  }
  expect(text).toBe('aé€𝄞');
});

test('whatever is asked for at once, reading on gives the whole log and never half a character', async () => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.integer({ min: 1, max: 9 }), async (written, limit) => {
    const logs = new LogFiles(await mkdtemp(join(dir, 'p-')));
    await logs.append(of, 0, written);
    let text = '';
    for (let offset = 0, last = -1; offset !== last;) {
      const piece = await logs.read(of, offset, limit);
      expect(Buffer.byteLength(piece.text)).toBeLessThanOrEqual(Math.max(limit, 4));
      text += piece.text;
      [offset, last] = [piece.next, offset];
    }
    expect(text).toBe(written);
  }), { numRuns: 60 });
});

test('an answer always fits into a message: of a log that grows as JSON less comes at once, and reading on gives all of it', async () => {
  const logs = new LogFiles(dir);
  const written = '\u0001'.repeat(300_000) + 'é'.repeat(1_000);
  await logs.append(of, 0, written);
  const first = await readFitting(logs, of, 0, 262_144);
  expect(first.next).toBe(131_072);
  let text = '';
  for (let offset = 0, last = -1; offset !== last;) {
    const piece = await readFitting(logs, of, offset, 262_144);
    expect(JSON.stringify(piece).length).toBeLessThan(1_048_576);
    text += piece.text;
    [offset, last] = [piece.next, offset];
  }
  expect(text).toBe(written);
});

test('only the last part is kept, at its true offsets', async () => {
  const logs = new LogFiles(dir);
  const piece = 'x'.repeat(65_535) + '\n';
  for (let i = 0; i < 40; i++) await logs.append(of, i * 65_536, piece);
  await logs.append(of, 40 * 65_536, 'the end');
  const head = await logs.read(of, 0, 10);
  expect(head.next).toBeGreaterThan(40 * 65_536 - 2 * LOG_KEPT_BYTES);
  const tail = await logs.read(of, 40 * 65_536, 100);
  expect(tail.text).toBe('the end');
  await removeLogs(dir, 'run');
  expect((await logs.read(of, 0, 10)).text).toBe('');
});

test('a log that begins in the middle, because its run had another owner before, keeps its offsets', async () => {
  const logs = new LogFiles(dir);
  await logs.append(of, 1_000, 'later ');
  await logs.append(of, 1_006, 'on');
  await logs.append(of, 1_000, 'later ');
  expect(await logs.read(of, 0, 100)).toEqual({ text: 'later on', next: 1_008 });
  expect(await logs.read(of, 1_006, 100)).toEqual({ text: 'on', next: 1_008 });
});
