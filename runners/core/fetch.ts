import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { sleep, type Clock } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { attemptRefSchema, fetchReplySchema, type FetchMessage, type FetchReply } from '../../platform/messages/payloads.ts';
import { runnerSubject } from '../../platform/messages/subjects.ts';
import type { NextDispatch, RunnerBus } from './harness.ts';

/** The attempt a pod was made for, as `RAMBO_FETCH` names it: JSON, without the secret. */
export const fetchTargetSchema = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'must be JSON' });
    return z.NEVER;
  }
}).pipe(z.object({ ...attemptRefSchema.omit({ secret: true }).shape, shard: z.int().min(0) }));

/** Which attempt to ask for, and of whom. */
export type FetchTarget = z.output<typeof fetchTargetSchema>;

/** What asking needs. */
export interface FetchParts {
  readonly clock: Clock;
  readonly bus: Pick<RunnerBus, 'request'>;
  readonly namespace: string;
  readonly pool: string;
  readonly target: FetchTarget;
  readonly secret: string;
  readonly random: () => number;
  /** Called when there is nothing to do: the runner may end. */
  readonly nothing: (reason: string) => void;
  readonly log: { warn(facts: object, message: string): void };
}

const REPLY_MS = 2_000;
const RETRY_MS = 200;

/**
 * Asks the owner of the run for this pod's one dispatch until it answers: a controller that is away for a while costs
 * time only. After a refusal, and for every call after the first, there is nothing more.
 */
export function fetchDispatch(parts: FetchParts): NextDispatch {
  let asked = false;
  return async () => {
    if (asked) return undefined;
    asked = true;
    const reply = await untilAnswered(parts);
    if (reply.dispatch !== undefined) return { data: Buffer.from(JSON.stringify(reply.dispatch)), count: 1, ack: () => undefined };
    parts.nothing(reply.refused ?? 'no dispatch');
    return undefined;
  };
}

async function untilAnswered(parts: FetchParts): Promise<FetchReply> {
  const { shard, ...ref } = parts.target;
  const message: FetchMessage = { v: 1, ...ref, secret: parts.secret };
  const subject = runnerSubject('fetch', parts.namespace, parts.pool, shard);
  for (let tries = 0; ; tries++) {
    try {
      const answer = await parts.bus.request(subject, Buffer.from(JSON.stringify(message)), REPLY_MS);
      return fetchReplySchema.parse(JSON.parse(new TextDecoder().decode(answer)));
    } catch (error) {
      if (tries % 10 === 3) parts.log.warn({ run: ref.run, node: ref.node, err: errorMessage(error) }, 'nobody gives this pod its work yet; it asks again');
      await sleep(parts.clock, RETRY_MS * (0.5 + parts.random()));
    }
  }
}
