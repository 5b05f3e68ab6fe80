import type { Statement } from './db.ts';

/*
 * The one statement of the hot path. Its parts, in the order in which they are evaluated (each reads what it needs):
 *
 *   fence   locks the batch's shard rows FOR KEY SHARE (a renewal passes beside, a takeover waits) and keeps those
 *           that are still ours under our epoch            -> held: all of them?
 *   idem    claims idempotency keys                        -> a run whose key is taken is not inserted
 *   ins/upd inserts new runs, moves existing ones on where the version is the expected one
 *   flags   per position of the batch: was the run written?
 *   the rest writes the rows of the runs that were: rows name their run by its position (`ri`), so the test is an
 *           array access
 *
 * Everything happens in one snapshot and one commit. A run that fails its test writes nothing. Parts that a batch has no
 * rows for are left out: setting up a part costs Postgres about 40 µs, which a lone run on its way feels.
 */

/** Which parts of the statement a batch has rows for. */
export interface CommitParts {
  /** Outbox rows to delete. */
  readonly gone: boolean;
  /** Idempotency keys. */
  readonly keyed: boolean;
  /** New runs. */
  readonly created: boolean;
  /** Existing runs. */
  readonly moved: boolean;
  readonly nodes: boolean;
  readonly attempts: boolean;
  readonly events: boolean;
  readonly sends: boolean;
  /** Timers set, cleared, or ended with their run. */
  readonly timers: boolean;
}

/** Numbers parameters in the order of the encoder. */
class Parameters {
  #count = 0;

  /** `unnest($1::a[], $2::b[])` with the next numbers. */
  unnest(...types: readonly string[]): string {
    return `unnest(${types.map((type) => this.next(`${type}[]`)).join(', ')})`;
  }

  next(type: string): string {
    return `$${++this.#count}::${type}`;
  }
}

/** Columns of a run's progress, in the order of the encoder. */
const PROGRESS = [
  ['phase', 'text'], ['started_at', 'timestamptz'], ['finished_at', 'timestamptz'], ['cancel', 'text'], ['suspended', 'bool'],
  ['exit_phase', 'text'], ['outputs', 'bytea'], ['error', 'bytea'], ['seq', 'int4'], ['total', 'int4'], ['done', 'int4'],
  ['counts', 'text'], ['failures', 'bytea'], ['review', 'text'],
] as const;

/** Columns of a run that are written once, after its id. */
const FACTS = [
  ['shard', 'int2'], ['namespace', 'text'], ['name', 'text'], ['uid', 'text'], ['source', 'text'], ['workflow', 'text'],
  ['definition_hash', 'text'], ['spec_hash', 'text'], ['input', 'bytea'], ['workflow_labels', 'bytea'], ['priority', 'int4'],
  ['principal', 'text'], ['traceparent', 'text'], ['created_at', 'timestamptz'],
] as const;

/** Columns of node_run after run_id. */
const NODE = [
  ['node', 'text'], ['item', 'int4'], ['status', 'text'], ['attempt', 'int4'], ['retries', 'int4'], ['infra', 'int4'],
  ['output', 'bytea'], ['error', 'bytea'], ['queued_at', 'timestamptz'], ['started_at', 'timestamptz'],
  ['finished_at', 'timestamptz'], ['due_at', 'timestamptz'], ['items', 'bytea'], ['send', 'int4'],
  ['pool', 'text'], ['mode', 'text'], ['pod', 'text'],
] as const;

/** Columns of attempt after run_id. */
const ATTEMPT = [
  ['node', 'text'], ['item', 'int4'], ['attempt', 'int4'], ['status', 'text'], ['error', 'bytea'], ['queued_at', 'timestamptz'],
  ['started_at', 'timestamptz'], ['finished_at', 'timestamptz'], ['pod', 'text'], ['runner', 'text'],
] as const;

/** Columns of run_event after run_id. */
const EVENT = [
  ['seq', 'int4'], ['at', 'timestamptz'], ['kind', 'text'], ['node', 'text'], ['item', 'int4'], ['attempt', 'int4'],
  ['reason', 'text'], ['principal', 'text'],
] as const;

