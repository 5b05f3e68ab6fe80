import { cutBytes, keep } from './result.ts';

const run = { id: 'r1', namespace: 'team-a' };
const log = { info: (): void => undefined, warn: (): void => undefined };

test('a small result stays as it is, but for NUL', async () => {
  expect(await keep({ log }, run, 's1c1', { text: 'a\u0000b' })).toEqual({ text: 'ab', bytes: 2, truncated: false });
});

test('a large one is kept whole and cut for the model', async () => {
  const put: [string, number, string][] = [];
  const text = 'é'.repeat(50_000);
  const kept = await keep({ log, objects: { put: async (key, body, type) => { put.push([key, body.length, type]); } } }, run, 's1c1', { text, type: 'text/markdown' });
  expect(put).toEqual([['agents/team-a/r1/s1c1', 100_000, 'text/markdown']]);
  expect(kept).toMatchObject({ bytes: 100_000, truncated: true, ref: { key: 'agents/team-a/r1/s1c1', bytes: 100_000, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } });
  expect(Buffer.byteLength(kept.text)).toBeLessThanOrEqual(65_536);
  expect(kept.text).toMatch(/^é+\n\[cut: 100000 bytes in all; the whole is kept as agents\/team-a\/r1\/s1c1\]$/);
});

test.each([['there is none', undefined], ['it does not answer', { put: async (): Promise<void> => Promise.reject(new Error('away')) }]] as const)('without an object store, because %s, it is cut and says so', async (_why, objects) => {
  expect(await keep({ log, objects }, run, 's1c1', { text: 'x'.repeat(70_000) })).toMatchObject({ truncated: true, text: expect.stringMatching(/the rest was not kept\]$/) });
});

test.each([['aé', 1, 'a'], ['aé', 2, 'a'], ['aé', 3, 'aé'], ['😀', 3, ''], ['', 5, '']])('%j cut at %d bytes is %j', (text, most, expected) => {
  expect(cutBytes(Buffer.from(text), most)).toBe(expected);
});
