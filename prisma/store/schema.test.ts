import { readdirSync } from 'node:fs';
import path from 'node:path';
import { NEWEST_MIGRATION, openReadyStore } from './schema.ts';

test('the newest migration is the one processes wait for', () => {
  const folder = path.join(import.meta.dirname, '../migrations');
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
  expect(NEWEST_MIGRATION).toBe(names.at(-1));
});

test('a Postgres that does not answer is named with its place and a way out, without its password', async () => {
  const opening = openReadyStore({ url: 'postgresql://someone:hidden@127.0.0.1:1/rambo' });
  await expect(opening).rejects.toMatchObject({ code: 'Unavailable', message: expect.stringMatching(/^Postgres at 127\.0\.0\.1:1\/rambo does not answer \(.*ECONNREFUSED.*\): is it running/) });
  await expect(opening).rejects.not.toMatchObject({ message: expect.stringContaining('hidden') });
});

test('a URL that is none is refused in words, without showing it', async () => {
  await expect(openReadyStore({ url: 'hidden' })).rejects.toMatchObject({ code: 'Config', message: expect.not.stringContaining('hidden') });
});
