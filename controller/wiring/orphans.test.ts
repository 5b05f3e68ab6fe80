import { ManualClock } from '../../platform/clock/manual.ts';
import type { CrRef } from '../run/live-run.ts';
import { Orphans } from './orphans.ts';

function cr(name: string): CrRef { return { namespace: 'ns', name, uid: `uid-${name}` }; }

function world() {
  const clock = new ManualClock();
  const live = new Map<string, { id: string; cr?: CrRef }>();
  const state = { cached: new Map<string, string>(), actual: new Map<string, string>(), away: false, asked: [] as string[], cancelled: [] as string[] };
  const orphans = new Orphans({
    clock, runs: live, log: { warn: () => undefined, error: () => undefined },
    cached: ({ name }) => state.cached.get(name),
    actual: async ({ name }) => {
      state.asked.push(name);
      if (state.away) throw new Error('away');
      return state.actual.get(name);
    },
    cancel: (run) => { state.cancelled.push(run); },
  });
  const settle = async (): Promise<void> => { for (let i = 0; i < 30; i++) await Promise.resolve(); };
  return { clock, live, state, orphans, settle };
}

test('only what the API server does not have either is cancelled', async () => {
  const w = world();
  for (const name of ['known', 'behind', 'gone', 'again']) w.live.set(`run-${name}`, { id: `run-${name}`, cr: cr(name) });
  w.live.set('run-api', { id: 'run-api' });
  w.state.cached.set('known', 'uid-known').set('again', 'uid-of-a-later-one');
  w.state.actual.set('known', 'uid-known').set('behind', 'uid-behind').set('again', 'uid-of-a-later-one');
  w.orphans.check();
  await w.settle();
  expect(w.state.asked.sort()).toEqual(['again', 'behind', 'gone']);
  expect(w.state.cancelled.sort()).toEqual(['run-again', 'run-gone']);
});

test('an API server that does not answer is asked again; a run that moved or ended meanwhile is left alone', async () => {
  const w = world();
  w.live.set('one', { id: 'one', cr: cr('one') });
  w.live.set('two', { id: 'two', cr: cr('two') });
  w.state.away = true;
  w.orphans.check();
  await w.settle();
  expect(w.state.cancelled).toEqual([]);
  w.live.delete('two');
  w.state.away = false;
  w.clock.advance(1_000);
  await w.settle();
  expect(w.state.cancelled).toEqual(['one']);
  await w.orphans.stop();
});
