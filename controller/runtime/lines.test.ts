import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { lines } from './lines.ts';

async function collect(chunks: readonly (Uint8Array | string)[]): Promise<string[]> {
  async function* stream(): AsyncGenerator<Uint8Array | string> { for (const chunk of chunks) { await Promise.resolve(); yield chunk; } }
  const out: string[] = [];
  for await (const line of lines(stream())) out.push(line);
  return out;
}

test('however a text is cut into chunks, its lines are the same', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' }).filter((s) => !s.includes('\n') && s !== ''), { minLength: 1, maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 8 }), async (texts, cuts) => {
    const bytes = Buffer.from(texts.join('\n'));
    const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
    const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
    expect(await collect(chunks)).toEqual(texts);
  }));
});

test('the last line needs no end; empty lines are lines', async () => {
  expect(await collect(['a\n\nb'])).toEqual(['a', '', 'b']);
  expect(await collect(['a\n'])).toEqual(['a']);
  expect(await collect([])).toEqual([]);
});

test('a stream that breaks throws where it is awaited', async () => {
  async function* broken(): AsyncGenerator<string> { await Promise.resolve(); yield 'a\nb'; throw new Error('cut'); }
  const out: string[] = [];
  await expect((async () => { for await (const line of lines(broken())) out.push(line); })()).rejects.toThrow('cut');
  expect(out).toEqual(['a']);
});
