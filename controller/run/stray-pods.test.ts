import { ManualClock } from '../../platform/clock/manual.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { Leases } from './leases.ts';
import type { PodObject } from './pods.ts';
import { StrayPods } from './stray-pods.ts';

const OF = { run: 'r', node: 'a', item: -1, attempt: 1 };
const POD: PodObject = { namespace: 'ns', name: 'pod-a-1', uid: 'u1', labels: {}, view: { phase: 'Running' } };

function world(current: () => Promise<number | undefined> = () => Promise.resolve(undefined)) {
  const clock = new ManualClock();
  const leases = new Leases(clock);
  const removed: string[] = [];
  const state = { owned: true, current, failures: 0, asked: 0 };
  const stray = new StrayPods({
    clock, leases, owns: () => state.owned, log: { warn: () => undefined },
    current: () => {
      state.asked++;
      return state.current();
    },
    port: { remove: (namespace, name, uid, grace) => {
      if (state.failures-- > 0) return Promise.reject(new UnavailableError('the API server'));
      removed.push(`${namespace}/${name}/${uid ?? ''} after ${grace} s`);
      return Promise.resolve();
    } },
  });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  const lease = (attempt: number): void => { leases.open({ run: 'r', node: 'a', item: -1, attempt, namespace: 'ns', pool: 'p', mode: 'pod' }); };
  return { clock, leases, removed, state, stray, pass, lease };
}

test('a pod of an attempt that no longer counts is removed after a while, by its uid', async () => {
  const { removed, stray, pass } = world();
  stray.look(OF, POD);
  await pass(4_999);
  expect(removed).toEqual([]);
  await pass(1);
  expect(removed).toEqual(['ns/pod-a-1/u1 after 30 s']);
});

test.each<[string, (w: ReturnType<typeof world>) => void, PodObject]>([
  ['whose attempt memory knows', (w) => { w.lease(1); }, POD], ['of a run that another replica owns', (w) => { w.state.owned = false; }, POD],
  ['that is being removed already', () => undefined, { ...POD, view: { phase: 'Running', deletionTimestamp: '2026-01-01T00:00:00Z' } }],
])('a pod %s costs nothing', async (_, prepare, pod) => {
  const w = world();
  prepare(w);
  w.stray.look(OF, pod);
  expect(w.clock.pending).toBe(0);
  await w.pass(60_000);
  expect([w.state.asked, w.removed]).toEqual([0, []]);
});

test('the database decides: a pod whose attempt it still counts stays', async () => {
  const { removed, state, stray, pass } = world(() => Promise.resolve(1));
  stray.look(OF, POD);
  await pass(5_000);
  expect([state.asked, removed]).toEqual([1, []]);
});

test.each<[string, (w: ReturnType<typeof world>) => void]>([['its run was taken over meanwhile', (w) => { w.lease(1); }], ['its run went to another replica meanwhile', (w) => { w.state.owned = false; }]])('where %s, nobody is asked', async (_, meanwhile) => {
  const w = world();
  w.stray.look(OF, POD);
  meanwhile(w);
  await w.pass(5_000);
  expect([w.state.asked, w.removed]).toEqual([0, []]);
});

test('shown a hundred times, it is looked at once, and again when it is shown later', async () => {
  const { clock, removed, stray, pass } = world();
  for (let i = 0; i < 100; i++) stray.look(OF, POD);
  expect(clock.pending).toBe(1);
  await pass(5_000);
  stray.look(OF, POD);
  await pass(5_000);
  expect(removed).toHaveLength(2);
});

test('while the database or the API server is away it is tried again, ever more slowly, until it is gone', async () => {
  const { state, removed, stray, pass } = world(() => Promise.reject(new UnavailableError('Postgres')));
  stray.look(OF, POD);
  await pass(5_000);
  expect(state.asked).toBe(1);
  await pass(9_999);
  expect(state.asked).toBe(1);
  await pass(1);
  expect(state.asked).toBe(2);
  state.current = () => Promise.resolve(2);
  state.failures = 1;
  await pass(20_000);
  expect([state.asked, removed]).toEqual([3, []]);
  await pass(40_000);
  expect(removed).toEqual(['ns/pod-a-1/u1 after 30 s']);
});
