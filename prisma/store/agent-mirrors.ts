import { texts } from './binary.ts';
import type { Executor, Statement } from './db.ts';
import type { MirrorKey, ObjectCursor } from './mirrors.ts';
import { clamp, cut } from './pages.ts';
import { iso, isoOrNull } from './times.ts';
import type { Bytes, Page } from './types.ts';

/*
 * Mirrors of Agent, Model and ToolServer: written by the controller (owner of the singleton shard), read by the model gateway and the API. A newer
 * generation of the same object replaces an older one, never the other way; another uid is another object and always replaces.
 */

/** What every mirror of a definition of agents holds. */
export interface AgentDefinitionRow {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  /** JSON of the spec with defaults; `null` as JSON where it cannot be read. */
  readonly spec: Bytes;
  /** JSON. */
  readonly labels: Bytes | null;
  /** Whether the condition `Ready` is True, with its reason and message. */
  readonly phase: 'Ready' | 'NotReady';
  readonly reason: string;
  readonly message: string;
  readonly updatedAt: number;
}

/** Mirror of an Agent. Runs get `stableRevision`; null before the first one resolved. */
export interface AgentRow extends AgentDefinitionRow {
  readonly desiredRevision: string | null;
  readonly stableRevision: string | null;
}

/** Mirror of a Model. */
export interface ModelRow extends AgentDefinitionRow {
  readonly probedAt: number | null;
}

/** Mirror of a ToolServer. `tools` is JSON of `knownToolsSchema`, null before its tools were found. */
export interface ToolServerRow extends AgentDefinitionRow {
  readonly tools: Bytes | null;
  readonly discoveryHash: string | null;
  readonly acceptedHash: string | null;
  readonly discoveredAt: number | null;
}

/** Totals of an agent's runs. */
export interface AgentUsageRow {
  readonly runs: number;
  readonly input: number;
  readonly output: number;
  readonly modelCalls: number;
  readonly toolCalls: number;
  readonly nano: bigint;
}

type Table = 'agent' | 'language_model' | 'tool_server';
interface Extra { readonly column: string; readonly field: string; readonly type: 'text' | 'bytea' | 'timestamptz' }

const EXTRAS: Readonly<Record<Table, readonly Extra[]>> = {
  agent: [{ column: 'desired_revision', field: 'desiredRevision', type: 'text' }, { column: 'stable_revision', field: 'stableRevision', type: 'text' }],
  language_model: [{ column: 'probed_at', field: 'probedAt', type: 'timestamptz' }],
  tool_server: [
    { column: 'tools', field: 'tools', type: 'bytea' }, { column: 'discovery_hash', field: 'discoveryHash', type: 'text' }, { column: 'accepted_hash', field: 'acceptedHash', type: 'text' },
    { column: 'discovered_at', field: 'discoveredAt', type: 'timestamptz' },
  ],
};
const COMMON = ['namespace', 'name', 'uid', 'generation', 'resource_version', 'spec', 'labels', 'phase', 'reason', 'message', 'updated_at'] as const;
const COMMON_TYPES = ['text', 'text', 'text', 'int4', 'text', 'bytea', 'bytea', 'text', 'text', 'text', 'timestamptz'] as const;

interface Statements { readonly upsert: Statement; readonly remove: Statement; readonly get: Statement; readonly some: Statement; readonly list: Statement; readonly keys: Statement }

function statementsOf(table: Table): Statements {
  const extras = EXTRAS[table];
  const columns = [...COMMON, ...extras.map(({ column }) => column)];
  const types = [...COMMON_TYPES, ...extras.map(({ type }) => type)];
  const rest = columns.filter((column) => column !== 'namespace' && column !== 'name');
  const select = [
    't.namespace, t.name, t.uid, t.generation, t.resource_version AS "resourceVersion", t.spec, t.labels, t.phase, t.reason, t.message, t.updated_at AS "updatedAt"',
    ...extras.map(({ column, field }) => `t.${column} AS "${field}"`),
  ].join(', ');
  return {
    upsert: {
      name: `${table}-upsert`,
      text: `INSERT INTO ${table} AS t (${columns.join(', ')}) VALUES (${types.map((type, i) => `$${i + 1}::${type}`).join(', ')})
  ON CONFLICT (namespace, name) DO UPDATE SET ${rest.map((column) => `${column} = excluded.${column}`).join(', ')}
  WHERE t.uid <> excluded.uid OR t.generation <= excluded.generation`,
    },
    remove: { name: `${table}-delete`, text: `DELETE FROM ${table} WHERE namespace = $1::text AND name = $2::text AND uid = $3::text` },
    get: { name: `${table}-get`, text: `SELECT ${select} FROM ${table} t WHERE t.namespace = $1::text AND t.name = $2::text` },
    some: { name: `${table}-some`, text: `SELECT ${select} FROM ${table} t WHERE t.namespace = $1::text AND t.name = ANY ($2::text[])` },
    list: {
      name: `${table}-list`,
      text: `SELECT ${select} FROM ${table} t WHERE t.namespace = ANY ($1::text[]) AND (t.namespace, t.name) > ($2::text, $3::text) ORDER BY t.namespace, t.name LIMIT $4::int4`,
    },
    keys: { name: `${table}-keys`, text: `SELECT namespace, name, uid, generation FROM ${table}` },
  };
}

