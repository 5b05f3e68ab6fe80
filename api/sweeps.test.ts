import { ManualClock } from '../platform/clock/manual.ts';
import { UnavailableError } from '../platform/errors/index.ts';
import { until, World } from './testing/world.ts';
import { startSweeps } from './sweeps.ts';

test('sweeps come about once an hour, each by itself, and what went is counted', async () => {
  const [clock, world, counted, ran] = [new ManualClock(), new World(), new Array<string>(), new Array<string>()];
  const sweeps = startSweeps({ clock, ids: { random: () => 0.5 }, log: world.log(), metrics: { swept: (what, count) => { counted.push(`${what} ${count}`); } } }, [
    { what: 'files', run: () => { ran.push('files'); return Promise.reject(new UnavailableError('the object store')); } },
    { what: 'projectEvents', run: () => { ran.push('projectEvents'); return Promise.reject(new TypeError('broken')); } },
    { what: 'idempotentAnswers', run: () => { ran.push('idempotentAnswers'); return Promise.resolve(7); } },
    { what: 'objects', run: () => { ran.push('objects'); return Promise.resolve(0); } },
  ]);
  clock.advance(3_599_999);
  expect(ran).toEqual([]);
  clock.advance(1);
  await until(() => ran.length === 4, 'all have run');
  expect([ran, counted]).toEqual([['files', 'projectEvents', 'idempotentAnswers', 'objects'], ['idempotentAnswers 7']]);
  expect(world.lines.map(({ level, message }) => `${level} ${message}`)).toEqual(['warn nothing could be swept', 'error a sweep failed', 'info what nobody can want any more is gone']);
  await sweeps.stop();
  clock.advance(7_200_000);
  expect(ran).toHaveLength(4);
});

test('a sweep that is under way hears of the end, and no other begins', async () => {
  const [clock, world, ran] = [new ManualClock(), new World(), new Array<string>()];
  const sweeps = startSweeps({ clock, ids: { random: () => 0.5 }, log: world.log(), metrics: { swept: () => undefined } }, [
    { what: 'files', run: (signal) => new Promise((resolve) => { ran.push('files'); signal.addEventListener('abort', () => { resolve(1); }); }) },
    { what: 'objects', run: () => { ran.push('objects'); return Promise.resolve(1); } },
  ]);
  clock.advance(3_600_000);
  await until(() => ran.length === 1, 'the first has begun');
  await sweeps.stop();
  expect(ran).toEqual(['files']);
});
