import type { LanguageModelV4CallOptions, LanguageModelV4FunctionTool, LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider';
import type { AgentMessage } from '../../crds/agent-fold.ts';
import type { ModelRequest } from '../../crds/agent-request.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';
import type { ModelSpec } from '../../crds/model.ts';
import { isClosed, isObjectSchema, isStrict } from './closed-schema.ts';

/** What a model is asked, in the journal's terms. */
export interface Prompt extends ModelRequest {
  /** JSON Schema the text of the answer should fit, for models that hold to one by themselves. */
  readonly outputSchema?: unknown;
}

/** The prompt of a step: the journal's messages, and what the revision says. Nothing of it comes from a runner. */
export function stepPrompt(messages: readonly AgentMessage[], { tools, parameters, outputSchema }: RevisionSpec): Prompt {
  return { messages, tools, parameters, ...(outputSchema === undefined ? {} : { outputSchema }) };
}

/** The prompt as JSON text: what its size is estimated from. */
export function promptJson({ messages, tools }: Prompt): string {
  return JSON.stringify([messages, tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema }))]);
}

/** What of a Model's spec decides how it is asked. */
export type Asking = Pick<ModelSpec, 'provider' | 'capabilities'>;

/** The prompt as the AI SDK takes it, for this kind of provider. */
export function callOptions({ messages, tools, parameters, outputSchema }: Prompt, maxOutputTokens: number, asking: Asking): LanguageModelV4CallOptions {
  const { temperature, topP } = parameters;
  return {
    prompt: promptOf(tools.length === 0 ? messages.map(withoutCalls) : messages), maxOutputTokens,
    ...(temperature === undefined ? {} : { temperature }), ...(topP === undefined ? {} : { topP }),
    ...(tools.length === 0 ? {} : { tools: tools.map(toolOf), toolChoice: { type: 'auto' } }),
    ...(outputSchema === undefined || asking.capabilities?.structuredOutput !== true ? {} : structured(outputSchema, asking.provider)),
  };
}

/** How a model that holds to a JSON Schema is given one. Where this schema is beyond what its provider takes it is left out: each answer is checked by us, and repaired. */
function structured(schema: unknown, provider: Asking['provider']): Pick<LanguageModelV4CallOptions, 'responseFormat' | 'providerOptions'> {
  const responseFormat = { type: 'json' as const, name: 'output', schema: asSchema(schema) };
  switch (provider) {
    case 'openai': return isObjectSchema(schema) ? { responseFormat, providerOptions: { openai: { strictJsonSchema: isStrict(schema) } } } : {};
    case 'openai-compatible': return { responseFormat, providerOptions: { openaiCompatible: { strictJsonSchema: isStrict(schema) } } };
    // Said outright: the library would otherwise make a tool of it for models it does not know, and force the model to call that.
    case 'anthropic': return isClosed(schema) ? { responseFormat, providerOptions: { anthropic: { structuredOutputMode: 'outputFormat' } } } : {};
  }
}

function toolOf({ name, description, inputSchema }: Prompt['tools'][number]): LanguageModelV4FunctionTool {
  return { type: 'function', name, description, inputSchema: asSchema(inputSchema) };
}

/** JSON Schemas of tools and outputs are checked when a revision is made; the library's type knows those of draft 7 only. */
function asSchema(schema: unknown): LanguageModelV4FunctionTool['inputSchema'] {
  return schema as LanguageModelV4FunctionTool['inputSchema'];
}

/** Calls and results as text, for a prompt without tools (a summary): providers refuse blocks of tools where no tool is given. */
function withoutCalls(message: AgentMessage): AgentMessage {
  if (message.role === 'tool') return { role: 'user', text: `[${message.isError ? 'error' : 'result'} of call ${message.callId}]\n${message.text}` };
  if (message.role !== 'assistant' || message.toolCalls.length === 0) return message;
  const calls = message.toolCalls.map(({ callId, tool, arguments: given }) => `[call ${callId}: ${tool} ${given}]`);
  return { role: 'assistant', text: [...(message.text === '' ? [] : [message.text]), ...calls].join('\n'), toolCalls: [] };
}

/** Messages for the AI SDK: results of one answer's calls belong together, and each names its tool. */
export function promptOf(messages: readonly AgentMessage[]): LanguageModelV4Prompt {
  const prompt: LanguageModelV4Message[] = [];
  const names = new Map<string, string>();
  for (const message of messages) {
    if (message.role === 'tool') {
      const output = { type: message.isError ? 'error-text' as const : 'text' as const, value: message.text };
      const part = { type: 'tool-result' as const, toolCallId: message.callId, toolName: names.get(message.callId) ?? message.tool, output };
      const last = prompt.at(-1);
      if (last?.role === 'tool') last.content.push(part);
      else prompt.push({ role: 'tool', content: [part] });
      continue;
    }
    if (message.role === 'assistant') for (const call of message.toolCalls) names.set(call.callId, call.tool);
    // An answer of nothing: Anthropic refuses a message without content.
    if (message.role === 'assistant' && message.text === '' && message.toolCalls.length === 0) continue;
    prompt.push(messageOf(message));
  }
  return prompt;
}

/** What stands for an empty input: providers refuse a text without characters. */
const NOTHING = '(empty)';

function messageOf(message: Exclude<AgentMessage, { role: 'tool' }>): LanguageModelV4Message {
  if (message.role !== 'assistant') return message.role === 'system' ? { role: 'system', content: message.text } : { role: 'user', content: [{ type: 'text', text: message.text === '' ? NOTHING : message.text }] };
  return {
    role: 'assistant',
    content: [
      ...(message.text === '' ? [] : [{ type: 'text' as const, text: message.text }]),
      ...message.toolCalls.map((call) => ({ type: 'tool-call' as const, toolCallId: call.callId, toolName: call.tool, input: argumentsOf(call.arguments) })),
    ],
  };
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
