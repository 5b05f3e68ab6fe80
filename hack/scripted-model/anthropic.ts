import { answerText, argumentsText, counted, pieces, type ModelRequest, type Wire, type WireError } from './wire.ts';
import { textOf, type Due, type PromptMessage, type Turn } from './script.ts';

/* Messages as Anthropic's API answers them. */

interface Block extends Readonly<Record<string, unknown>> {
  readonly type: string;
  readonly text?: string;
  readonly id?: string;
  readonly tool_use_id?: string;
  readonly content?: unknown;
}

interface Said {
  readonly role: string;
  readonly content: string | readonly Block[];
}

interface MessagesRequest extends ModelRequest {
  readonly messages: readonly Said[];
  readonly system?: unknown;
  readonly max_tokens?: unknown;
  readonly tools?: readonly unknown[];
}

/** Anthropic's wire. */
export const anthropicWire: Wire = {
  name: 'anthropic', problem, prompt,
  whole: (n, due, body) => ({
    id: `msg_${n}`, type: 'message', role: 'assistant', model: body.model, stop_reason: stopOf(due.turn), stop_sequence: null, usage: usage(due.turn, body).last,
    content: blocks(due).map(({ start, parts }) => ({ ...start, ...(start['type'] === 'tool_use' ? { input: JSON.parse(parts.join('') || '{}') as unknown } : { [start['type'] === 'thinking' ? 'thinking' : 'text']: parts.join('') }) })),
  }),
  frames: (n, due, body) => {
    const { first, last } = usage(due.turn, body);
    return [
      event('message_start', { message: { id: `msg_${n}`, type: 'message', role: 'assistant', model: body.model, content: [], stop_reason: null, stop_sequence: null, usage: first } }),
      event('ping', {}),
      ...blocks(due).flatMap(({ start, parts, delta }, index) => [
        event('content_block_start', { index, content_block: start }),
        ...parts.map((part) => event('content_block_delta', { index, delta: delta(part) })),
        ...(start['type'] === 'thinking' ? [event('content_block_delta', { index, delta: { type: 'signature_delta', signature: 'c2NyaXB0ZWQ=' } })] : []),
        event('content_block_stop', { index }),
      ]),
      event('message_delta', { delta: { stop_reason: stopOf(due.turn), stop_sequence: null }, usage: last }),
      event('message_stop', {}),
    ];
  },
  text: (_n, text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
  error, errorFrame: (failure) => event('error', error(failure)),
  models: (names) => ({ data: names.map((id) => ({ type: 'model', id, display_name: id, created_at: '2026-01-01T00:00:00Z' })), has_more: false, first_id: names[0] ?? null, last_id: names.at(-1) ?? null }),
};

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

function asked(body: ModelRequest): MessagesRequest {
  const request: ModelRequest & { messages?: readonly Said[] } = body;
  return { ...request, messages: request.messages ?? [] };
}

function blocksOf({ content }: Said): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

function prompt(body: ModelRequest): readonly PromptMessage[] {
  const { system, messages } = asked(body);
  return [
    ...(system === undefined ? [] : [{ role: 'system', content: textOf(system) }]),
    ...messages.flatMap((message): readonly PromptMessage[] => {
      const all = blocksOf(message);
      const text = all.filter(({ type }) => type === 'text');
      if (message.role === 'assistant') return [{ role: 'assistant', content: textOf(text), tool_calls: all.filter(({ type }) => type === 'tool_use').map(({ id = '' }) => ({ id })) }];
      return [
        ...all.filter(({ type }) => type === 'tool_result').map(({ tool_use_id, content }) => ({ role: 'tool', tool_call_id: tool_use_id, content: textOf(content) })),
        ...(text.length === 0 ? [] : [{ role: 'user', content: textOf(text) }]),
      ];
    }),
  ];
}

/** What Anthropic's server refuses: the rules that a client which speaks like OpenAI breaks. */
function problem(body: ModelRequest): WireError | undefined {
  const { messages, max_tokens: most, tools } = asked(body);
  if (typeof most !== 'number') return refused('max_tokens: Field required');
  if (messages[0]?.role !== 'user') return refused('messages: first message must use the "user" role');
  for (const [at, message] of messages.entries()) {
    const all = blocksOf(message);
    if (all.length === 0) return refused(`messages.${at}: all messages must have non-empty content`);
    if (all.some(({ type, text }) => type === 'text' && (text ?? '') === '')) return refused(`messages.${at}: text content blocks must be non-empty`);
    if (all.some(({ type }) => type === 'tool_use' || type === 'tool_result') && (tools ?? []).length === 0) return refused('Requests which include `tool_use` or `tool_result` blocks must define tools');
    const results = new Set(blocksOf(messages[at + 1] ?? { role: 'user', content: [] }).map(({ tool_use_id }) => tool_use_id));
    const open = all.filter(({ type, id }) => type === 'tool_use' && !results.has(id));
    if (open.length > 0) return refused(`messages.${at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open.map(({ id }) => id).join(', ')}`);
  }
  return undefined;
}

function refused(message: string): WireError {
  return { status: 400, message };
}

interface Content {
  readonly start: Readonly<Record<string, unknown>>;
  readonly parts: readonly string[];
  readonly delta: (part: string) => object;
}

function blocks({ turn, number }: Due): readonly Content[] {
  const text = answerText(turn);
  return [
    ...(turn.reasoning === undefined ? [] : [{ start: { type: 'thinking', thinking: '', signature: '' }, parts: pieces(turn, turn.reasoning), delta: (part: string) => ({ type: 'thinking_delta', thinking: part }) }]),
    ...(text === '' ? [] : [{ start: { type: 'text', text: '' }, parts: pieces(turn, text), delta: (part: string) => ({ type: 'text_delta', text: part }) }]),
    ...turn.tools.map((tool, i) => ({
      start: { type: 'tool_use', id: tool.id ?? `toolu_${number}_${i}`, name: tool.name, input: {} }, parts: pieces(turn, argumentsText(tool.arguments)),
      delta: (part: string) => ({ type: 'input_json_delta', partial_json: part }),
    })),
  ];
}

const STOPS: Readonly<Record<string, string>> = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use', content_filter: 'refusal' };

function stopOf(turn: Turn): string {
  return turn.finish === undefined ? (turn.tools.length > 0 ? 'tool_use' : 'end_turn') : STOPS[turn.finish] ?? turn.finish;
}

/** At the beginning the prompt is counted, at the end all of it. Anthropic counts what was cached apart from `input_tokens`. */
function usage(turn: Turn, body: ModelRequest): { readonly first: object; readonly last: object } {
  const tokens = counted(turn, prompt(body)) ?? { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
  const read = { input_tokens: tokens.input - tokens.cached - tokens.cacheWrite, cache_creation_input_tokens: tokens.cacheWrite, cache_read_input_tokens: tokens.cached };
  return { first: { ...read, output_tokens: 1 }, last: { ...read, output_tokens: tokens.output, ...(tokens.reasoning === 0 ? {} : { output_tokens_details: { thinking_tokens: tokens.reasoning } }) } };
}

const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error', 401: 'authentication_error', 402: 'billing_error', 403: 'permission_error', 404: 'not_found_error', 413: 'request_too_large', 429: 'rate_limit_error', 504: 'timeout_error', 529: 'overloaded_error',
};

function error({ status, message, code }: WireError): object {
  return { type: 'error', error: { type: code ?? TYPES[status] ?? 'api_error', message }, request_id: 'req_scripted' };
}
