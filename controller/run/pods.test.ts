import { ManualClock } from '../../platform/clock/manual.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { LABELS } from '../../crds/names.ts';
import type { Settled } from './draft.ts';
import { Leases } from './leases.ts';
import { attemptPodName } from './pod-name.ts';
import { AttemptPods, attemptOf, type PodObject } from './pods.ts';
import type { Work } from './ports.ts';
import { AttemptSecrets } from './secrets.ts';

const RUN = '019a0000-0000-7000-8000-000000000001';

function pod(view: PodObject['view'], over: Partial<PodObject> = {}): PodObject {
  return { namespace: 'ns', name: attemptPodName(RUN, 'box', -1, 1), uid: 'u1', labels: { [LABELS.runId]: RUN, [LABELS.node]: 'box', [LABELS.attempt]: 'x.1' }, view, ...over };
}
const SUCCEEDED = { phase: 'Succeeded', main: { terminated: { exitCode: 0, message: '5' } } };

function world() {
  const clock = new ManualClock();
  const leases = new Leases(clock);
  const w = {
    clock, leases, works: [] as Work[], removed: [] as string[], logs: [] as string[], owned: true, cached: undefined as PodObject | undefined, stored: undefined as PodObject | undefined,
    /** Answers of the API server to removals, the next one first. */
    failures: [] as Error[],
    /** The attempt that counts, by the database; an error when it cannot be read. */
    current: undefined as number | undefined | Error, asked: 0,
  };
  const pods = new AttemptPods({
    clock, leases, submit: (work) => { w.works.push(work); }, owns: () => w.owned, owner: () => undefined,
    current: () => {
      w.asked++;
      return w.current instanceof Error ? Promise.reject(w.current) : Promise.resolve(w.current);
    },
    nodeSpec: () => undefined, runnerSpec: () => undefined, labels: () => ({}),
    secrets: new AttemptSecrets('seed'), log: { warn: () => undefined },
    logs: { append: (_, offset, text) => { w.logs.push(`${offset} ${text}`); return Promise.resolve(); }, read: () => Promise.resolve({ text: '', next: 0 }) },
    port: {
      create: () => Promise.resolve({ kind: 'Created' }), get: () => Promise.resolve(w.stored), logs: () => Promise.resolve('said'), cached: () => w.cached,
      remove: (namespace, name, uid, grace) => {
        const failure = w.failures.shift();
        if (failure !== undefined) return Promise.reject(failure);
        w.removed.push(`${namespace}/${name}/${uid ?? ''} after ${grace} s`);
        return Promise.resolve();
      },
    },
  });
  const settle = async (settled: Settled): Promise<void> => {
    w.works.shift()?.settle?.(settled);
    await turns();
  };
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await turns();
  };
  return { ...w, state: w, pods, settle, pass };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

const NAME = attemptPodName(RUN, 'box', -1, 1);

test('the end of a pod is handed in once; its log is kept and it is removed only after the commit', async () => {
  const w = world();
  w.pods.seen(pod(SUCCEEDED));
  w.pods.seen(pod(SUCCEEDED));
  expect(w.works.map(({ event }) => event)).toEqual([{ type: 'Succeeded', node: 'box', item: -1, attempt: 1, output: 5 }]);
  await turns();
  expect(w.removed).toEqual([]);
  await w.settle({ status: 'Committed', version: 2 });
  expect([w.removed, w.logs]).toEqual([[`ns/${NAME}/u1 after 0 s`], ['0 said']]);
});

test('what is not recorded is handed in again, and the pod stays', async () => {
  const w = world();
  w.pods.seen(pod(SUCCEEDED));
  await w.settle({ status: 'Retry', message: 'the database is away' });
  expect(w.works).toEqual([]);
  await w.pass(500);
  expect(w.works).toHaveLength(1);
  expect(w.removed).toEqual([]);
});

test('a pod that cannot be removed is removed later, though the cache never showed it', async () => {
  const w = world();
  w.state.failures.push(new UnavailableError('the API server'), new UnavailableError('the API server'));
  w.pods.seen(pod(SUCCEEDED));
  await w.settle({ status: 'Committed', version: 2 });
  await w.pass(2_000);
  expect(w.removed).toEqual([]);
  await w.pass(3_900);
  expect(w.removed).toEqual([]);
  await w.pass(100);
  expect(w.removed).toEqual([`ns/${NAME}/u1 after 0 s`]);
  // Meanwhile the watch shows it and says that it is gone: its end was recorded, nothing more is handed in.
  expect(w.works).toEqual([]);
});

test('a pod whose run went to another owner is that owner\'s to remove', async () => {
  const w = world();
  w.state.failures.push(new UnavailableError('the API server'));
  w.pods.seen(pod(SUCCEEDED));
  await w.settle({ status: 'Committed', version: 2 });
  w.state.owned = false;
  await w.pass(60_000);
  expect(w.removed).toEqual([]);
});

