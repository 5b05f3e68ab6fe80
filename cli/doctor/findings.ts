import { REASONS } from '../../crds/conditions.ts';
import type { DatabaseFacts } from '../../prisma/backup/index.ts';
import { plural } from '../io/io.ts';
import type { ClusterFacts, Facts, ObjectFact, PodFact } from './facts.ts';

/** Something a person should know. A problem makes doctor end with code 1; a note does not. */
export interface Finding {
  readonly kind: 'problem' | 'note';
  /** One plain sentence: what is wrong, with names. */
  readonly what: string;
  /** What to do about it. */
  readonly todo: string;
}

/** What is wrong, the worst first. */
export function findings(facts: Facts): readonly Finding[] {
  const { database, cluster } = facts;
  const all = [
    ...('unseen' in database ? [note('unseen' in cluster ? 'problem' : 'note', `the database was not looked at: ${database.unseen}`, 'set DATABASE_URL')] : databaseFindings(facts, database)),
    ...('unseen' in cluster ? [note('note', `the API server was not looked at: ${cluster.unseen}`, 'set KUBECONFIG')] : clusterFindings(cluster)),
    ...facts.processes.filter((process) => process.ready !== true).map(({ name, says }) => problem(`${name} is not ready: ${says}`, 'see its log in the bundle')),
  ];
  return [...all.filter(({ kind }) => kind === 'problem'), ...all.filter(({ kind }) => kind === 'note')];
}

function note(kind: Finding['kind'], what: string, todo: string): Finding {
  return { kind, what, todo };
}

function problem(what: string, todo: string): Finding {
  return { kind: 'problem', what, todo };
}

function databaseFindings(facts: Facts, db: DatabaseFacts): readonly Finding[] {
  if (db.migrations.length === 0) return [problem('the database has no schema of RamBo', 'run the migration Job of the chart (helm upgrade runs it), or check DATABASE_URL')];
  return [...migrationFindings(facts, db), ...shardFindings(db), ...runFindings(db), ...serverFindings(db), ...db.unanswered.map((what) => note('note', `the database did not tell ${what}`, 'an older schema, or an account that may not look'))];
}

function migrationFindings({ known }: Facts, db: DatabaseFacts): readonly Finding[] {
  const missing = known.filter(({ name }) => !db.migrations.some((migration) => migration.name === name));
  const newer = db.migrations.filter(({ name }) => !known.some((migration) => migration.name === name));
  const changed = known.filter(({ name, checksum }) => db.migrations.some((migration) => migration.name === name && migration.checksum !== checksum));
  return [
    ...db.unfinished.map(({ name, startedAt, logs }) => problem(`migration ${name} was begun at ${startedAt} and never finished${logs === null || logs === '' ? '' : `: ${logs.slice(0, 200)}`}`, 'run the migration Job again: it finds out what became of it and goes on')),
    ...(missing.length === 0 ? [] : [problem(`the database lacks ${missing.map(({ name }) => name).join(', ')}`, 'run the migration Job of this release before its controllers')]),
    ...(changed.length === 0 ? [] : [problem(`${changed.map(({ name }) => name).join(', ')} in the database is of another build`, 'use the rambo of the release that migrated it')]),
    ...(newer.length === 0 ? [] : [note('note', `the database has ${newer.map(({ name }) => name).join(', ')}, which this rambo does not know`, 'a newer release migrated it; the one before works on it as well')]),
  ];
}

function shardFindings(db: DatabaseFacts): readonly Finding[] {
  const all = db.shards.reduce((sum, { shards }) => sum + shards, 0);
  const held = db.shards.filter(({ live }) => live).reduce((sum, { shards }) => sum + shards, 0);
  if (all !== 0 && all !== 257) return [problem(`the table of shards has ${all} rows, not 257`, 'restore it: INSERT INTO shard (id) SELECT generate_series(0, 256) ON CONFLICT DO NOTHING')];
  if (held === 0) return [problem('no controller holds shards: no run moves', 'is a controller running, and can it reach this database? see its log')];
  return held < all ? [problem(`${all - held} of ${all} shards have no owner: their runs do not move`, 'look again in 5 s; if it stays, a controller cannot take them: see its log')] : [];
}

function runFindings(db: DatabaseFacts): readonly Finding[] {
  const [first] = db.held;
  return [
    ...(first === undefined ? [] : [problem(`${db.held.length === 100 ? 'at least ' : ''}${plural(db.held.length, 'run')} ${db.held.length === 1 ? 'waits' : 'wait'} for a person (NeedsReview): ${db.held.slice(0, 5).map((run) => `${run.namespace}/${run.name} (${run.id})`).join(', ')}`,
      `${first.review}; resume (spec.suspend: false, or resumeRun) or cancel each: docs/backup.md`)]),
    ...(db.outbox.oldestSeconds > 60 ? [problem(`${db.outbox.rows} dispatches have not left, the oldest for ${db.outbox.oldestSeconds} s`, 'is NATS reachable from the controllers?')] : []),
    ...(db.deadLetters.lastDay > 0 ? [note('note', `${plural(db.deadLetters.lastDay, 'message')} could not be used in the last day; the latest: ${db.deadLetters.latest[0]?.subject ?? ''}: ${db.deadLetters.latest[0]?.reason ?? ''}`, 'see the table dead_letter')] : []),
  ];
}

