import { podsNeeded, poolCapacity, sizePool, type RunnerPod, type SizingInput } from './sizing.ts';

const pod = (name: string, over: Partial<RunnerPod> = {}): RunnerPod =>
  ({ name, uid: name, ready: true, leaving: false, createdAt: 0, busy: 0, template: 't1', ...over });
const base: SizingInput = { minReady: 1, max: 4, idleMs: 300_000, needed: 0, pods: [], template: 't1', neededUntil: 0, now: 0 };

describe('sizePool', () => {
  test.each([
    ['an empty pool starts minReady', { needed: 0 }, 1],
    ['minReady 0 without demand starts none', { minReady: 0 }, 0],
    ['minReady 0 with demand starts one', { minReady: 0, needed: 1 }, 1],
    ['as many as are needed', { needed: 3 }, 3],
    ['never more than max', { needed: 1_000 }, 4],
    ['starting pods count', { needed: 2, pods: [pod('a', { ready: false })] }, 1],
    ['leaving pods do not count', { pods: [pod('a', { leaving: true })] }, 1],
    ['a full pool of outdated pods waits', { needed: 100, pods: ['a', 'b', 'c', 'd'].map((n) => pod(n, { template: 'old', busy: 1 })) }, 0],
  ])('%s', (_, over, create) => {
    expect(sizePool({ ...base, ...over }).create).toBe(create);
  });

  test('idle pods go after idleTTL, busy ones never', () => {
    const pods = [pod('a', { busy: 1 }), pod('b', { createdAt: 1 }), pod('c', { createdAt: 2 })];
    const soon = sizePool({ ...base, pods, now: 100_000 });
    expect(soon).toEqual({ create: 0, remove: [], againMs: 200_000 });
    const later = sizePool({ ...base, pods, now: 300_000 });
    expect(later.remove.map((p) => p.name)).toEqual(['c', 'b']);
  });

  test('outdated pods are replaced when idle and a successor is ready', () => {
    const pods = [pod('old', { template: 't0' }), pod('busy', { template: 't0', busy: 2 })];
    expect(sizePool({ ...base, pods }).remove).toEqual([]);
    expect(sizePool({ ...base, pods }).create).toBe(1);
    expect(sizePool({ ...base, pods: [...pods, pod('new')] }).remove.map((p) => p.name)).toEqual(['old']);
  });
});

test.each([
  ['attempts are divided by slots', { attempts: 17, runs: 5 }, 8, 'Shared', 3],
  ['a pod of one run is not shared', { attempts: 17, runs: 5 }, 8, 'Run', 5],
  ['one run may have several pods', { attempts: 17, runs: 1 }, 8, 'Run', 3],
  ['one attempt per pod', { attempts: 17, runs: 5 }, 1, 'Never', 17],
  ['nothing', { attempts: 0, runs: 0 }, 8, 'Run', 0],
] as const)('podsNeeded: %s', (_, demand, slots, reuse, pods) => {
  expect(podsNeeded(demand, slots, reuse)).toBe(pods);
});

test('capacity is twice the slots, of one pod while none is ready', () => {
  expect(poolCapacity(0, 8)).toBe(16);
  expect(poolCapacity(3, 8)).toBe(48);
});
