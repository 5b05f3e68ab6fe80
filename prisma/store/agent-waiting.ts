import type { Executor } from './db.ts';
import { clamp, cut, LAST_ID } from './pages.ts';
import { iso } from './times.ts';
import type { Page } from './types.ts';

/* What agent runs wait for people about: approvals, and what tools ask. */

/** Window on what waits or waited in a namespace, newest first. */
export interface WaitingQuery<State extends string> {
  readonly namespace: string;
  readonly state?: State;
  readonly agentRun?: string;
  readonly after?: { readonly createdAt: number; readonly id: string };
  /** 1 to 500; clamped. */
  readonly first: number;
}

/** A table of it: columns are those of `w`. */
export interface WaitingTable {
  readonly name: string;
  readonly table: 'agent_approval' | 'agent_input';
  readonly columns: string;
}

/** A page of a table. What is not asked for is no part of the statement: each is planned once, for all values. */
export async function listWaiting<Row extends object>(db: Executor, { name, table, columns }: WaitingTable, { namespace, state, agentRun, after, first }: WaitingQuery<string>): Promise<Page<Row>> {
  const limit = clamp(first);
  const values: unknown[] = [namespace, after === undefined ? 'infinity' : iso(after.createdAt), after?.id ?? LAST_ID, limit + 1];
  const names = [name];
  const narrow = (label: string, test: (place: string) => string, value: string | undefined): string => {
    if (value === undefined) return '';
    values.push(value);
    names.push(label);
    return ` AND ${test(`$${values.length}`)}`;
  };
  const tests = narrow('state', (place) => `w.state = ${place}::text`, state) + narrow('run', (place) => `w.agent_run = ${place}::uuid`, agentRun);
  const text = `SELECT ${columns} FROM ${table} w WHERE w.namespace = $1::text AND (w.created_at, w.id) < ($2::timestamptz, $3::uuid)${tests} ORDER BY w.created_at DESC, w.id DESC LIMIT $4::int4`;
  return cut(await db.query<Row>({ name: names.join('-'), text }, values), limit);
}
