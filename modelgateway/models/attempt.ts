import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart, LanguageModelV4Usage } from '@ai-sdk/provider';
import type { ToolCall, Usage } from '../../crds/agent-run.ts';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { callIdOf, type Answer, type Piece } from '../chat/answer.ts';
import { Overdue, failureOf, type Failure } from './failure.ts';

/** How long a call may take, in milliseconds: until the first piece, between two pieces, and as a whole. */
export interface Patience {
  readonly firstMs: number;
  readonly idleMs: number;
  readonly totalMs: number;
}

/** One call of a model. */
export interface Attempt {
  readonly model: LanguageModelV4;
  readonly options: LanguageModelV4CallOptions;
  readonly step: number;
  readonly patience: Patience;
  /** Ends the call: nobody wants the answer any more. */
  readonly signal: AbortSignal;
  readonly apiKey: string | undefined;
  readonly piece: (piece: Piece) => void;
}

/** What came of it. A failure says what had come until then. */
export type Attempted =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly failure: Failure; readonly text: string; readonly reasoning: string };

interface Building {
  text: string;
  reasoning: string;
  toolCalls: ToolCall[];
  finish: string | undefined;
  usage: Usage | undefined;
  firstMs: number | undefined;
  response: Answer['response'];
}

/** A stream in which no answer began: something else answered. */
class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** Asks a model once and hands its pieces on as they come. Never throws. */
export async function attemptModel(clock: Clock, attempt: Attempt): Promise<Attempted> {
  const started = clock.monotonic();
  const built: Building = { text: '', reasoning: '', toolCalls: [], finish: undefined, usage: undefined, firstMs: undefined, response: {} };
  const ended = new AbortController();
  const overdue = (what: string, ms: number): (() => void) => () => { ended.abort(new Overdue(`${what} within ${ms} ms`)); };
  const { firstMs, idleMs, totalMs } = attempt.patience;
  const total = clock.after(totalMs, overdue('the model did not finish', totalMs));
  let idle: TimerHandle = clock.after(firstMs, overdue('the model did not begin to answer', firstMs));
  const stop = (): void => { ended.abort(attempt.signal.reason); };
  attempt.signal.addEventListener('abort', stop, { once: true });
  try {
    if (attempt.signal.aborted) stop();
    const { stream } = await untilAborted(Promise.resolve(attempt.model.doStream({ ...attempt.options, abortSignal: ended.signal })), ended.signal);
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await untilAborted(reader.read(), ended.signal);
      if (done) break;
      if (!take(built, value, attempt)) continue;
      built.firstMs ??= clock.monotonic() - started;
      idle.cancel();
      idle = clock.after(idleMs, overdue('the model said nothing more', idleMs));
    }
    if (built.finish === undefined) throw built.firstMs === undefined ? new NoAnswer('there was nothing of an answer in it') : new Error('it ended without a finish');
    const { text, reasoning, toolCalls, finish, usage, response, firstMs: first } = built;
    return { ok: true, answer: { text, reasoning, toolCalls, finish, usage, response, firstMs: first, ms: clock.monotonic() - started } };
  } catch (error) {
    const { text, reasoning } = built;
    if (attempt.signal.aborted) return { ok: false, text, reasoning, failure: { code: 'Aborted', message: 'nobody waits for the answer any more', passing: false, spent: built.firstMs === undefined ? 'prompt' : 'partial' } };
    const why: unknown = ended.signal.aborted ? ended.signal.reason : error;
    return { ok: false, text, reasoning, failure: failureOf(why, built.firstMs !== undefined, attempt.apiKey) };
  } finally {
    attempt.signal.removeEventListener('abort', stop);
    idle.cancel();
    total.cancel();
    ended.abort();
  }
}

/** Takes a part in; whether it was a piece of the answer. Throws what the stream reports as an error. */
function take(built: Building, part: LanguageModelV4StreamPart, { step, piece }: Attempt): boolean {
  switch (part.type) {
    case 'text-delta': case 'reasoning-delta': {
      const type = part.type === 'text-delta' ? 'text' : 'reasoning';
      built[type] += part.delta;
      if (part.delta !== '') piece({ type, text: part.delta });
      return true;
    }
    case 'tool-call': {
      const index = built.toolCalls.length;
      const call: ToolCall = { callId: callIdOf(step, index), tool: part.toolName.slice(0, 256), arguments: part.input };
      built.toolCalls.push(call);
      piece({ type: 'toolCall', index, call });
      return true;
    }
    // Signs of life of an answer whose arguments are long.
    case 'tool-input-start': case 'tool-input-delta': return true;
    case 'finish':
      if (part.finishReason.unified === 'interrupted') throw built.firstMs === undefined ? new NoAnswer('there was nothing of an answer in it') : new Error('the provider ended its stream without a finish');
      if (part.finishReason.unified === 'error') throw new Error('the provider ended the answer with an error');
      built.finish = part.finishReason.unified;
      built.usage = usageOf(part.usage);
      return false;
    case 'response-metadata':
      built.response = { model: part.modelId, id: part.id };
      return false;
    case 'error': throw part.error;
    default: return false;
  }
}

/** The provider's count; undefined where it has none. */
export function usageOf({ inputTokens, outputTokens }: LanguageModelV4Usage): Usage | undefined {
  if (inputTokens.total === undefined || outputTokens.total === undefined) return undefined;
  const whole = (value: number | undefined): number => Math.max(0, Math.round(value ?? 0));
  const input = whole(inputTokens.total);
  const output = whole(outputTokens.total);
  if (input === 0 && output === 0) return undefined;
  const cached = Math.min(input, whole(inputTokens.cacheRead));
  return { input, cached, cacheWrite: Math.min(input - cached, whole(inputTokens.cacheWrite)), output, reasoning: Math.min(output, whole(outputTokens.reasoning)) };
}

/** What a promise gives, unless the signal comes first: not every library lets go by itself. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => { reject(signal.reason instanceof Error ? signal.reason : new Error('aborted')); };
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    promise.then(resolve, reject).finally(() => { signal.removeEventListener('abort', aborted); });
  });
}
