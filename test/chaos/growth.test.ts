import { Growth, type Held } from './growth.ts';

function after(readings: readonly Held[]): Growth {
  const growth = new Growth();
  for (const held of readings) for (let i = 0; i < 20; i++) growth.seed({ api: 1 }, () => held);
  return growth;
}

const flat = (n: number, held: (i: number) => Partial<Held> = () => ({})): Held[] => Array.from({ length: n }, (_, i) => ({ mib: 100, files: 30, ...held(i) }));

test.each<[string, readonly Held[], number]>([
  ['what stays as it is', flat(50), 0],
  ['what warms up and then stays', flat(50, (i) => ({ mib: i < 5 ? 60 : 120 })), 0],
  ['one high reading', flat(50, (i) => ({ mib: i === 49 ? 900 : 100, files: i === 48 ? 90 : 30 })), 0],
  ['memory that grows', flat(50, (i) => ({ mib: 100 + 4 * i })), 1],
  ['files that stay open', flat(50, (i) => ({ files: 30 + i })), 1],
  ['too few readings to tell', flat(5, (i) => ({ mib: 100 * 2 ** i })), 0],
])('%s', (_, readings, found) => {
  expect(after(readings).violations()).toHaveLength(found);
});

test('says first, middle and last', () => {
  expect(after(flat(3, (i) => ({ mib: 10 * i }))).summary()).toEqual(['api: 0 MiB, 30 files -> 10 MiB, 30 files -> 20 MiB, 30 files (3 readings)']);
});
