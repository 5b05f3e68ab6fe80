import { encodeCommit, encodeIds } from './commit-params.ts';
import type { CommitBatch, RunCreate, RunProgress, RunWrite } from './types.ts';

const uuid = (n: number): string => `01234567-89ab-7def-8123-${String(n).padStart(12, '0')}`;
const PROGRESS: RunProgress = { phase: 'Running', startedAt: 1, finishedAt: null, cancel: null, suspended: false, exitPhase: null, outputs: null, error: null, seq: 1, total: 1, done: 0, counts: null, failures: null, review: null };

function write(n: number, more: Partial<RunWrite> = {}): RunWrite {
  return { id: uuid(n), shard: 7, expectVersion: 3, progress: PROGRESS, nodes: [], attempts: [], events: [], outbox: [], timers: [], clearTimers: [], ...more };
}

function created(n: number, key?: string, principal = 'ann'): RunWrite {
  const create: RunCreate = {
    id: uuid(n), shard: 7, namespace: 'ns', name: `r${n}`, uid: null, source: 'api', workflow: null, definitionHash: `d${n % 2}`, specHash: 's', input: new Uint8Array(), workflowLabels: null, priority: 0,
    principal, traceparent: null, createdAt: 1, definition: new Uint8Array([n % 2]), ...(key === undefined ? {} : { idempotency: { key, bodyHash: 'b', expiresAt: 9 } }),
  };
  return write(n, { create });
}

function batch(writes: readonly RunWrite[], published: readonly string[] = []): CommitBatch {
  return { owner: 'me', shards: [{ id: 7, epoch: 2n }], writes, published };
}

/** Elements of an encoded array: as text, which ids and names are; null stays. */
function elements(value: unknown): readonly (Buffer | null)[] {
  if (!Buffer.isBuffer(value)) throw new Error('no array');
  const out: (Buffer | null)[] = [];
  for (let at = 20; at < value.length;) {
    const size = value.readInt32BE(at);
    at += 4;
    out.push(size < 0 ? null : value.subarray(at, at + size));
    at += Math.max(0, size);
  }
  return out;
}
const texts = (value: unknown): readonly (string | null)[] => elements(value).map((each) => each?.toString() ?? null);
const numbers = (value: unknown): readonly (number | null)[] => elements(value).map((each) => (each === null ? null : each.readInt32BE(0)));

const NODE = { node: 'a', item: -1, status: 'Running', attempt: 1, retries: 0, infra: 0, output: null, error: null, queuedAt: null, startedAt: null, finishedAt: null, dueAt: null, items: null, send: 0, pool: null, mode: null, pod: null } as const;
const EVENT = { seq: 1, at: 1, kind: 'RunStarted', node: null, item: null, attempt: null, reason: null, principal: null };

describe('which parts the statement has', () => {
  const none = { gone: false, keyed: false, created: false, moved: false, nodes: false, attempts: false, events: false, sends: false, timers: false };
  test.each<[string, CommitBatch, object]>([
    ['a run that moved', batch([write(1)]), { moved: true }], ['a new run', batch([created(1)]), { created: true }], ['a new run with a key', batch([created(1, 'k')]), { created: true, keyed: true }],
    ['what has left', batch([write(1)], ['5']), { moved: true, gone: true }], ['a node', batch([write(1, { nodes: [NODE] })]), { moved: true, nodes: true }], ['a line of history', batch([write(1, { events: [EVENT] })]), { moved: true, events: true }],
    ['an attempt', batch([write(1, { attempts: [{ node: 'a', item: -1, attempt: 1, status: 'Failed', error: null, queuedAt: null, startedAt: null, finishedAt: 1, pod: null, runner: null }] })]), { moved: true, attempts: true }],
    ['a dispatch', batch([write(1, { outbox: [{ node: 'a', item: -1, attempt: 1, send: 1 }] })]), { moved: true, sends: true }],
    ['a timer', batch([write(1, { timers: [{ timer: 't', dueAt: 1 }] })]), { moved: true, timers: true }], ['a timer that is cleared', batch([write(1, { clearTimers: ['t'] })]), { moved: true, timers: true }],
    ['the end of a run, which takes its timers along', batch([write(1, { progress: { ...PROGRESS, finishedAt: 5 } })]), { moved: true, timers: true }],
  ])('%s', (_, given, parts) => {
    expect(encodeCommit(given).parts).toEqual({ ...none, ...parts });
  });
});

test('rows name their run by its place in the batch', () => {
  const { values } = encodeCommit(batch([write(1, { nodes: [NODE] }), write(2), write(3, { nodes: [NODE, { ...NODE, item: 0 }] })]));
  const nodes = values.slice(-18);
  expect([numbers(nodes[0]), texts(nodes[1]), numbers(nodes[2])]).toEqual([[1, 3, 3], ['a', 'a', 'a'], [-1, -1, 0]]);
});

test('of a key that stands twice the last counts, in the place of the first', () => {
  const nodes = [NODE, { ...NODE, node: 'b' }, { ...NODE, status: 'Succeeded' as const }];
  const values = encodeCommit(batch([write(1, { nodes })])).values.slice(-18);
  expect([texts(values[1]), texts(values[3])]).toEqual([['a', 'b'], ['Succeeded', 'Running']]);
});

test('a timer that is cleared and set stays set; one that is only cleared goes once; a run that ended has none', () => {
  const timers = (more: Partial<RunWrite>): readonly unknown[] => encodeCommit(batch([write(1, more)])).values.slice(-7);
  const [ri, set, , , clearedRi, cleared, ended] = timers({ timers: [{ timer: 'x', dueAt: 1 }, { timer: 'y', dueAt: 1 }, { timer: 'x', dueAt: 2 }], clearTimers: ['y', 'z', 'z'] });
  expect([numbers(ri), texts(set), numbers(clearedRi), texts(cleared), numbers(ended)]).toEqual([[1, 1], ['x', 'y'], [1], ['z'], []]);
  const over = timers({ timers: [{ timer: 'x', dueAt: 1 }], clearTimers: ['z'], progress: { ...PROGRESS, finishedAt: 5 } });
  expect([texts(over[1]), texts(over[5]), numbers(over[6])]).toEqual([[], [], [1]]);
});

test('of two runs with one idempotency key the first has it; keys of others, and of other namespaces, are other keys', () => {
  const { values } = encodeCommit(batch([created(1, 'k'), created(2, 'k'), created(3, 'k', 'bob'), created(4, 'l')]));
  const [, , , , namespaces, principals, keys] = values;
  expect([texts(namespaces), texts(principals), texts(keys)]).toEqual([['ns', 'ns', 'ns'], ['ann', 'bob', 'ann'], ['k', 'k', 'l']]);
});

test('a definition that many runs share goes once, in order of its hash', () => {
  const { values } = encodeCommit(batch([created(1), created(2), created(3)]));
  expect(texts(values[4])).toEqual(['d0', 'd1']);
});

test('a run that stands twice in a batch is refused: one statement cannot move it twice', () => {
  expect(() => encodeCommit(batch([write(1), write(2), write(1)]))).toThrow(expect.objectContaining({ code: 'RowRefused', message: `run ${uuid(1)} stands twice in one batch` }));
});

test('ids that have left go once and in order, so that two deletions cannot wait for each other', () => {
  expect(elements(encodeIds(['30', '4', '200', '4'])).map((each) => each?.readBigInt64BE(0))).toEqual([4n, 30n, 200n]);
});
