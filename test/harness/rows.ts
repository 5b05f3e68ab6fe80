import type { NodeRunRow, RunCreate, RunProgress, RunWrite } from '../../prisma/store/types.ts';

/** Builders of the store's rows, with plain defaults. */

/** Progress of a run that has just started. */
export function progress(over: Partial<RunProgress> = {}): RunProgress {
  return {
    phase: 'Running', startedAt: 1_700_000_000_000, finishedAt: null, cancel: null, suspended: false, exitPhase: null, outputs: null, error: null,
    seq: 0, total: 1, done: 0, counts: null, failures: null, review: null, ...over,
  };
}

/** A pending node. */
export function nodeRow(node: string, over: Partial<NodeRunRow> = {}): NodeRunRow {
  return {
    node, item: -1, status: 'Pending', attempt: 0, retries: 0, infra: 0, output: null, error: null, queuedAt: null, startedAt: null,
    finishedAt: null, dueAt: null, items: null, send: 0, pool: null, mode: null, pod: null, ...over,
  };
}

/** Facts of a run started over the API in namespace `default`. */
export function runCreate(id: string, shard: number, over: Partial<RunCreate> = {}): RunCreate {
  return {
    id, shard, namespace: 'default', name: `run-${id.slice(-12)}`, uid: null, source: 'api', workflow: 'chain', definitionHash: 'hash-of-chain', specHash: null,
    input: Buffer.from('{}'), workflowLabels: null, priority: 0, principal: 'alice', traceparent: null, createdAt: 1_700_000_000_000,
    definition: Buffer.from('{"nodes":[]}'), ...over,
  };
}

/** A write that moves a run on from `expectVersion`. */
export function write(id: string, shard: number, expectVersion: number, state: RunProgress = progress()): RunWrite {
  return { id, shard, expectVersion, progress: state, nodes: [], attempts: [], events: [], outbox: [], timers: [], clearTimers: [] };
}

/** A write that creates a run. */
export function createWrite(id: string, shard: number, state: RunProgress = progress(), over: Partial<RunCreate> = {}): RunWrite {
  return { ...write(id, shard, 0, state), create: runCreate(id, shard, over) };
}
