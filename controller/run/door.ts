import type { z } from 'zod';
import { LIMITS } from '../../crds/names.ts';

/** A message that cannot be used: counted, kept as a dead letter, never retried. */
export interface Unusable {
  readonly subject: string;
  readonly reason: string;
  readonly payload: Uint8Array;
}

/** Where unusable messages go. */
export type DeadLetters = (letter: Unusable) => void;

/** Largest message the door parses: an output at its cap, escaped, with its envelope. */
const MAX_MESSAGE_BYTES = 4 * LIMITS.outputBytes;
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Parses a message of the NATS contract, or hands it to the dead letters and returns undefined. */
export function openMessage<T extends z.ZodType>(schema: T, subject: string, payload: Uint8Array, dead: DeadLetters): z.output<T> | undefined {
  if (payload.byteLength > MAX_MESSAGE_BYTES) {
    dead({ subject, reason: `message of ${payload.byteLength} bytes is over the limit of ${MAX_MESSAGE_BYTES}`, payload });
    return undefined;
  }
  try {
    const parsed = schema.safeParse(JSON.parse(decoder.decode(payload)));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    dead({ subject, reason: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`, payload });
  } catch {
    dead({ subject, reason: 'not valid JSON in UTF-8', payload });
  }
  return undefined;
}

/** Namespace and pool of a runner's subject `rambo.<verb>.<ns>.<pool>.<shard>`: the part NATS itself vouches for. */
export function subjectPool(subject: string): { readonly namespace: string; readonly pool: string } {
  const [, , namespace = '', pool = ''] = subject.split('.');
  return { namespace, pool };
}
