import type { Clock } from '../../platform/clock/index.ts';
import { withGenAi } from '../../platform/tracing/gen-ai.ts';
import type { Outcome } from '../core/types.ts';
import { chaosModel, ChaosClient } from './agent/chaos.ts';
import { GatewayClient, Stopped } from './agent/client.ts';
import { AgentLoop } from './agent/loop.ts';
import { streamModel } from './agent/model.ts';
import { outcomeOf } from './agent/outcome.ts';

/** What one attempt of an agent is given. */
export interface AgentAttempt {
  readonly clock: Clock;
  readonly random: () => number;
  /** Name of this runner, for the record. */
  readonly runner: string;
  /** `with` of the dispatch: the token says its hash. */
  readonly with: Readonly<Record<string, unknown>>;
  readonly access: { readonly url: string; readonly token: string };
  readonly signal: AbortSignal;
  readonly log: (text: string) => void;
  readonly traceparent: string | undefined;
}

/** Runs an agent until it ends, waits, or the attempt shall end: in a span of its own, below which the gateway's are. */
export function runAgent(attempt: AgentAttempt): Promise<Outcome> {
  const agent = agentName(attempt.with);
  return withGenAi({ operation: 'invoke_agent', target: agent, parent: attempt.traceparent, facts: { 'gen_ai.agent.name': agent } }, async ({ traceparent, set }) => {
    const outcome = await loopOf({ ...attempt, traceparent });
    if (outcome.ok === false) set({ 'error.type': outcome.error.reason });
    return outcome;
  });
}

/** What an agent without a name is called. */
const INLINE = 'inline';

function agentName({ agentRef }: AgentAttempt['with']): string {
  return typeof agentRef === 'object' && agentRef !== null && 'name' in agentRef && typeof agentRef.name === 'string' ? agentRef.name : INLINE;
}

async function loopOf(attempt: AgentAttempt): Promise<Outcome> {
  const client = globalThis.RAMBO_CHAOS === true ? new ChaosClient(attempt) : new GatewayClient(attempt);
  const model = streamModel(client);
  try {
    const loop = new AgentLoop({ client, model: globalThis.RAMBO_CHAOS === true ? chaosModel(model) : model, with: attempt.with, runner: attempt.runner, clock: attempt.clock, log: attempt.log });
    return await loop.run();
  } catch (error) {
    if (error instanceof Stopped) return outcomeOf(error.answer, client);
    throw error;
  }
}
