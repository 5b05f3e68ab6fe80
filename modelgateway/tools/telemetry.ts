import { withGenAi, type GenAiFacts } from '../../platform/tracing/gen-ai.ts';
import type { Tools } from './context.ts';
import type { Sending } from './dispatch.ts';
import type { Outcome } from './outcome.ts';
import type { Callable } from './send.ts';

/** Makes one request to a tool in a span, and counts it. Neither arguments nor results are on the span. `send` gets the traceparent to hand on. */
export async function traced({ parts }: Tools, sending: Sending, { kind, tool }: Pick<Callable, 'kind' | 'tool'>, send: (traceparent: string | undefined) => Promise<Outcome>): Promise<Outcome> {
  const { run, call, tool: known } = sending;
  const facts: GenAiFacts = {
    'gen_ai.tool.name': known?.display ?? tool, 'gen_ai.tool.call.id': call.callId, 'gen_ai.tool.type': 'extension', 'gen_ai.agent.name': run.agent ?? undefined, 'gen_ai.conversation.id': run.conversationId ?? undefined,
    'rambo.namespace': run.namespace, 'rambo.agentRun': run.id, 'rambo.step': call.step,
  };
  const started = parts.clock.monotonic();
  const outcome = await withGenAi({ operation: 'execute_tool', target: known?.display ?? tool, parent: sending.traceparent, facts }, async (span) => {
    const made = await send(span.traceparent);
    const error = errorOf(made);
    if (error !== undefined) span.set({ 'error.type': error });
    return made;
  });
  if (outcome.kind !== 'lost') parts.counters?.tool(kind, outcome.kind === 'answered' && outcome.isError ? 'error' : outcome.kind, (parts.clock.monotonic() - started) / 1_000);
  return outcome;
}

function errorOf(outcome: Outcome): string | undefined {
  switch (outcome.kind) {
    case 'answered': return outcome.isError ? 'tool_error' : undefined;
    case 'asks': return undefined;
    case 'notSent': return outcome.reason;
    case 'unknown': return 'unknown_outcome';
    case 'lost': return 'lease_lost';
  }
}
