import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import { LogPump } from './log-pump.ts';

interface Piece { readonly offset: number; readonly text: string }

function pump(ready?: () => boolean): { clock: ManualClock; pieces: Piece[]; logs: LogPump } {
  const clock = new ManualClock();
  const pieces: Piece[] = [];
  return { clock, pieces, logs: new LogPump(clock, (offset, text) => { pieces.push({ offset, text }); }, ready) };
}

/** Puts pieces where they say they belong, as the receiver does. */
function assemble(pieces: readonly Piece[]): string {
  const size = pieces.reduce((end, p) => Math.max(end, p.offset + Buffer.byteLength(p.text)), 0);
  const file = Buffer.alloc(size);
  for (const { offset, text } of pieces) file.write(text, offset);
  return file.toString('utf8');
}

test('what is written within 100 ms goes as one piece', () => {
  const { clock, pieces, logs } = pump();
  logs.write('a');
  clock.advance(99);
  logs.write('b');
  expect(pieces).toEqual([]);
  clock.advance(1);
  expect(pieces).toEqual([{ offset: 0, text: 'ab' }]);
  clock.advance(10_000);
  expect(pieces).toHaveLength(1);
});

test('offsets count bytes, not characters', () => {
  const { clock, pieces, logs } = pump();
  for (const text of ['né\n', '日本\n', '😀\n', 'end']) {
    logs.write(text);
    clock.advance(100);
  }
  expect(pieces.map((p) => p.offset)).toEqual([0, 4, 11, 16]);
});

test('end sends what is left at once, and leaves no timer', () => {
  const { clock, pieces, logs } = pump();
  logs.write('last words');
  logs.end();
  expect(pieces).toEqual([{ offset: 0, text: 'last words' }]);
  expect(clock.pending).toBe(0);
  logs.end();
  expect(pieces).toHaveLength(1);
});

test('whatever is written comes out whole: no pair torn, no byte twice, no piece over the limit of a message', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 50 }), fc.integer({ min: 1, max: 2_000 }), fc.boolean()), { maxLength: 12 }), (writes) => {
    const { clock, pieces, logs } = pump();
    let all = '';
    for (const [text, times, wait] of writes) {
      all += text.repeat(times);
      logs.write(text.repeat(times));
      if (wait) clock.advance(100);
    }
    logs.end();
    expect(assemble(pieces)).toBe(all);
    expect(pieces.every((p) => p.text.length <= 65_536 && p.text.isWellFormed())).toBe(true);
  }), { numRuns: 60 });
});

test('a pair on the edge of a piece stays together', () => {
  const { pieces, logs } = pump();
  const text = `${'x'.repeat(16_383)}😀${'y'.repeat(10)}`;
  logs.write(text);
  logs.end();
  expect(pieces).toHaveLength(2);
  expect(assemble(pieces)).toBe(text);
});

test('a node that writes too fast loses its oldest characters, and is told how many', () => {
  const { clock, pieces, logs } = pump();
  for (let i = 0; i < 40; i++) logs.write(String(i % 10).repeat(100_000));
  clock.advance(100);
  const text = assemble(pieces);
  const lost = 40 * 100_000 - 1_048_576;
  expect(text.startsWith(`[${lost} characters left out]\n`)).toBe(true);
  expect(text.endsWith('9'.repeat(100_000))).toBe(true);
  expect(text).toHaveLength(1_048_576 + `[${lost} characters left out]\n`.length);
});

test('while sending makes no sense everything waits, within the bound, until it does or the node ends', () => {
  let ready = false;
  const { clock, pieces, logs } = pump(() => ready);
  for (let i = 0; i < 30; i++) {
    logs.write('x'.repeat(100_000));
    clock.advance(1_000);
  }
  expect(pieces).toEqual([]);
  ready = true;
  clock.advance(100);
  expect(assemble(pieces).startsWith(`[${3_000_000 - 1_048_576} characters left out]`)).toBe(true);
  ready = false;
  logs.write('end');
  logs.end();
  expect(pieces.at(-1)?.text).toBe('end');
  expect(clock.pending).toBe(0);
});