/** Columns of outbox after run_id. */
const SEND = [['shard', 'int2'], ['node', 'text'], ['item', 'int4'], ['attempt', 'int4'], ['send', 'int4']] as const;

type Columns = readonly (readonly [name: string, type: string])[];

function names(columns: Columns): string {
  return columns.map(([name]) => name).join(', ');
}

function types(columns: Columns): readonly string[] {
  return columns.map(([, type]) => type);
}

/** Rows of one table for the runs that passed: `ri` first, then the columns. */
function childInsert(p: Parameters, ids: string, table: string, columns: Columns, tail: string): string {
  return `INSERT INTO ${table} (run_id, ${names(columns)})
    SELECT (${ids})[c.ri], ${columns.map(([name]) => `c.${name}`).join(', ')}
    FROM ${p.unnest('int4', ...types(columns))} AS c(ri, ${names(columns)})
    WHERE (SELECT f FROM flags)[c.ri] ${tail}`;
}

function nodeConflict(): string {
  const set = NODE.slice(2).map(([name]) => name === 'items' ? 'items = coalesce(excluded.items, n.items)' : `${name} = excluded.${name}`);
  return `ON CONFLICT (run_id, node, item) DO UPDATE SET ${set.join(', ')}`;
}

/** The shards: still ours? */
function fence(p: Parameters): readonly string[] {
  const owner = p.next('text');
  const shards = p.next('int2[]');
  return [
    `fence AS MATERIALIZED (
    SELECT s.id FROM unnest(${shards}, ${p.next('int8[]')}) AS w(id, epoch) JOIN shard s ON s.id = w.id AND s.epoch = w.epoch
    WHERE s.owner = ${owner} ORDER BY s.id FOR KEY SHARE OF s)`,
    `held AS MATERIALIZED (SELECT count(*) = cardinality(${shards}) AS ok FROM fence)`,
    `lost AS MATERIALIZED (SELECT string_agg(w.id::text, ',') AS ids FROM unnest(${shards}) AS w(id) WHERE w.id NOT IN (SELECT id FROM fence))`,
  ];
}

/** An expired key is taken over; a live one refuses its run. */
function idempotency(p: Parameters): string {
  return `idem AS (INSERT INTO idempotency AS i (namespace, principal, key, run_id, body_hash, expires_at)
    SELECT * FROM ${p.unnest('text', 'text', 'text', 'uuid', 'text', 'timestamptz')} WHERE (SELECT ok FROM held)
    ON CONFLICT (namespace, principal, key) DO UPDATE SET run_id = excluded.run_id, body_hash = excluded.body_hash, expires_at = excluded.expires_at
    WHERE i.expires_at <= now() RETURNING run_id)`;
}

/** New runs and their definitions. */
function inserts(p: Parameters, keyed: boolean): readonly string[] {
  const columns = [['id', 'uuid'], ...FACTS, ...PROGRESS] as const;
  return [
    `def AS (INSERT INTO definition (hash, spec) SELECT * FROM ${p.unnest('text', 'bytea')} WHERE (SELECT ok FROM held) ON CONFLICT DO NOTHING)`,
    `ins AS (INSERT INTO run (${names(columns)}) SELECT ${columns.map(([name]) => `c.${name}`).join(', ')}
    FROM ${p.unnest('bool', ...types(columns))} AS c(keyed, ${names(columns)})
    WHERE (SELECT ok FROM held)${keyed ? ' AND (NOT c.keyed OR c.id IN (SELECT run_id FROM idem))' : ''}
    ON CONFLICT DO NOTHING RETURNING id)`,
  ];
}

/** Existing runs, moved on where they stand at the expected version. */
function updates(p: Parameters): string {
  return `upd AS (UPDATE run AS r SET version = r.version + 1, ${PROGRESS.map(([name]) => `${name} = u.${name}`).join(', ')}
    FROM ${p.unnest('uuid', 'int4', ...types(PROGRESS))} AS u(id, expected, ${names(PROGRESS)})
    WHERE r.id = u.id AND r.version = u.expected AND (SELECT ok FROM held) RETURNING r.id)`;
}

