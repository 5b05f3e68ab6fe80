import type { AgentEventPayload } from '../../crds/agent-run.ts';
import type { Ended } from '../../crds/agent-gateway.ts';
import type { AgentRunProgress, AgentRunRow, Appending } from '../../prisma/store/index.ts';

/** What ends an agent run: its last event and what that changes in the row. */
export function ending(end: AgentEventPayload<'RunCompleted'>): Pick<Appending<undefined>, 'events'> & { readonly set: Partial<AgentRunProgress> } {
  const output = end.phase === 'Succeeded' ? Buffer.from(JSON.stringify(end.output ?? null)) : null;
  return {
    events: [{ kind: 'RunCompleted', payload: end }],
    set: { phase: end.phase, reason: end.reason ?? null, message: end.message ?? null, awaited: 0, pendingApprovals: 0, output },
  };
}

/** How an agent run ended, as whoever asks is told; undefined while it has not. */
export function endedOf(run: AgentRunRow): Ended | undefined {
  if (run.finishedAt === null) return undefined;
  return {
    phase: run.phase, ...(run.reason === null ? {} : { reason: run.reason }), ...(run.message === null ? {} : { message: run.message }),
    ...(run.output === null ? {} : { output: JSON.parse(new TextDecoder().decode(run.output)) as unknown }),
  };
}

/** Why an agent run ended, where the gateway ends it. */
export const REASONS = {
  steps: 'StepLimit', deadline: 'DeadlineExceeded', budget: 'BudgetExceeded', repeated: 'RepeatedCall', output: 'OutputInvalid', guardrail: 'GuardrailDenied',
  unavailable: 'ModelUnavailable', refused: 'ModelRefused', gone: 'RunEnded',
} as const;
