import { parseAgentEvent, type AgentEvent } from '../../crds/agent-run.ts';
import type { AgentRunRow, BudgetAccountRow, BudgetLevel, Limit, ReservationRow } from './agent-types.ts';

/* Column lists of the agents' tables. Postgres sends 64-bit integers as text: the functions beside them give the rows of agent-types.ts. */

/** AgentRunRow, but for its 64-bit integers. */
export const AGENT_RUN = `a.id, a.run_id AS "runId", a.node, a.item, a.namespace, a.agent, a.revision, a.root_run AS "rootRun", a.parent, a.depth,
  a.conversation_id AS "conversationId", a.turn, a.principal, a.phase, a.reason, a.message, a.step, a.seq, a.epoch, a.runner, a.parked, a.awaited, a.accounts, a.repairs,
  a.input_tokens AS "inputTokens", a.cached_tokens AS "cachedTokens", a.output_tokens AS "outputTokens", a.reasoning_tokens AS "reasoningTokens",
  a.model_calls AS "modelCalls", a.tool_calls AS "toolCalls", a.cost_nano AS "costNano", a.usage_unknown AS "usageUnknown", a.pending_approvals AS "pendingApprovals",
  a.output, a.deadline, a.created_at AS "createdAt", a.updated_at AS "updatedAt", a.finished_at AS "finishedAt"`;

type Counter = 'inputTokens' | 'cachedTokens' | 'outputTokens' | 'reasoningTokens';
/** An agent run as the driver gives it. */
export type StoredAgentRun = Omit<AgentRunRow, Counter | 'costNano'> & Readonly<Record<Counter | 'costNano', string>>;

/** The row of agent-types.ts. */
export function agentRunOf(row: StoredAgentRun): AgentRunRow {
  return {
    ...row, inputTokens: Number(row.inputTokens), cachedTokens: Number(row.cachedTokens), outputTokens: Number(row.outputTokens), reasoningTokens: Number(row.reasoningTokens),
    costNano: BigInt(row.costNano),
  };
}

/** A stored event. */
export const AGENT_EVENT = 'e.seq, e.at, e.kind, e.payload';

/** An event as the driver gives it. */
export interface StoredAgentEvent { readonly seq: number; readonly at: number; readonly kind: string; readonly payload: Uint8Array }

/** The event of the journal. Throws where its payload does not fit its kind. */
export function agentEventOf({ seq, at, kind, payload }: StoredAgentEvent): AgentEvent {
  return parseAgentEvent(seq, at, kind, JSON.parse(new TextDecoder().decode(payload)));
}

/** A limit from its two columns. */
export function limitOf(tokens: string | null, nano: string | null): Limit {
  return { tokens: tokens === null ? null : Number(tokens), nano: nano === null ? null : BigInt(nano) };
}

/** BudgetAccountRow. */
export const BUDGET_ACCOUNT = `b.key, b.namespace, b.level, b.limit_tokens AS "limitTokens", b.limit_nano AS "limitNano", b.reserved_tokens AS "reservedTokens",
  b.reserved_nano AS "reservedNano", b.spent_tokens AS "spentTokens", b.spent_nano AS "spentNano", b.warned`;

/** An account as the driver gives it. */
export interface StoredAccount {
  readonly key: string; readonly namespace: string; readonly level: BudgetLevel; readonly limitTokens: string | null; readonly limitNano: string | null;
  readonly reservedTokens: string; readonly reservedNano: string; readonly spentTokens: string; readonly spentNano: string; readonly warned: boolean;
}

/** The row of agent-types.ts. */
export function accountOf(row: StoredAccount): BudgetAccountRow {
  const { key, namespace, level, limitTokens, limitNano, warned } = row;
  return {
    key, namespace, level, warned,
    limit: limitOf(limitTokens, limitNano),
    reserved: { tokens: Number(row.reservedTokens), nano: BigInt(row.reservedNano) }, spent: { tokens: Number(row.spentTokens), nano: BigInt(row.spentNano) },
  };
}

/** ReservationRow. */
export const RESERVATION = `v.id, v.agent_run AS "agentRun", v.step, v.purpose, v.model, v.tokens, v.nano, v.accounts, v.holder, v.holder_until AS "holderUntil", v.created_at AS "createdAt"`;

/** A reservation as the driver gives it. */
export type StoredReservation = Omit<ReservationRow, 'amount'> & { readonly tokens: string; readonly nano: string };

/** The row of agent-types.ts. */
export function reservationOf({ tokens, nano, ...row }: StoredReservation): ReservationRow {
  return { ...row, amount: { tokens: Number(tokens), nano: BigInt(nano) } };
}