/** Which positions of the batch were written. */
function flags(ids: string, parts: CommitParts): string {
  const passed = [parts.created && 'SELECT id FROM ins', parts.moved && 'SELECT id FROM upd'].filter((part) => part !== false);
  return `flags AS MATERIALIZED (SELECT ARRAY(SELECT b.id IN (${passed.join(' UNION ALL ')}) FROM unnest(${ids}) AS b(id)) AS f)`;
}

function timers(p: Parameters, ids: string): readonly string[] {
  const tail = 'ON CONFLICT (run_id, timer) DO UPDATE SET due_at = excluded.due_at';
  return [
    `timers AS (${childInsert(p, ids, 'timer', [['timer', 'text'], ['shard', 'int2'], ['due_at', 'timestamptz']], tail)})`,
    `cleared AS (DELETE FROM timer AS t USING ${p.unnest('int4', 'text')} AS c(ri, timer)
    WHERE t.run_id = (${ids})[c.ri] AND t.timer = c.timer AND (SELECT f FROM flags)[c.ri])`,
    `ended AS (DELETE FROM timer WHERE run_id = ANY (ARRAY(SELECT (${ids})[c.ri] FROM ${p.unnest('int4')} AS c(ri) WHERE (SELECT f FROM flags)[c.ri])))`,
  ];
}

function children(p: Parameters, ids: string, parts: CommitParts): readonly string[] {
  const all: string[] = [];
  if (parts.nodes) all.push(`nodes AS (${childInsert(p, ids, 'node_run AS n', NODE, nodeConflict())})`);
  if (parts.attempts) all.push(`attempts AS (${childInsert(p, ids, 'attempt', ATTEMPT, 'ON CONFLICT DO NOTHING')})`);
  if (parts.events) all.push(`events AS (${childInsert(p, ids, 'run_event', EVENT, '')})`);
  if (parts.sends) all.push(`sends AS (${childInsert(p, ids, 'outbox', SEND, 'RETURNING id')})`);
  if (parts.timers) all.push(...timers(p, ids));
  return all;
}

function commitText(parts: CommitParts): string {
  const p = new Parameters();
  const ids = p.next('uuid[]');
  const ctes = [...fence(p)];
  if (parts.gone) ctes.push(`gone AS (DELETE FROM outbox WHERE id = ANY (${p.next('int8[]')}))`);
  if (parts.keyed) ctes.push(idempotency(p));
  if (parts.created) ctes.push(...inserts(p, parts.keyed));
  if (parts.moved) ctes.push(updates(p));
  ctes.push(flags(ids, parts), ...children(p, ids, parts));
  return `WITH ${ctes.join(',\n')}
SELECT (SELECT ids FROM lost) AS "lost",
  (SELECT string_agg(ri::text, ',') FROM unnest((SELECT f FROM flags)) WITH ORDINALITY AS a(passed, ri) WHERE NOT passed) AS "refused",
  ${parts.sends ? "(SELECT string_agg(id::text, ',' ORDER BY id) FROM sends)" : 'NULL::text'} AS "sends"`;
}

const ORDER = ['gone', 'keyed', 'created', 'moved', 'nodes', 'attempts', 'events', 'sends', 'timers'] as const;
const statements = new Map<string, Statement>();

/** The statement for batches with these parts (`created` or `moved` among them); a dozen of them occur. */
export function commitStatement(parts: CommitParts): Statement {
  const name = `commit-${ORDER.map((part) => parts[part] ? '1' : '0').join('')}`;
  const known = statements.get(name);
  if (known !== undefined) return known;
  const made = { name, text: commitText(parts) };
  statements.set(name, made);
  return made;
}

/** Deletes what was published, where a batch holds no runs. */
export const PUBLISHED: Statement = { name: 'outbox-delete', text: 'DELETE FROM outbox WHERE id = ANY ($1::int8[])' };
