import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { AISDKError, APICallError, jsonSchema, streamText, tool, type ModelMessage, type ToolSet } from 'ai';
import { GATEWAY_HEADERS, type AgentRunnerSpec } from '../../../crds/agent-gateway.ts';
import type { ToolCall } from '../../../crds/agent-run.ts';
import { errorMessage } from '../../../platform/errors/index.ts';
import { Stopped, type GatewayClient, type Refusal } from './client.ts';

/** One question to the model. */
export interface ModelQuestion {
  readonly spec: AgentRunnerSpec;
  readonly messages: ModelMessage[];
  readonly step: number;
  /** For a summary: how many messages it replaces. */
  readonly compact?: number;
}

/** What the model answered, as the journal has it. */
export interface ModelAnswer {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Asks the model until the journal has the answer. Throws Stopped or Reopen. */
export type AskModel = (question: ModelQuestion) => Promise<ModelAnswer>;

/**
 * Model calls through the gateway, one at a time: the AI SDK neither repeats nor executes anything here. A stream that breaks off is
 * asked for again with the same step, and then comes from the journal, or from the call that still goes on in the gateway.
 */
export function streamModel(client: GatewayClient): AskModel {
  const provider = createOpenAICompatible({ name: 'rambo', baseURL: client.modelUrl, apiKey: client.token, includeUsage: true });
  return (question) => client.untilAnswered(`model call ${question.step}`, () => once(client, provider.chatModel(question.spec.model), question));
}

async function once(client: GatewayClient, model: Parameters<typeof streamText>[0]['model'], { spec, messages, step, compact }: ModelQuestion): Promise<{ answer: ModelAnswer } | { refusal: Refusal }> {
  const { temperature, topP, maxOutputTokens } = spec.parameters;
  const failed: { error?: unknown } = {};
  const result = streamText({
    model, messages, allowSystemInMessages: true, maxRetries: 0, maxOutputTokens, abortSignal: client.signal,
    ...(temperature === undefined ? {} : { temperature }), ...(topP === undefined ? {} : { topP }),
    ...(spec.tools.length === 0 ? {} : { tools: toolSet(spec), toolChoice: compact === undefined ? 'auto' : 'none' }),
    headers: {
      ...client.headers, [GATEWAY_HEADERS.step]: String(step), [GATEWAY_HEADERS.purpose]: compact === undefined ? 'step' : 'compaction',
      ...(compact === undefined ? {} : { [GATEWAY_HEADERS.messages]: String(compact) }),
    },
    onError: ({ error }) => { failed.error ??= error; },
  });
  let text = '';
  const toolCalls: ToolCall[] = [];
  let end: { readonly raw: string | undefined; readonly input: number; readonly output: number } | undefined;
  for await (const part of result.stream) {
    if (part.type === 'text-delta') text += part.text;
    else if (part.type === 'tool-call') toolCalls.push({ callId: part.toolCallId, tool: part.toolName, arguments: argumentsText(part.input) });
    else if (part.type === 'error') failed.error ??= part.error;
    else if (part.type === 'finish-step') end = { raw: part.rawFinishReason, input: part.usage.inputTokens ?? 0, output: part.usage.outputTokens ?? 0 };
  }
  if (failed.error !== undefined) return { refusal: refusalOf(failed.error) };
  // The gateway says how it finished last of all, after the commit: without that the stream was cut.
  if (end?.raw === undefined) return { refusal: { message: 'the stream broke off' } };
  return { answer: { text, toolCalls, inputTokens: end.input, outputTokens: end.output } };
}

/** Tools without `execute`: the gateway calls them, from the journal. */
function toolSet({ tools }: AgentRunnerSpec): ToolSet {
  return Object.fromEntries(tools.map(({ name, description, inputSchema }) => [name, tool({ description, inputSchema: jsonSchema(schemaOf(inputSchema)) })]));
}

function schemaOf(schema: unknown): Parameters<typeof jsonSchema>[0] & object {
  return typeof schema === 'object' && schema !== null ? { ...schema } : { type: 'object' };
}

/** What could not be parsed comes as the text it was. */
function argumentsText(input: unknown): string {
  return typeof input === 'string' ? input : JSON.stringify(input ?? {});
}

/** The SDK's errors about a prompt; it exports not all of their classes. */
const UNSENT: ReadonlySet<string> = new Set(['AI_InvalidPromptError', 'AI_MissingToolResultsError']);

function refusalOf(error: unknown): Refusal {
  // Nothing was sent, and asking again would change nothing.
  if (AISDKError.isInstance(error) && UNSENT.has(error.name)) throw new Stopped({ kind: 'refused', code: 'InvalidPrompt', message: error.message });
  if (!APICallError.isInstance(error)) return { message: errorMessage(error) };
  const { statusCode, responseBody, message } = error;
  return { message, ...(statusCode === undefined || statusCode < 400 ? {} : { status: statusCode, body: responseBody ?? '' }) };
}
