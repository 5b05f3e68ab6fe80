import type { Ended } from '../../../crds/agent-gateway.ts';
import { failure, type Outcome } from '../../core/types.ts';
import type { Final, GatewayClient } from './client.ts';

/** How the node ended, from what ended the loop. */
export function outcomeOf(answer: Final, client: Pick<GatewayClient, 'parked'>): Outcome {
  switch (answer.kind) {
    case 'ended': return endedOutcome(answer.ended);
    case 'waiting': return { ok: 'parked', why: answer.why, recorded: () => client.parked() };
    case 'aborted': return failure('Cancelled', 'Cancelled', 'the attempt was stopped');
    case 'refused': return refusedOutcome(answer);
  }
}

/** The reason is that of the agent run: `OutputInvalid`, `StepLimit`, `RepeatedCall`, `BudgetExhausted`, ... */
function endedOutcome({ phase, reason, message, output }: Ended): Outcome {
  if (phase === 'Succeeded') return { ok: true, output: JSON.stringify(output ?? null) };
  if (phase === 'Cancelled') return failure('Cancelled', reason ?? 'Cancelled', message ?? 'the agent run was cancelled');
  if (phase === 'BudgetExhausted') return failure('User', 'BudgetExhausted', message ?? 'the budget is spent');
  return failure('User', reason ?? 'AgentFailed', message ?? 'the agent run failed');
}

function refusedOutcome({ code, message, why }: Extract<Final, { readonly kind: 'refused' }>): Outcome {
  // A later attempt has opened the run: whatever this one says does not count.
  if (code === 'Fenced') return failure('Cancelled', 'Fenced', message);
  // A token that has run out: the next attempt has a new one.
  if (code === 'Unauthenticated') return failure('Infra', 'TokenRefused', message);
  if (code === 'GatewayAnswer') return failure('Infra', code, message);
  // An agent that is missing or does not resolve: people and alerts look for the cause, not for the kind of answer.
  return failure('Invalid', why ?? code, message);
}
