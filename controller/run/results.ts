import { LIMITS } from '../../crds/names.ts';
import type { Json, RunEvent } from '../../engine/types.ts';
import { resultSchema, type ResultMessage, type ResultReply } from '../../platform/messages/payloads.ts';
import { withSpan } from '../../platform/tracing/index.ts';
import type { Settled } from './draft.ts';
import { openMessage, subjectPool, type DeadLetters } from './door.ts';
import { firstSign, type Leases } from './leases.ts';
import type { LiveRun } from './live-run.ts';
import type { Work } from './ports.ts';
import type { AttemptSecrets } from './secrets.ts';

/** What results need of the rest of the room. */
export interface ResultParts {
  readonly submit: (work: Work) => void;
  readonly secrets: AttemptSecrets;
  readonly dead: DeadLetters;
  readonly live: (run: string) => LiveRun | undefined;
  readonly leases: Pick<Leases, 'get'>;
  /** Sending to start, in seconds, of an attempt that was over before its first sign of life. */
  readonly dispatched: (seconds: number) => void;
}

/**
 * Takes the end of an attempt. The answer is given after the commit that records it; `Recorded` and `Ignored` both
 * mean that the runner may forget the attempt.
 */
export function takeResult(parts: ResultParts, subject: string, payload: Uint8Array): Promise<ResultReply> {
  const message = openMessage(resultSchema, subject, payload, parts.dead);
  if (message === undefined) return Promise.resolve({ v: 1, status: 'Ignored', message: 'the message cannot be read' });
  if (!belongs(parts, subject, message)) {
    parts.dead({ subject, reason: 'the attempt secret or the pool does not match', payload });
    return Promise.resolve({ v: 1, status: 'Ignored', message: 'not your attempt' });
  }
  const lease = parts.leases.get(message.run, message.node, message.item);
  if (lease?.attempt === message.attempt) {
    if (message.runner !== undefined) lease.runner = message.runner;
    const waited = firstSign(lease, message.startedAt);
    if (waited !== undefined) parts.dispatched(waited);
  }
  const recorded = (): Promise<ResultReply> => new Promise((resolve) => {
    parts.submit({ run: message.run, event: resultEvent(message), settle: (settled) => { resolve(resultReply(settled, parts, subject, payload)); } });
  });
  const { run, node, item, attempt, traceparent } = message;
  // Most runs are not traced: they pay for no span.
  return traceparent === undefined ? recorded() : withSpan('rambo.result', traceparent, { run, node, item, attempt }, recorded);
}

/** The secret proves the dispatch; the subject proves the pool. A run of another namespace is not this pool's business. */
function belongs(parts: ResultParts, subject: string, m: ResultMessage): boolean {
  const live = parts.live(m.run);
  if (live !== undefined && live.meta.namespace !== subjectPool(subject).namespace) return false;
  const lease = parts.leases.get(m.run, m.node, m.item);
  return parts.secrets.verify(m.run, m.node, m.item, m.attempt, m.secret, lease?.attempt === m.attempt ? lease.secret : undefined);
}

function resultEvent(m: ResultMessage): RunEvent {
  const place = { node: m.node, item: m.item, attempt: m.attempt, startedAt: m.startedAt };
  if (m.outcome.ok === 'parked') return { type: 'Parked', ...place, why: m.outcome.why };
  if (!m.outcome.ok) return { type: 'Failed', ...place, error: m.outcome.error };
  const size = Buffer.byteLength(m.outcome.output);
  if (size > LIMITS.outputBytes) {
    const message = `the output is ${size} bytes; an output may have ${LIMITS.outputBytes}`;
    return { type: 'Failed', ...place, error: { class: 'User', reason: 'OutputTooLarge', message } };
  }
  try {
    const output: Json = JSON.parse(m.outcome.output);
    return { type: 'Succeeded', ...place, output };
  } catch {
    return { type: 'Failed', ...place, error: { class: 'User', reason: 'OutputInvalid', message: 'the output is not valid JSON' } };
  }
}

function resultReply(settled: Settled, parts: ResultParts, subject: string, payload: Uint8Array): ResultReply {
  switch (settled.status) {
    case 'Committed': return { v: 1, status: 'Recorded' };
    case 'Unchanged':
    case 'Unknown': return { v: 1, status: 'Ignored', message: 'this attempt no longer counts' };
    case 'Retry': return { v: 1, status: 'Retry', message: settled.message };
    case 'Poisoned':
      parts.dead({ subject, reason: `cannot be stored: ${settled.message}`, payload });
      return { v: 1, status: 'Ignored', message: 'cannot be stored' };
  }
}