function serverFindings(db: DatabaseFacts): readonly Finding[] {
  const off = ['fsync', 'synchronous_commit', 'full_page_writes'].filter((name) => db.settings[name] === 'off');
  const long = db.longTransactions.filter(({ seconds }) => seconds > 600);
  return [
    ...off.map((name) => problem(`Postgres runs with ${name}=off: what was answered can be lost in a crash`, `set ${name}=on`)),
    ...long.map(({ seconds, application, state }) => note('note', `a transaction of ${application === '' ? 'an unnamed client' : application} is open for ${Math.round(seconds / 60)} min (${state})`, 'it holds back vacuum and migrations: end it if nobody needs it')),
  ];
}

function clusterFindings(cluster: ClusterFacts): readonly Finding[] {
  return [
    ...cluster.crds.flatMap((crd) => {
      if (!crd.present) return [problem(`the kind ${crd.name} is not installed`, 'apply the CRDs of this release (helm upgrade, or kubectl apply --server-side -f crds/)')];
      if (!crd.established) return [problem(`the kind ${crd.name} is not served yet`, 'kubectl describe crd says why')];
      return crd.missingFields.length === 0 ? [] : [problem(`the kind ${crd.name} is of an older release: it drops ${crd.missingFields.slice(0, 5).join(', ')}`, 'apply the CRDs of this release; Helm does not upgrade those in crds/')];
    }),
    ...cluster.pools.flatMap((pool) => poolFinding(pool, cluster.pods)),
    ...cluster.pods.filter((pod) => pod.pool === undefined && pod.run === undefined).flatMap(systemPod),
    ...cluster.stalled.filter((run) => stalledReason(run) === REASONS.needsReview).slice(0, 5).map((run) => note('note', `run ${run.namespace}/${run.name} is Stalled (NeedsReview)`, 'resume or cancel it: docs/backup.md')),
    ...cluster.workflows.filter((workflow) => workflow.phase === 'Invalid').slice(0, 10).map((workflow) => note('note', `workflow ${workflow.namespace}/${workflow.name} is Invalid: ${conditionText(workflow)}`, 'mend the manifest')),
    ...cluster.unanswered.map((what) => note('note', `the API server did not tell ${what}`, 'the account of this kubeconfig may not look')),
  ];
}

function stalledReason(run: ObjectFact): string | undefined {
  return run.conditions.find(({ type, status }) => type === 'Stalled' && status === 'True')?.reason;
}

function conditionText(object: ObjectFact): string {
  return object.conditions.find(({ status, message }) => status === 'False' && message !== undefined)?.message?.slice(0, 200) ?? 'see its conditions';
}

/** A pool is well when it has the runners it wants; one that wants none is only told of when its pods fail. */
function poolFinding(pool: ObjectFact, pods: readonly PodFact[]): readonly Finding[] {
  const own = pods.filter((pod) => pod.namespace === pool.namespace && pod.pool === pool.name);
  const why = own.map(podProblem).find((text) => text !== undefined);
  const ready = own.filter((pod) => pod.ready).length;
  const place = `pool ${pool.namespace}/${pool.name}`;
  if (ready === 0 && ((pool.minReady ?? 0) > 0 || why !== undefined)) {
    return [problem(`${place} has no ready runner${why === undefined ? own.length === 0 ? ': it has no pods' : '' : `: ${why}`}`, 'kubectl get pods -l rambo.dev/pool; its nodes stay Queued and fail at pendingTimeout')];
  }
  return why === undefined ? [] : [note('note', `${place} has ${plural(ready, 'ready runner')}, and one that does not become ready: ${why}`, 'kubectl describe pod')];
}

function systemPod(pod: PodFact): readonly Finding[] {
  const why = podProblem(pod);
  return why === undefined ? [] : [problem(`pod ${pod.namespace}/${pod.name} is not well: ${why}`, 'see its log in the bundle')];
}

/** Why a pod does not run as it should; undefined when it does, or has ended. */
export function podProblem(pod: PodFact): string | undefined {
  if (pod.phase === 'Succeeded') return undefined;
  for (const container of pod.containers) {
    if (container.ready) continue;
    const state = /^(?:waiting|terminated): (?!ContainerCreating|PodInitializing|Completed)(.+)/.exec(container.state)?.[1];
    if (state !== undefined) return `${state}${container.message === undefined || container.message === '' ? '' : `: ${container.message.slice(0, 200)}`}${container.restarts > 0 ? ` (${plural(container.restarts, 'restart')})` : ''}`;
  }
  return pod.phase === 'Failed' || (pod.phase === 'Pending' && pod.message !== undefined) ? pod.message ?? pod.phase : undefined;
}
