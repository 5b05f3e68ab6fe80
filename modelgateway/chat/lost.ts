import type { NewAgentEvent } from '../../crds/agent-run.ts';
import { settle, type AgentRunProgress, type AgentRunRow, type Executor, type ReservationRow } from '../../prisma/store/index.ts';

/**
 * Charges a call at its estimate whose gateway is gone: what it cost nobody knows, and it is never free. Call it in a transaction that holds
 * the agent run. Gives nothing where it was settled meanwhile.
 */
export async function chargeLost(tx: Executor, run: AgentRunRow, { id, step, purpose, model, amount }: ReservationRow): Promise<{ readonly events: readonly NewAgentEvent[]; readonly set?: Partial<AgentRunProgress> }> {
  if (!(await settle(tx, id, 'estimate'))) return { events: [] };
  return {
    events: [{ kind: 'ModelFailed', payload: {
      step, purpose, requestId: id, model, code: 'Lost', message: 'the model gateway that made this call is gone: the call is charged at its estimate',
      charged: { tokens: amount.tokens, nano: String(amount.nano) },
    } }],
    set: { costNano: run.costNano + amount.nano, inputTokens: run.inputTokens + amount.tokens, modelCalls: run.modelCalls + 1, usageUnknown: true },
  };
}