const AGENT = statementsOf('agent');
const MODEL = statementsOf('language_model');
const SERVER = statementsOf('tool_server');

const SPENT: Statement = { name: 'agent-day-accounts', text: 'SELECT key FROM budget_account WHERE key = ANY ($1::text[]) AND updated_at > $2::timestamptz' };
const TOTALS = `count(*)::text AS runs, coalesce(sum(input_tokens), 0)::text AS input, coalesce(sum(output_tokens), 0)::text AS output, coalesce(sum(model_calls), 0)::text AS "modelCalls",
  coalesce(sum(tool_calls), 0)::text AS "toolCalls", coalesce(sum(cost_nano), 0)::text AS nano`;
const OF_AGENT = 'FROM agent_run WHERE namespace = $1::text AND agent = $2::text AND created_at >= $3::timestamptz';
const USAGE_SETTLED: Statement = { name: 'agent-usage-settled', text: `SELECT ${TOTALS} ${OF_AGENT} AND finished_at > $4::timestamptz AND finished_at <= $5::timestamptz` };
const USAGE_OPEN: Statement = {
  name: 'agent-usage-open',
  text: `SELECT ${TOTALS} FROM (SELECT * ${OF_AGENT} AND finished_at IS NULL UNION ALL SELECT * ${OF_AGENT} AND finished_at > $4::timestamptz) AS late`,
};

function common(row: AgentDefinitionRow): readonly (string | number | Bytes | null)[] {
  return [row.namespace, row.name, row.uid, row.generation, row.resourceVersion, row.spec, row.labels, row.phase, row.reason, row.message, iso(row.updatedAt)];
}

/** Writes an Agent. An older generation changes nothing. */
export async function upsertAgent(db: Executor, row: AgentRow): Promise<void> {
  await db.query(AGENT.upsert, [...common(row), row.desiredRevision, row.stableRevision]);
}

/** Removes an Agent with that uid. Its revisions stay: runs and conversations go on with them. */
export async function deleteAgent(db: Executor, namespace: string, name: string, uid: string): Promise<void> {
  await db.query(AGENT.remove, [namespace, name, uid]);
}

/** One Agent. */
export async function getAgent(db: Executor, namespace: string, name: string): Promise<AgentRow | undefined> {
  return (await db.query<AgentRow>(AGENT.get, [namespace, name]))[0];
}

/** Agents of one namespace by name; those that are missing are left out. */
export async function agentsByName(db: Executor, namespace: string, names: readonly string[]): Promise<readonly AgentRow[]> {
  return names.length === 0 ? [] : db.query<AgentRow>(AGENT.some, [namespace, texts(names, (name) => name)]);
}

/** Agents of some namespaces by namespace and name, from above `after`. */
export async function listAgents(db: Executor, namespaces: readonly string[], after: ObjectCursor | undefined, first: number): Promise<Page<AgentRow>> {
  return page<AgentRow>(db, AGENT.list, namespaces, after, first);
}

/** All mirrored Agents without their content. */
export async function agentKeys(db: Executor): Promise<readonly MirrorKey[]> {
  return db.query<MirrorKey>(AGENT.keys, []);
}

/** Writes a Model. An older generation changes nothing. */
export async function upsertModel(db: Executor, row: ModelRow): Promise<void> {
  await db.query(MODEL.upsert, [...common(row), isoOrNull(row.probedAt)]);
}

/** Removes a Model with that uid. */
export async function deleteModel(db: Executor, namespace: string, name: string, uid: string): Promise<void> {
  await db.query(MODEL.remove, [namespace, name, uid]);
}

/** One Model. */
export async function getModel(db: Executor, namespace: string, name: string): Promise<ModelRow | undefined> {
  return (await db.query<ModelRow>(MODEL.get, [namespace, name]))[0];
}

