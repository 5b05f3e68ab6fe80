import { SpanKind, SpanStatusCode, trace, type Attributes } from '@opentelemetry/api';
import { contextOf, traceparentOf } from './parent.ts';

/*
 * Spans of agents by OpenTelemetry's conventions for generative AI: `invoke_agent` around an attempt of an agent, `chat` around one request to a
 * provider, `execute_tool` around one tool call. Prompts, answers, arguments, results and messages of errors never stand on them.
 */

/** What a span may say: names of the conventions, values that are names and counts. */
export interface GenAiFacts {
  readonly 'gen_ai.provider.name'?: string | undefined;
  readonly 'gen_ai.request.model'?: string | undefined;
  readonly 'gen_ai.request.max_tokens'?: number | undefined;
  readonly 'gen_ai.request.temperature'?: number | undefined;
  readonly 'gen_ai.request.top_p'?: number | undefined;
  readonly 'gen_ai.output.type'?: 'text' | 'json' | undefined;
  readonly 'gen_ai.response.model'?: string | undefined;
  readonly 'gen_ai.response.id'?: string | undefined;
  readonly 'gen_ai.response.finish_reasons'?: readonly string[] | undefined;
  readonly 'gen_ai.usage.input_tokens'?: number | undefined;
  readonly 'gen_ai.usage.output_tokens'?: number | undefined;
  readonly 'gen_ai.usage.cache_read.input_tokens'?: number | undefined;
  readonly 'gen_ai.usage.cache_creation.input_tokens'?: number | undefined;
  readonly 'gen_ai.usage.reasoning.output_tokens'?: number | undefined;
  readonly 'gen_ai.agent.name'?: string | undefined;
  readonly 'gen_ai.agent.version'?: string | undefined;
  readonly 'gen_ai.conversation.id'?: string | undefined;
  readonly 'gen_ai.tool.name'?: string | undefined;
  readonly 'gen_ai.tool.type'?: 'function' | 'extension' | 'datastore' | undefined;
  readonly 'gen_ai.tool.call.id'?: string | undefined;
  readonly 'server.address'?: string | undefined;
  readonly 'server.port'?: number | undefined;
  readonly 'error.type'?: string | undefined;
  /** Ours: Model, namespace, agent run, its step, and the purpose of a call. */
  readonly 'rambo.model'?: string | undefined;
  readonly 'rambo.namespace'?: string | undefined;
  readonly 'rambo.agentRun'?: string | undefined;
  readonly 'rambo.step'?: number | undefined;
  readonly 'rambo.purpose'?: string | undefined;
}

/** Operations of agents, and what their spans are called after: a model, an agent, a tool. */
export interface GenAiSpan {
  readonly operation: 'invoke_agent' | 'chat' | 'execute_tool';
  readonly target: string;
  /** W3C traceparent of the span above; without one the span that is active here. */
  readonly parent: string | undefined;
  readonly facts: GenAiFacts;
}

/** A span under way. */
export interface GenAiHandle {
  /** To hand on: the span's own, or the parent's where no spans are made. */
  readonly traceparent: string | undefined;
  /** Says what became known. `error.type` marks it as failed. */
  set(facts: GenAiFacts): void;
}

/** Runs `work` in a span. What it throws marks the span as failed by the name of its class, never by its message. */
export function withGenAi<T>({ operation, target, parent, facts }: GenAiSpan, work: (span: GenAiHandle) => Promise<T>): Promise<T> {
  const options = { kind: operation === 'chat' ? SpanKind.CLIENT : SpanKind.INTERNAL, attributes: attributesOf({ 'gen_ai.operation.name': operation, ...facts }) };
  return trace.getTracer('rambo').startActiveSpan(`${operation} ${target}`, options, contextOf(parent), async (span) => {
    const set = (more: GenAiFacts): void => {
      span.setAttributes(attributesOf({ ...more }));
      if (more['error.type'] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    };
    try {
      return await work({ traceparent: traceparentOf(span) ?? parent, set });
    } catch (error) {
      set({ 'error.type': error instanceof Error ? error.name : '_OTHER' });
      throw error;
    } finally {
      span.end();
    }
  });
}

const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A traceparent that came from elsewhere, if it is one. */
export function validTraceparent(text: string | undefined): string | undefined {
  return text !== undefined && TRACEPARENT.test(text) ? text : undefined;
}

function attributesOf(facts: Readonly<Record<string, string | number | readonly string[] | undefined>>): Attributes {
  return Object.fromEntries(Object.entries(facts).flatMap(([name, value]) => (value === undefined ? [] : [[name, typeof value === 'object' ? [...value] : value]])));
}
