import { ManualClock } from '../../platform/clock/manual.ts';
import { nextTurn } from '../../platform/clock/index.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { insist } from './insist.ts';

async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) { clock.advance(100); await nextTurn(); }
}

test('goes on until it is written, and says that it was not the first try', async () => {
  const clock = new ManualClock();
  let tries = 0;
  const written = insist(clock, 10_000, () => { tries += 1; return tries < 3 ? Promise.reject(new UnavailableError('Postgres')) : Promise.resolve('yes'); });
  await pass(clock, 2_000);
  expect(await written).toEqual({ value: 'yes', repeated: true });
  expect(await insist(clock, 10_000, () => Promise.resolve(1))).toEqual({ value: 1, repeated: false });
});

test('gives up in the end, and at once where trying again cannot help', async () => {
  const clock = new ManualClock();
  const away = expect(insist(clock, 3_000, () => Promise.reject(new UnavailableError('Postgres')))).rejects.toBeInstanceOf(UnavailableError);
  await pass(clock, 8_000);
  await away;
  await expect(insist(clock, 3_000, () => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug');
});
