import type { InputAnswers, InputQuestion } from '../../crds/agent-run.ts';
import { listWaiting, type WaitingQuery } from './agent-waiting.ts';
import type { Executor, Statement } from './db.ts';
import { iso } from './times.ts';
import type { Bytes, Page } from './types.ts';

/** States of what a tool asks; only `Pending` is ever left. */
export const INPUT_STATES = ['Pending', 'Answered', 'Expired', 'Voided'] as const;
/** One of the states. */
export type InputState = (typeof INPUT_STATES)[number];

/** What a tool asks in the middle of a call, as it is written down. */
export interface InputCreate {
  readonly id: string;
  readonly agentRun: string;
  readonly callId: string;
  readonly namespace: string;
  /** Display name of the tool. */
  readonly tool: string;
  /** Place among the rounds of the call, from 1. */
  readonly round: number;
  readonly hash: string;
  /** JSON of the questions. */
  readonly questions: Bytes;
  /** Users and groups who may answer; empty: whoever has the right. */
  readonly answerers: readonly string[];
  readonly expiresAt: number;
  readonly createdAt: number;
}

/** What a tool asks. */
export interface InputRow extends InputCreate {
  readonly state: InputState;
  readonly decidedBy: string | null;
  readonly decidedAt: number | null;
  /** JSON of the answers, by the keys of the questions. */
  readonly answers: Bytes | null;
}

const INPUT = `w.id, w.agent_run AS "agentRun", w.call_id AS "callId", w.namespace, w.tool, w.round, w.hash, w.questions, w.answerers, w.state, w.expires_at AS "expiresAt",
  w.decided_by AS "decidedBy", w.decided_at AS "decidedAt", w.answers, w.created_at AS "createdAt"`;

const ADD: Statement = {
  name: 'input-add',
  text: `INSERT INTO agent_input (id, agent_run, call_id, namespace, tool, round, hash, questions, answerers, state, expires_at, created_at)
  VALUES ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::int4, $7::text, $8::bytea, $9::text[], 'Pending', $10::timestamptz, $11::timestamptz)`,
};
const GET: Statement = { name: 'input-get', text: `SELECT ${INPUT} FROM agent_input w WHERE w.id = $1::uuid` };
const LAST: Statement = { name: 'input-of-call', text: `SELECT ${INPUT} FROM agent_input w WHERE w.agent_run = $1::uuid AND w.call_id = $2::text ORDER BY w.round DESC LIMIT 1` };
const CLOSE: Statement = {
  name: 'input-close',
  text: `UPDATE agent_input SET state = $2::text, decided_by = $3::text, decided_at = $4::timestamptz, answers = $5::bytea WHERE id = $1::uuid AND state = 'Pending' RETURNING id`,
};
const EXPIRING: Statement = { name: 'inputs-expiring', text: `SELECT ${INPUT} FROM agent_input w WHERE w.state = 'Pending' AND w.expires_at <= $1::timestamptz ORDER BY w.expires_at LIMIT $2::int4` };
const VOID: Statement = {
  name: 'inputs-void',
  text: `UPDATE agent_input SET state = 'Voided', decided_at = $2::timestamptz, decided_by = 'rambo' WHERE agent_run = $1::uuid AND state = 'Pending'`,
};

/** Writes down what a tool asks. Hold the agent run's row; at most one round of a call is open. */
export async function addInput(tx: Executor, row: InputCreate): Promise<void> {
  await tx.query(ADD, [row.id, row.agentRun, row.callId, row.namespace, row.tool, row.round, row.hash, row.questions, [...row.answerers], iso(row.expiresAt), iso(row.createdAt)]);
}

/** What a tool asks, by its id (a UUID), whoever's namespace it is in. */
export async function inputById(db: Executor, id: string): Promise<InputRow | undefined> {
  return (await db.query<InputRow>(GET, [id]))[0];
}

/** The newest round of a call; undefined: its tool has asked nothing. */
export async function inputOfCall(db: Executor, agentRun: string, callId: string): Promise<InputRow | undefined> {
  return (await db.query<InputRow>(LAST, [agentRun, callId]))[0];
}

/** What an answer writes. */
export interface InputClosing {
  readonly state: 'Answered' | 'Expired';
  readonly by: string;
  readonly at: number;
  readonly answers: Bytes;
}

/** Answers once: false where it was answered before. */
export async function closeInput(tx: Executor, id: string, { state, by, at, answers }: InputClosing): Promise<boolean> {
  return (await tx.query(CLOSE, [id, state, by, iso(at), answers])).length > 0;
}

/** What nobody answered in time. */
export async function expiredInputs(db: Executor, at: number, limit: number): Promise<readonly InputRow[]> {
  return db.query<InputRow>(EXPIRING, [iso(at), limit]);
}

/** Closes what is asked in an agent run that ends. Hold its row. */
export async function voidInputs(tx: Executor, agentRun: string, at: number): Promise<void> {
  await tx.query(VOID, [agentRun, iso(at)]);
}

/** Window on what tools ask, newest first. */
export type InputQuery = WaitingQuery<InputState>;

/** What tools ask in a namespace. */
export function listInputs(db: Executor, query: InputQuery): Promise<Page<InputRow>> {
  return listWaiting(db, { name: 'inputs-list', table: 'agent_input', columns: INPUT }, query);
}

/** The questions of a row, which were checked when they were written. */
export function questionsOf({ questions }: Pick<InputRow, 'questions'>): readonly InputQuestion[] {
  const given: readonly InputQuestion[] = JSON.parse(new TextDecoder().decode(questions));
  return given;
}

/** The answers of a row; undefined while there are none. */
export function answersOf({ answers }: Pick<InputRow, 'answers'>): InputAnswers | undefined {
  if (answers === null) return undefined;
  const given: InputAnswers = JSON.parse(new TextDecoder().decode(answers));
  return given;
}
