import { answerText, argumentsText, counted, pieces, type ModelRequest, type Wire, type WireError } from './wire.ts';
import type { Due, PromptMessage, Turn } from './script.ts';

/* Chat completions as OpenAI and the servers that speak like it answer them. */

/** Models that are held to the rules of OpenAI's own API; others are what a compatible server takes. */
const OPENAI = /^(gpt-|o\d|chatgpt-)/;
/** Models that think, and refuse what they do not know any more. */
const REASONING = /^(o\d|gpt-[5-9])/;

interface ChatRequest extends ModelRequest {
  readonly messages: readonly PromptMessage[];
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly response_format?: { readonly json_schema?: { readonly strict?: boolean; readonly schema?: unknown } };
}

/** OpenAI's wire. */
export const openAiWire: Wire = {
  name: 'openai', problem, prompt: (body) => chat(body).messages,
  whole: (n, due, body) => ({
    id: `chatcmpl-${n}`, object: 'chat.completion', created: 0, model: body.model, ...usage(due.turn, chat(body)),
    choices: [{
      index: 0, finish_reason: finishOf(due.turn),
      message: {
        role: 'assistant', content: answerText(due.turn) === '' && due.turn.tools.length > 0 ? null : answerText(due.turn),
        ...(due.turn.reasoning === undefined ? {} : { reasoning_content: due.turn.reasoning }), ...(due.turn.tools.length === 0 ? {} : { tool_calls: toolCalls(due) }),
      },
    }],
  }),
  frames: (n, due, body) => [
    ...deltas(due).map((delta) => chunk(n, body.model, { choices: [{ index: 0, delta, finish_reason: null }] })),
    chunk(n, body.model, { choices: [{ index: 0, delta: {}, finish_reason: finishOf(due.turn) }] }),
    ...(chat(body).stream_options?.include_usage === true && due.turn.usage !== false ? [chunk(n, body.model, { choices: [], ...usage(due.turn, chat(body)) })] : []),
    'data: [DONE]\n\n',
  ],
  text: (n, text) => chunk(n, 'scripted', { choices: [{ index: 0, delta: { content: text }, finish_reason: null }] }),
  error, errorFrame: (failure) => `data: ${JSON.stringify(error(failure))}\n\n`,
  models: (names) => ({ object: 'list', data: names.map((id) => ({ id, object: 'model', owned_by: 'rambo-test' })) }),
};

function chat(body: ModelRequest): ChatRequest {
  const request: ModelRequest & { messages?: readonly PromptMessage[] } = body;
  return { ...request, messages: request.messages ?? [] };
}

function problem(body: ModelRequest): WireError | undefined {
  if (!OPENAI.test(body.model)) return undefined;
  if (REASONING.test(body.model) && body['max_tokens'] !== undefined) return refused("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", 'unsupported_parameter');
  if (REASONING.test(body.model) && body['temperature'] !== undefined && body['reasoning_effort'] !== 'none') return refused("Unsupported parameter: 'temperature' is not supported with this model.", 'unsupported_parameter');
  const format = chat(body).response_format?.json_schema;
  return format?.strict === true && !isStrict(format.schema) ? refused("Invalid schema for response_format 'output': In context=(), 'additionalProperties' is required to be supplied and to be false, and 'required' to name every key in properties.", 'invalid_schema') : undefined;
}

function refused(message: string, code: string): WireError {
  return { status: 400, message, code };
}

/** Whether OpenAI takes a schema as strict: objects are closed and all their properties required. */
function isStrict(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return true;
  if (Array.isArray(schema)) return schema.every(isStrict);
  const { type, properties, required, additionalProperties } = schema as { type?: unknown; properties?: object; required?: readonly string[]; additionalProperties?: unknown };
  const object = type === 'object' || properties !== undefined;
  if (object && (additionalProperties !== false || Object.keys(properties ?? {}).some((name) => required?.includes(name) !== true))) return false;
  return Object.values(schema).every(isStrict);
}

function usage(turn: Turn, body: ChatRequest): { readonly usage?: object } {
  const tokens = counted(turn, body.messages);
  if (tokens === undefined) return {};
  const { input, output, cached, cacheWrite, reasoning } = tokens;
  return { usage: {
    prompt_tokens: input, completion_tokens: output, total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached, ...(cacheWrite === 0 ? {} : { cache_write_tokens: cacheWrite }) }, completion_tokens_details: { reasoning_tokens: reasoning },
  } };
}

function toolCalls({ turn, number }: Due): readonly object[] {
  return turn.tools.map((tool, i) => ({ index: i, id: tool.id ?? `call_${number}_${i}`, type: 'function', function: { name: tool.name, arguments: argumentsText(tool.arguments) } }));
}

function finishOf(turn: Turn): string {
  return turn.finish ?? (turn.tools.length > 0 ? 'tool_calls' : 'stop');
}

function deltas(due: Due): readonly object[] {
  const { turn } = due;
  return [
    { role: 'assistant', content: '' },
    ...pieces(turn, turn.reasoning ?? '').map((part) => ({ reasoning_content: part })),
    ...pieces(turn, answerText(turn)).map((part) => ({ content: part })),
    ...toolCalls(due).map((call) => ({ tool_calls: [call] })),
  ];
}

function chunk(n: number, model: string, value: object): string {
  return `data: ${JSON.stringify({ id: `chatcmpl-${n}`, object: 'chat.completion.chunk', created: 0, model, ...value })}\n\n`;
}

const TYPES: Readonly<Record<number, readonly [type: string, code: string | null]>> = {
  400: ['invalid_request_error', null], 401: ['invalid_request_error', 'invalid_api_key'], 403: ['invalid_request_error', 'unsupported_country_region_territory'], 404: ['invalid_request_error', 'model_not_found'],
  429: ['requests', 'rate_limit_exceeded'],
};

function error({ status, message, code }: WireError): object {
  const [type, usual] = TYPES[status] ?? ['server_error', null];
  return { error: { message, type: code === 'insufficient_quota' ? code : type, param: null, code: code ?? usual } };
}
