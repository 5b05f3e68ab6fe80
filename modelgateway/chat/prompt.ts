import type { LanguageModelV4CallOptions, LanguageModelV4FunctionTool, LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider';
import type { AgentMessage } from '../../crds/agent-fold.ts';
import type { ModelRequest } from '../../crds/agent-request.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';

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

/** The prompt as the AI SDK takes it. `structured`: whether the model holds to a JSON Schema by itself. */
export function callOptions({ messages, tools, parameters, outputSchema }: Prompt, maxOutputTokens: number, structured: boolean): LanguageModelV4CallOptions {
  const { temperature, topP } = parameters;
  return {
    prompt: promptOf(messages), maxOutputTokens,
    ...(temperature === undefined ? {} : { temperature }), ...(topP === undefined ? {} : { topP }),
    ...(tools.length === 0 ? {} : { tools: tools.map(toolOf), toolChoice: { type: 'auto' } }),
    ...(outputSchema === undefined || !structured ? {} : { responseFormat: { type: 'json', name: 'output', schema: asSchema(outputSchema) } }),
  };
}

function toolOf({ name, description, inputSchema }: Prompt['tools'][number]): LanguageModelV4FunctionTool {
  return { type: 'function', name, description, inputSchema: asSchema(inputSchema) };
}

/** JSON Schemas of tools and outputs are checked when a revision is made; the library's type knows those of draft 7 only. */
function asSchema(schema: unknown): LanguageModelV4FunctionTool['inputSchema'] {
  return schema as LanguageModelV4FunctionTool['inputSchema'];
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
    prompt.push(messageOf(message));
  }
  return prompt;
}

function messageOf(message: Exclude<AgentMessage, { role: 'tool' }>): LanguageModelV4Message {
  if (message.role !== 'assistant') return message.role === 'system' ? { role: 'system', content: message.text } : { role: 'user', content: [{ type: 'text', text: message.text }] };
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
