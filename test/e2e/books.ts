import { randomUUID } from 'node:crypto';
import { type Site, until } from './site.ts';

/** Runs that are in flight while something is done to the installation, and what the books say of them afterwards. */

/** A pool of two runners that take many nodes at once. Resolves when both are ready. */
export async function steadyPool(site: Site, name: string): Promise<void> {
  await site.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name, namespace: 'default' }, spec: { minReady: 2, max: 2, slots: 32, reuse: 'Shared' } });
  await until('two ready runners', async () => (await site.pods('default', `rambo.dev/pool=${name}`)).filter((pod) => pod.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')).length >= 2, 90_000);
}

/** Chains that keep moving on: a wait of the controller, then a node of a runner. */
function steady(length: number, pool: string, duration: string): object[] {
  return Array.from({ length }, (_, i) => [
    { name: `w${i}`, type: 'wait', with: { duration }, ...(i === 0 ? {} : { dependsOn: [`t${i - 1}`] }) },
    { name: `t${i}`, type: 'transform', dependsOn: [`w${i}`], with: { output: i }, runner: { isolation: 'warm', pool } },
  ]).flat();
}

/** Starts `n` such runs over the API; their ids. A start that found the service busy is repeated under its key. */
export async function startRuns(site: Site, n: number, length: number, pool: string, duration = '200ms'): Promise<readonly string[]> {
  const starts = Array.from({ length: n }, () => site.ask<{ startRun: { run: { id: string } } }>(
    'mutation($i: StartRunInput!) { startRun(input: $i) { ... on RunPayload { run { id } } } }', { i: { namespace: 'default', definition: { nodes: steady(length, pool, duration) }, idempotencyKey: randomUUID() } }));
  return (await Promise.all(starts)).map(({ startRun }) => startRun.run.id);
}

/** How many of these runs have not ended. */
export async function unfinished(site: Site, ids: readonly string[]): Promise<number> {
  return (await site.sql('SELECT 1 FROM run WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL', [ids])).length;
}

/** What the books say of runs that have ended. */
export interface Books {
  readonly phases: readonly string[];
  /** Nodes that succeeded more than once. */
  readonly doubled: number;
  /** Nodes that were tried again. */
  readonly again: number;
  /** Nodes that did not succeed, or of which no attempt did. */
  readonly lost: number;
}

/** Waits for the end of all runs. */
export async function ended(site: Site, ids: readonly string[], timeoutMs = 120_000): Promise<Books> {
  await until('all runs to end', async () => await unfinished(site, ids) === 0, timeoutMs);
  const runs = await site.sql<{ phase: string }>('SELECT DISTINCT phase FROM run WHERE id = ANY ($1::uuid[])', [ids]);
  const [books] = await site.sql<{ doubled: number; again: number; lost: number }>(`
    WITH place AS (SELECT n.run_id, n.node, n.item, n.status, count(a.*) FILTER (WHERE a.status = 'Succeeded') AS good, count(a.*) AS tries
      FROM node_run n LEFT JOIN attempt a USING (run_id, node, item) WHERE n.run_id = ANY ($1::uuid[]) GROUP BY 1, 2, 3, 4)
    SELECT count(*) FILTER (WHERE good > 1)::int AS doubled, count(*) FILTER (WHERE tries > 1)::int AS again,
      count(*) FILTER (WHERE status <> 'Succeeded' OR (good = 0 AND node LIKE 't%'))::int AS lost FROM place`, [ids]);
  const finished = await site.sql<{ n: number }>(
    `SELECT count(*)::int AS n FROM (SELECT run_id, node, item FROM run_event WHERE run_id = ANY ($1::uuid[]) AND kind = 'NodeSucceeded' GROUP BY 1, 2, 3 HAVING count(*) > 1) twice`, [ids]);
  return { phases: runs.map((row) => row.phase), doubled: (books?.doubled ?? -1) + (finished[0]?.n ?? -1), again: books?.again ?? -1, lost: books?.lost ?? -1 };
}

/** Seconds in which none of these runs got on, in which one did not, and what the first lay between. */
export interface Pause {
  readonly all: number;
  readonly one: number;
  readonly between: string;
}

/** The longest pauses. */
export async function longestPause(site: Site, ids: readonly string[]): Promise<Pause> {
  const [row] = await site.sql<{ everyone: number; one: number }>(`
    WITH e AS (SELECT run_id, at, at - lag(at) OVER (ORDER BY at) AS everyone, at - lag(at) OVER (PARTITION BY run_id ORDER BY at) AS one FROM run_event WHERE run_id = ANY ($1::uuid[]))
    SELECT extract(epoch FROM max(everyone))::float AS everyone, extract(epoch FROM max(one))::float AS one FROM e`, [ids]);
  const [place] = await site.sql<{ between: string }>(`
    WITH e AS (SELECT kind, node, at, lag(kind) OVER w AS kind_before, lag(node) OVER w AS node_before, lag(at) OVER w AS before FROM run_event WHERE run_id = ANY ($1::uuid[]) WINDOW w AS (ORDER BY at))
    SELECT format('%s %s at %s and %s %s', kind_before, node_before, to_char(before AT TIME ZONE 'UTC', 'HH24:MI:SS.MS'), kind, node) AS between FROM e WHERE before IS NOT NULL ORDER BY at - before DESC LIMIT 1`, [ids]);
  return { all: row?.everyone ?? -1, one: row?.one ?? -1, between: place?.between ?? '' };
}
