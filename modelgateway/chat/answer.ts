import type { AgentEventPayload, ToolCall, Usage } from '../../crds/agent-run.ts';

/** A piece of an answer while it comes; put together they are the answer that is journaled. */
export type Piece =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | { readonly type: 'toolCall'; readonly index: number; readonly call: ToolCall };

/** An answer of a model. Times in milliseconds since the request left. */
export interface Answer {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finish: string;
  /** Undefined where the provider did not count. */
  readonly usage: Usage | undefined;
  readonly ms: number;
  readonly firstMs: number | undefined;
  /** What the provider calls the model that answered, and the answer. */
  readonly response: { readonly model?: string | undefined; readonly id?: string | undefined };
}

/** Id of a tool call of a step: ours, because providers repeat theirs, and because it tells the order. */
export function callIdOf(step: number, index: number): string {
  return `s${step}c${index}`;
}

type Completed = AgentEventPayload<'ModelCompleted'>;

/** Pieces of an answer that is in the journal. */
export function piecesOf({ text, reasoning, toolCalls }: Completed): readonly Piece[] {
  return [
    ...(reasoning === undefined || reasoning === '' ? [] : [{ type: 'reasoning' as const, text: reasoning }]),
    ...(text === '' ? [] : [{ type: 'text' as const, text }]),
    ...toolCalls.map((call, index) => ({ type: 'toolCall' as const, index, call })),
  ];
}

/** Finish reason as OpenAI names it. */
export function finishReason({ finish, toolCalls }: Pick<Completed, 'finish' | 'toolCalls'>): string {
  if (toolCalls.length > 0) return 'tool_calls';
  return finish === 'length' ? 'length' : finish === 'content-filter' ? 'content_filter' : 'stop';
}

/** A journaled answer as a whole chat completion. */
export function chatCompletion(completed: Completed): object {
  const { text, reasoning, toolCalls } = completed;
  return {
    id: completed.requestId, object: 'chat.completion', created: 0, model: completed.model,
    choices: [{
      index: 0, finish_reason: finishReason(completed), logprobs: null,
      message: {
        role: 'assistant', content: text === '' && toolCalls.length > 0 ? null : text,
        ...(reasoning === undefined || reasoning === '' ? {} : { reasoning_content: reasoning }),
        ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(openAiCall) }),
      },
    }],
    usage: openAiUsage(completed.usage),
  };
}

/** A piece as the data of a streamed chunk. */
export function chunkOf(id: string, model: string, piece: Piece): object {
  return chunk(id, model, [{ index: 0, delta: deltaOf(piece), finish_reason: null }]);
}

function deltaOf(piece: Piece): object {
  switch (piece.type) {
    case 'text': return { content: piece.text };
    case 'reasoning': return { reasoning_content: piece.text };
    case 'toolCall': return { tool_calls: [{ index: piece.index, ...openAiCall(piece.call) }] };
  }
}

/** The chunks after the last piece. They are sent once the answer is in the journal. */
export function lastChunks(completed: Completed): readonly object[] {
  const { requestId: id, model } = completed;
  return [
    chunk(id, model, [{ index: 0, delta: {}, finish_reason: finishReason(completed) }]),
    { ...chunk(id, model, []), usage: openAiUsage(completed.usage) },
  ];
}

function chunk(id: string, model: string, choices: readonly object[]): object {
  return { id, object: 'chat.completion.chunk', created: 0, model, choices };
}

function openAiCall({ callId, tool, arguments: text }: ToolCall): object {
  return { id: callId, type: 'function', function: { name: tool, arguments: text } };
}

function openAiUsage({ input, cached, output, reasoning }: Usage): object {
  return {
    prompt_tokens: input, completion_tokens: output, total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached }, completion_tokens_details: { reasoning_tokens: reasoning },
  };
}
