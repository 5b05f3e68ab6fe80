import { createHash } from 'node:crypto';
import { Buffer } from 'node:buffer';
import type { RunPhase } from '../../crds/workflow-run.ts';
import type { Clock } from '../../platform/clock/index.ts';
import {
  acquireShards, commitBatch, commitHalving, deadLetter, deletePool, deleteWorkflow, findIdempotent, FIRST_OUTBOX_ID, getRun, getWorkflow, lastRestored, leaveShards, loadLiveRuns, loadOutbox,
  loadRuns, poolKeys, releaseShards, renewShards, succeedShards, upsertPool, upsertWorkflow, workflowKeys, type Db,
} from '../../prisma/store/index.ts';
import type { PoolPort } from '../pool/pools.ts';
import type { CommandParts } from '../run/commands.ts';
import type { StoreFunctions } from '../run/persistence.ts';
import type { ShardStore } from '../run/shards.ts';
import type { TakeoverStore } from '../run/takeover.ts';
import type { MirrorParts, WorkflowMirror } from '../workflow/mirror.ts';

const FIRST = '00000000-0000-0000-0000-000000000000';

/** The run room's view of the store. */
export function runStore(db: Db): StoreFunctions & TakeoverStore {
  return {
    commit: (batch) => commitHalving(batch, (part) => commitBatch(db, part)),
    loadRuns: (ids) => loadRuns(db, ids),
    loadLiveRuns: (shards, after, limit) => loadLiveRuns(db, shards, after ?? FIRST, limit),
    loadOutbox: (shards) => wholeOutbox(db, shards),
  };
}

const OUTBOX_PAGE = 10_000;

async function wholeOutbox(db: Db, shards: readonly number[]): ReturnType<TakeoverStore['loadOutbox']> {
  const all = [];
  for (let after = FIRST_OUTBOX_ID; ;) {
    const page = await loadOutbox(db, shards, after, OUTBOX_PAGE);
    all.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < OUTBOX_PAGE) return all;
    after = last.id;
  }
}

/** The shard table. */
export function shardStore(db: Db, replica: string | undefined): ShardStore {
  return {
    acquire: (owner, leaseMs, wish) => acquireShards(db, owner, leaseMs, wish),
    renew: (owner, leaseMs) => renewShards(db, owner, leaseMs),
    release: (owner, shards) => releaseShards(db, owner, shards),
    succeed: (owner) => (replica === undefined ? Promise.resolve() : succeedShards(db, owner, replica)),
    leave: (owner) => leaveShards(db, owner),
  };
}

/** What commands of the API look up. `cached` knows most Workflows; the mirror stands in while the API server is away. */
export function commandStore(db: Db, cached: CommandParts['workflow']): Pick<CommandParts, 'startedBefore' | 'exists' | 'workflow'> {
  return {
    startedBefore: async (namespace, principal, key) => {
      const row = await findIdempotent(db, namespace, principal, key);
      return row === undefined ? undefined : { runId: row.runId, bodyHash: row.bodyHash };
    },
    exists: async (run) => await getRun(db, run) !== undefined,
    workflow: async (namespace, name) => {
      const known = await cached(namespace, name);
      if (known !== undefined) return known;
      const row = await getWorkflow(db, namespace, name);
      if (row === undefined) return undefined;
      const labels: Record<string, string> = row.labels === null ? {} : JSON.parse(Buffer.from(row.labels).toString('utf8'));
      const { priority }: { priority?: number } = JSON.parse(Buffer.from(row.spec).toString('utf8')) ?? {};
      return { spec: row.spec, labels, priority: priority ?? 0 };
    },
  };
}

/** Phase of a run's row. */
export async function phaseOfRow(db: Db, run: string): Promise<RunPhase | undefined> {
  return (await getRun(db, run))?.phase;
}

/** When this database was last restored. Read once: controllers do not run while it is. */
export function restoredAt(db: Db): () => Promise<number | undefined> {
  let known: { readonly at: number | undefined } | undefined;
  return async () => {
    known ??= { at: await lastRestored(db) };
    return known.at;
  };
}

/** Mirrors of Workflows. */
export function mirrorStore(db: Db, clock: Clock): MirrorParts['store'] {
  return {
    upsert: (mirror) => upsertWorkflow(db, mirrorRow(mirror, clock.now()), mirror.nodes),
    remove: (namespace, name, uid) => deleteWorkflow(db, namespace, name, uid),
  };
}

function mirrorRow(m: WorkflowMirror, now: number): Parameters<typeof upsertWorkflow>[1] {
  return {
    namespace: m.namespace, name: m.name, uid: m.uid, generation: m.generation, resourceVersion: m.resourceVersion, spec: m.spec,
    hash: createHash('sha256').update(m.spec).digest('hex'), phase: m.phase, nodeCount: m.nodes.length,
    labels: Object.keys(m.labels).length === 0 ? null : Buffer.from(JSON.stringify(m.labels)),
    problems: m.problems.length === 0 ? null : Buffer.from(JSON.stringify(m.problems)), updatedAt: now,
  };
}

/** Mirrors of RunnerPools. */
export function poolMirrors(db: Db, clock: Clock): Pick<PoolPort, 'mirror' | 'unmirror'> {
  return {
    mirror: (pool) => upsertPool(db, {
      namespace: pool.namespace, name: pool.name, uid: pool.uid, generation: pool.generation, resourceVersion: pool.resourceVersion,
      spec: Buffer.from(JSON.stringify(pool.spec)), updatedAt: clock.now(),
      labels: Object.keys(pool.labels).length === 0 ? null : Buffer.from(JSON.stringify(pool.labels)),
    }),
    unmirror: (namespace, name, uid) => deletePool(db, namespace, name, uid),
  };
}

/** Removes the mirrors of objects that are gone: deleted while nobody watched. `existing` are the uids a complete list showed. */
export async function removeOrphanMirrors(db: Db, kind: 'workflows' | 'runnerpools', existing: ReadonlySet<string>): Promise<number> {
  const keys = kind === 'workflows' ? await workflowKeys(db) : await poolKeys(db);
  const orphans = keys.filter((key) => !existing.has(key.uid));
  const remove = kind === 'workflows' ? deleteWorkflow : deletePool;
  for (const { namespace, name, uid } of orphans) await remove(db, namespace, name, uid);
  return orphans.length;
}

/** Keeps a message nobody could use. */
export function keepDeadLetter(db: Db, subject: string, reason: string, payload: Uint8Array): Promise<void> {
  return deadLetter(db, { subject, reason, payload });
}