test('while its end waits for the commit, its disappearance says nothing; otherwise the attempt is lost with it', () => {
  const w = world();
  w.pods.seen(pod(SUCCEEDED));
  w.pods.gone(pod(SUCCEEDED));
  expect(w.works).toHaveLength(1);
  w.pods.gone(pod({}, { uid: 'u2' }));
  expect(w.works.at(-1)?.event).toMatchObject({ type: 'Failed', error: { class: 'Infra', reason: 'PodGone' } });
});

test.each<[string, Partial<PodObject>]>([
  ['without our labels', { labels: {} }],
  ['under a name that is not derived from its labels', { name: 'box-0000000000000000' }],
  ['with an attempt that is no number', { labels: { [LABELS.runId]: RUN, [LABELS.node]: 'box', [LABELS.attempt]: 'x.one' } }],
])('a pod %s is nobody\'s attempt', (_, over) => {
  const w = world();
  expect(attemptOf(pod(SUCCEEDED, over))).toBeUndefined();
  w.pods.seen(pod(SUCCEEDED, over));
  w.pods.gone(pod(SUCCEEDED, over));
  expect(w.works).toEqual([]);
});

describe('the sweep', () => {
  const opened = (): ReturnType<typeof world> => {
    const w = world();
    w.leases.open({ run: RUN, node: 'box', item: -1, attempt: 1, namespace: 'ns', pool: 'p', mode: 'pod' });
    return w;
  };

  test('asks the API server for a pod the watch has not shown for long, and takes what it says', async () => {
    const w = opened();
    w.state.stored = pod(SUCCEEDED);
    w.clock.advance(9_000);
    await w.pods.sweep(10_000);
    expect(w.works).toEqual([]);
    w.clock.advance(1_000);
    await w.pods.sweep(10_000);
    expect(w.works.map(({ event }) => event.type)).toEqual(['Succeeded']);
  });

  test('finds what vanished while nobody looked', async () => {
    const w = opened();
    w.clock.advance(10_000);
    await w.pods.sweep(10_000);
    expect(w.works[0]?.event).toMatchObject({ type: 'Failed', error: { reason: 'PodGone' } });
  });
});

test('cancelling removes the pod of exactly that attempt, with its grace', async () => {
  const w = world();
  await w.pods.cancel('ns', RUN, 'box', -1, 3, 29_500);
  expect(w.removed).toEqual([`ns/${attemptPodName(RUN, 'box', -1, 3)}/ after 30 s`]);
});

test('a removal that fails is repeated, further and further apart, until it works', async () => {
  const w = world();
  w.state.failures.push(...Array.from({ length: 3 }, () => new UnavailableError('the API server')));
  await w.pods.cancel('ns', RUN, 'box', -1, 1, 0);
  for (const ms of [2_000, 4_000, 7_999]) await w.pass(ms);
  expect(w.removed).toEqual([]);
  await w.pass(1);
  expect(w.removed).toEqual([`ns/${NAME}/ after 0 s`]);
});

describe('a pod that lives', () => {
  const RUNNING = { phase: 'Running', main: { running: {} } };
  const PENDING = { phase: 'Pending' };

  test.each([RUNNING, PENDING])('and whose attempt is over is removed after a while (%j)', async (view) => {
    const w = world();
    w.state.current = 2;
    w.pods.seen(pod(view));
    w.pods.seen(pod(view));
    await w.pass(4_999);
    expect(w.removed).toEqual([]);
    await w.pass(1);
    expect([w.removed, w.state.asked]).toEqual([[`ns/${NAME}/u1 after 30 s`], 1]);
  });

  test('is left alone when memory knows its attempt, and the database is not asked', async () => {
    const w = world();
    w.leases.open({ run: RUN, node: 'box', item: -1, attempt: 1, namespace: 'ns', pool: 'p', mode: 'pod' });
    w.pods.seen(pod(RUNNING));
    await w.pass(60_000);
    expect([w.removed, w.state.asked]).toEqual([[], 0]);
  });

  test('is left alone when the database says its attempt counts, whatever memory says', async () => {
    const w = world();
    w.state.current = 1;
    w.pods.seen(pod(RUNNING));
    await w.pass(60_000);
    expect([w.removed, w.state.asked]).toEqual([[], 1]);
  });

  test('is another owner\'s business once the run went there', async () => {
    const w = world();
    w.pods.seen(pod(RUNNING));
    w.state.owned = false;
    await w.pass(60_000);
    expect([w.removed, w.state.asked]).toEqual([[], 0]);
  });

  test('is not removed on suspicion while the database is away; then it is', async () => {
    const w = world();
    w.state.current = new UnavailableError('Postgres');
    w.pods.seen(pod(RUNNING));
    await w.pass(5_000);
    await w.pass(10_000);
    expect(w.removed).toEqual([]);
    w.state.current = undefined;
    await w.pass(20_000);
    expect(w.removed).toEqual([`ns/${NAME}/u1 after 30 s`]);
  });

  test('and is being deleted already needs nothing', async () => {
    const w = world();
    w.pods.seen(pod({ ...RUNNING, deletionTimestamp: '2026-01-01T00:00:00Z' }));
    await w.pass(60_000);
    expect(w.state.asked).toBe(0);
  });
});
