import type { GenAiFacts, GenAiSpan } from '../../platform/tracing/gen-ai.ts';
import type { ModelSpec } from '../../crds/model.ts';
import type { Attempted } from '../models/attempt.ts';
import type { Reservation } from './begin.ts';
import type { Call } from './calls.ts';

/** The span of one request to a provider. Nothing of the prompt is on it. */
export function chatSpan(call: Call, { candidate, maxOutput }: Pick<Reservation, 'candidate' | 'maxOutput'>): GenAiSpan {
  const { spec } = candidate;
  const { temperature, topP } = call.prompt?.parameters ?? call.spec.parameters;
  return {
    operation: 'chat', target: spec.model, parent: call.traceparent,
    facts: {
      'gen_ai.provider.name': spec.provider, 'gen_ai.request.model': spec.model, 'gen_ai.request.max_tokens': maxOutput, 'gen_ai.request.temperature': temperature, 'gen_ai.request.top_p': topP,
      'gen_ai.output.type': call.purpose === 'step' && call.spec.outputSchema !== undefined ? 'json' : 'text', 'gen_ai.agent.name': call.spec.agent, 'gen_ai.conversation.id': call.conversation,
      ...serverOf(spec), 'rambo.model': candidate.name, 'rambo.namespace': call.namespace, 'rambo.agentRun': call.agentRun, 'rambo.step': call.step, 'rambo.purpose': call.purpose,
    },
  };
}

/** What is known once it is over. */
export function chatFacts(attempted: Attempted): GenAiFacts {
  if (!attempted.ok) return { 'error.type': attempted.failure.code };
  const { usage, finish, response } = attempted.answer;
  return {
    'gen_ai.response.model': response.model, 'gen_ai.response.id': response.id, 'gen_ai.response.finish_reasons': [finish],
    ...(usage === undefined ? {} : {
      'gen_ai.usage.input_tokens': usage.input, 'gen_ai.usage.output_tokens': usage.output, 'gen_ai.usage.cache_read.input_tokens': usage.cached, 'gen_ai.usage.cache_creation.input_tokens': usage.cacheWrite,
      'gen_ai.usage.reasoning.output_tokens': usage.reasoning,
    }),
  };
}

/** Host and port of the provider; a user and a password in the address stay out. */
function serverOf({ baseUrl }: ModelSpec): GenAiFacts {
  if (baseUrl === undefined || !URL.canParse(baseUrl)) return {};
  const { hostname, port } = new URL(baseUrl);
  return { 'server.address': hostname, ...(port === '' ? {} : { 'server.port': Number(port) }) };
}