/** Models of one namespace by name; those that are missing are left out. */
export async function modelsByName(db: Executor, namespace: string, names: readonly string[]): Promise<readonly ModelRow[]> {
  return names.length === 0 ? [] : db.query<ModelRow>(MODEL.some, [namespace, texts(names, (name) => name)]);
}

/** Models of some namespaces by namespace and name, from above `after`. */
export async function listModels(db: Executor, namespaces: readonly string[], after: ObjectCursor | undefined, first: number): Promise<Page<ModelRow>> {
  return page<ModelRow>(db, MODEL.list, namespaces, after, first);
}

/** All mirrored Models without their content. */
export async function modelKeys(db: Executor): Promise<readonly MirrorKey[]> {
  return db.query<MirrorKey>(MODEL.keys, []);
}

/** Writes a ToolServer with what is known of its tools. An older generation changes nothing. */
export async function upsertToolServer(db: Executor, row: ToolServerRow): Promise<void> {
  await db.query(SERVER.upsert, [...common(row), row.tools, row.discoveryHash, row.acceptedHash, isoOrNull(row.discoveredAt)]);
}

/** Removes a ToolServer with that uid. */
export async function deleteToolServer(db: Executor, namespace: string, name: string, uid: string): Promise<void> {
  await db.query(SERVER.remove, [namespace, name, uid]);
}

/** One ToolServer. */
export async function getToolServer(db: Executor, namespace: string, name: string): Promise<ToolServerRow | undefined> {
  return (await db.query<ToolServerRow>(SERVER.get, [namespace, name]))[0];
}

/** ToolServers of one namespace by name; those that are missing are left out. */
export async function toolServersByName(db: Executor, namespace: string, names: readonly string[]): Promise<readonly ToolServerRow[]> {
  return names.length === 0 ? [] : db.query<ToolServerRow>(SERVER.some, [namespace, texts(names, (name) => name)]);
}

/** ToolServers of some namespaces by namespace and name, from above `after`. */
export async function listToolServers(db: Executor, namespaces: readonly string[], after: ObjectCursor | undefined, first: number): Promise<Page<ToolServerRow>> {
  return page<ToolServerRow>(db, SERVER.list, namespaces, after, first);
}

/** All mirrored ToolServers without their content. */
export async function toolServerKeys(db: Executor): Promise<readonly MirrorKey[]> {
  return db.query<MirrorKey>(SERVER.keys, []);
}

/** Which of some daily accounts of agents (`agent:<namespace>/<name>:<day>`) were booked on since a time. */
export async function agentAccountsSince(db: Executor, keys: readonly string[], since: number): Promise<readonly string[]> {
  return keys.length === 0 ? [] : (await db.query<{ key: string }>(SPENT, [texts(keys, (key) => key), iso(since)])).map(({ key }) => key);
}

/** Totals of the runs that an Agent began since a time and that ended above `from`, at `to` at the latest: they change no more. */
export async function agentUsageSettled(db: Executor, namespace: string, name: string, { since, from, to }: { readonly since: number; readonly from: number; readonly to: number }): Promise<AgentUsageRow> {
  return totalsOf(await db.query<StoredTotals>(USAGE_SETTLED, [namespace, name, iso(since), iso(from), iso(to)]));
}

/** Totals of the runs that an Agent began since a time and that are open, or ended above `from`. */
export async function agentUsageOpen(db: Executor, namespace: string, name: string, { since, from }: { readonly since: number; readonly from: number }): Promise<AgentUsageRow> {
  return totalsOf(await db.query<StoredTotals>(USAGE_OPEN, [namespace, name, iso(since), iso(from)]));
}

type StoredTotals = Readonly<Record<keyof AgentUsageRow, string>>;

function totalsOf([row]: readonly StoredTotals[]): AgentUsageRow {
  const count = (field: Exclude<keyof AgentUsageRow, 'nano'>): number => Number(row?.[field] ?? 0);
  return { runs: count('runs'), input: count('input'), output: count('output'), modelCalls: count('modelCalls'), toolCalls: count('toolCalls'), nano: BigInt(row?.nano ?? 0) };
}

async function page<Row extends object>(db: Executor, statement: Statement, namespaces: readonly string[], after: ObjectCursor | undefined, first: number): Promise<Page<Row>> {
  const limit = clamp(first);
  const rows = await db.query<Row>(statement, [texts(namespaces, (name) => name), after?.namespace ?? '', after?.name ?? '', limit + 1]);
  return cut(rows, limit);
}
