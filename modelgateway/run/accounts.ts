import type { RevisionSpec } from '../../crds/agent-revision.ts';
import type { AgentRunRow, BudgetAccountCreate, BudgetLevel, BudgetLimitRow, Limit } from '../../prisma/store/index.ts';

/** What holds where nobody said otherwise: of one workflow run, and of one namespace in a day (UTC). Null: no limit. */
export interface DefaultLimits {
  readonly run: Limit;
  readonly namespaceDay: Limit;
}

/** Who spends. */
export interface Spender {
  readonly id: string;
  readonly namespace: string;
  readonly agent: string | null;
  readonly rootRun: string;
  /** Agent run above it. */
  readonly parent: AgentRunRow | undefined;
  readonly at: number;
}

const NONE: Limit = { tokens: null, nano: null };
const AGENT_RUN = 'agentrun:';

/** Accounts that pay for an agent run, with their limits; and those of its ancestors, which are there already. */
export function accountsOf({ id, namespace, agent, rootRun, parent, at }: Spender, spec: RevisionSpec, set: readonly BudgetLimitRow[], defaults: DefaultLimits): { readonly keys: readonly string[]; readonly make: readonly BudgetAccountCreate[] } {
  const day = new Date(at).toISOString().slice(0, 10);
  const limitOf = (level: BudgetLevel, name: string, otherwise: Limit): Limit => set.find((row) => row.level === level && row.name === name)?.limit ?? otherwise;
  const make: BudgetAccountCreate[] = [
    { key: `${AGENT_RUN}${id}`, namespace, level: 'AgentRun', limit: limitOf('AgentRun', agent ?? '', amounts(spec.budget)) },
    { key: `run:${rootRun}`, namespace, level: 'Run', limit: limitOf('Run', '', defaults.run) },
    { key: `ns:${namespace}:${day}`, namespace, level: 'NamespaceDay', limit: limitOf('NamespaceDay', '', defaults.namespaceDay) },
    ...(agent === null ? [] : [{ key: `agent:${namespace}/${agent}:${day}`, namespace, level: 'AgentDay' as const, limit: limitOf('AgentDay', agent, amounts(spec.dailyBudget)) }]),
  ];
  const above = parent?.accounts.filter((key) => key.startsWith(AGENT_RUN)) ?? [];
  return { keys: [...new Set([...make.map(({ key }) => key), ...above])].sort(), make };
}

function amounts({ tokens, nano }: { readonly tokens?: number | undefined; readonly nano?: string | undefined }): Limit {
  if (tokens === undefined && nano === undefined) return NONE;
  return { tokens: tokens ?? null, nano: nano === undefined ? null : BigInt(nano) };
}
