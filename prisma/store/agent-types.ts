import type { AgentPhase, ModelPurpose } from '../../crds/agent-run.ts';
import type { Bytes } from './types.ts';

/*
 * Rows of agent runs. Times are epoch milliseconds, money is bigint nano-USD (1e-9 USD), tokens are numbers; `null` means SQL NULL.
 */

/** Facts of an agent run that never change. `id` is `agentRunId(run, node, item)`. */
export interface AgentRunFacts {
  readonly id: string;
  readonly runId: string;
  readonly node: string;
  readonly item: number;
  readonly namespace: string;
  /** Null for an inline agent. */
  readonly agent: string | null;
  readonly revision: string;
  /** Workflow run at the top of a tree of nested agents. */
  readonly rootRun: string;
  /** Agent run whose tool call started this one. */
  readonly parent: string | null;
  readonly depth: number;
  readonly conversationId: string | null;
  readonly turn: number;
  readonly principal: string;
  /** Keys of the budget accounts that pay. */
  readonly accounts: readonly string[];
  readonly deadline: number | null;
  readonly createdAt: number;
}

/** What changes while an agent run goes on. `seq`, `updatedAt` and `finishedAt` are the store's own. */
export interface AgentRunProgress {
  readonly phase: AgentPhase;
  readonly reason: string | null;
  readonly message: string | null;
  /** Answered model calls for steps. */
  readonly step: number;
  /** The node's attempt that may write. */
  readonly epoch: number;
  readonly runner: string | null;
  /** The controller has recorded that the node waits. */
  readonly parked: boolean;
  /** Approvals, doubts, children and raised budgets that are waited for. */
  readonly awaited: number;
  readonly repairs: number;
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly modelCalls: number;
  readonly toolCalls: number;
  readonly costNano: bigint;
  readonly usageUnknown: boolean;
  readonly pendingApprovals: number;
  /** JSON, null until it succeeded. */
  readonly output: Bytes | null;
}

/** An agent run as stored. */
export interface AgentRunRow extends AgentRunFacts, AgentRunProgress {
  readonly seq: number;
  readonly updatedAt: number;
  readonly finishedAt: number | null;
}

/** Levels a budget is kept at. */
export const BUDGET_LEVELS = ['AgentRun', 'Run', 'AgentDay', 'NamespaceDay'] as const;
/** One of the levels. */
export type BudgetLevel = (typeof BUDGET_LEVELS)[number];

/** Tokens and money together. */
export interface Amount {
  readonly tokens: number;
  readonly nano: bigint;
}

/** A limit; null is none. */
export interface Limit {
  readonly tokens: number | null;
  readonly nano: bigint | null;
}

/** An account as it is made: with the limit that holds for it. */
export interface BudgetAccountCreate {
  readonly key: string;
  readonly namespace: string;
  readonly level: BudgetLevel;
  readonly limit: Limit;
}

/** An account. */
export interface BudgetAccountRow extends BudgetAccountCreate {
  readonly reserved: Amount;
  readonly spent: Amount;
  readonly warned: boolean;
}

/** A model call under way. */
export interface ReservationRow {
  readonly id: string;
  readonly agentRun: string;
  readonly step: number;
  readonly purpose: ModelPurpose;
  readonly model: string;
  readonly amount: Amount;
  readonly accounts: readonly string[];
  /** Gateway process that makes the call. */
  readonly holder: string;
  readonly holderUntil: number;
  readonly createdAt: number;
}
