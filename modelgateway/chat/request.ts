import type { LanguageModelV4CallOptions, LanguageModelV4FunctionTool, LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider';
import { z } from 'zod';

/* The body of a chat completion as OpenAI defines it, as far as an agent's loop needs it, and what it is for the AI SDK. What we do not know is left out. */

const content = z.union([z.string(), z.array(z.object({ type: z.literal('text'), text: z.string() })), z.null()]).optional()
  .transform((value) => (typeof value === 'string' ? value : (value ?? []).map(({ text }) => text).join('')));
const toolCall = z.object({ id: z.string().min(1).max(128), type: z.literal('function').default('function'), function: z.object({ name: z.string().min(1).max(128), arguments: z.string() }) });

const messageSchema = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content }),
  z.object({ role: z.literal('developer'), content }),
  z.object({ role: z.literal('user'), content }),
  z.object({ role: z.literal('assistant'), content, tool_calls: z.array(toolCall).default([]) }),
  z.object({ role: z.literal('tool'), content, tool_call_id: z.string().min(1).max(128) }),
]);

const toolSchema = z.object({
  type: z.literal('function').default('function'),
  function: z.object({ name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/), description: z.string().optional(), parameters: z.record(z.string(), z.unknown()).default({ type: 'object', properties: {} }), strict: z.boolean().optional() }),
});

const toolChoiceSchema = z.union([z.enum(['auto', 'none', 'required']), z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) })]);

/** A chat completion request. */
export const chatRequestSchema = z.object({
  messages: z.array(messageSchema).min(1).max(100_000),
  tools: z.array(toolSchema).max(128).default([]),
  tool_choice: toolChoiceSchema.optional(),
  temperature: z.number().optional(),
  top_p: z.number().optional(),
  max_tokens: z.int().min(1).optional(),
  max_completion_tokens: z.int().min(1).optional(),
  stop: z.union([z.string(), z.array(z.string())]).optional(),
  seed: z.int().optional(),
  response_format: z.union([
    z.object({ type: z.enum(['text', 'json_object']) }),
    z.object({ type: z.literal('json_schema'), json_schema: z.object({ name: z.string().default('output'), schema: z.record(z.string(), z.unknown()), strict: z.boolean().optional() }) }),
  ]).optional(),
  stream: z.boolean().default(false),
});

/** A chat completion request. */
export type ChatRequest = z.output<typeof chatRequestSchema>;

/** The request as JSON text: what its size is estimated from and its hash is made of. */
export function promptJson({ messages, tools }: Pick<ChatRequest, 'messages' | 'tools'>): string {
  return JSON.stringify(tools.length === 0 ? [messages] : [messages, tools]);
}

/** Most tokens the caller wants as an answer. */
export function wantedOutput({ max_tokens: old, max_completion_tokens: most }: ChatRequest): number | undefined {
  return most ?? old;
}

/** The request as the AI SDK takes it. `structured`: whether the model holds to a JSON Schema by itself. */
export function callOptions(request: ChatRequest, maxOutputTokens: number, structured: boolean): LanguageModelV4CallOptions {
  const { temperature, top_p: topP, stop, seed, tools } = request;
  const format = responseFormat(request, structured);
  return {
    prompt: promptOf(request.messages), maxOutputTokens,
    ...(temperature === undefined ? {} : { temperature }), ...(topP === undefined ? {} : { topP }), ...(seed === undefined ? {} : { seed }),
    ...(stop === undefined ? {} : { stopSequences: typeof stop === 'string' ? [stop] : stop }),
    ...(tools.length === 0 ? {} : { tools: tools.map(toolOf), toolChoice: toolChoiceOf(request.tool_choice) }),
    ...(format === undefined ? {} : { responseFormat: format }),
  };
}

function responseFormat({ response_format: format }: ChatRequest, structured: boolean): LanguageModelV4CallOptions['responseFormat'] {
  if (format === undefined || format.type === 'text') return undefined;
  if (!('json_schema' in format) || !structured) return { type: 'json' };
  // JSON Schema of the caller; providers take any.
  return { type: 'json', schema: format.json_schema.schema as LanguageModelV4FunctionTool['inputSchema'], name: format.json_schema.name };
}

function toolOf({ function: { name, description, parameters } }: ChatRequest['tools'][number]): LanguageModelV4FunctionTool {
  // As above: a tool's schema is its server's.
  return { type: 'function', name, inputSchema: parameters as LanguageModelV4FunctionTool['inputSchema'], ...(description === undefined ? {} : { description }) };
}

function toolChoiceOf(choice: ChatRequest['tool_choice']): NonNullable<LanguageModelV4CallOptions['toolChoice']> {
  if (choice === undefined) return { type: 'auto' };
  return typeof choice === 'string' ? { type: choice } : { type: 'tool', toolName: choice.function.name };
}

/** Messages for the AI SDK: results of one answer's calls belong together, and each names its tool. */
export function promptOf(messages: ChatRequest['messages']): LanguageModelV4Prompt {
  const prompt: LanguageModelV4Message[] = [];
  const names = new Map<string, string>();
  for (const message of messages) {
    if (message.role === 'tool') {
      const part = { type: 'tool-result' as const, toolCallId: message.tool_call_id, toolName: names.get(message.tool_call_id) ?? 'tool', output: { type: 'text' as const, value: message.content } };
      const last = prompt.at(-1);
      if (last?.role === 'tool') last.content.push(part);
      else prompt.push({ role: 'tool', content: [part] });
      continue;
    }
    if (message.role === 'assistant') for (const call of message.tool_calls) names.set(call.id, call.function.name);
    prompt.push(messageOf(message));
  }
  return prompt;
}

function messageOf(message: Exclude<ChatRequest['messages'][number], { role: 'tool' }>): LanguageModelV4Message {
  switch (message.role) {
    case 'system': case 'developer': return { role: 'system', content: message.content };
    case 'user': return { role: 'user', content: [{ type: 'text', text: message.content }] };
    case 'assistant': return {
      role: 'assistant',
      content: [
        ...(message.content === '' ? [] : [{ type: 'text' as const, text: message.content }]),
        ...message.tool_calls.map((call) => ({ type: 'tool-call' as const, toolCallId: call.id, toolName: call.function.name, input: argumentsOf(call.function.arguments) })),
      ],
    };
  }
}

/** Arguments as the providers want them: an object. What the model wrote and is none is shown to it as such. */
function argumentsOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Told below.
  }
  return text.trim() === '' ? {} : { malformed: text };
}
