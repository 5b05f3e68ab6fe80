import { z } from 'zod';
import { systemIds } from '../../platform/ids/index.ts';
import { call } from '../api/call.ts';
import type { Door } from '../api/call.ts';
import { follow } from '../api/events.ts';
import type { News } from '../api/events.ts';
import { CliError } from '../errors.ts';
import { plain } from '../io/plain.ts';

/* One run of an agent, from its start to its end, as the command line sees it. */

const startedSchema = z.looseObject({ id: z.string(), runId: z.string() });
const runSchema = z.looseObject({ phase: z.string(), failures: z.array(z.looseObject({ reason: z.string(), message: z.string() })).default([]) });
const endSchema = z.looseObject({ phase: z.string(), reason: z.string().optional(), message: z.string().optional(), output: z.unknown().optional() });
const FINAL = ['Succeeded', 'Failed', 'Cancelled'];
/** Until a runner has it, an agent run is not there; asked again after so long. */
const APPEAR_MS = 300;

/** Ids of what was started. */
export type Started = z.output<typeof startedSchema>;
/** How an agent run ended. */
export type End = z.output<typeof endSchema>;
/** What a start needs. */
export interface Start {
  readonly namespace: string;
  readonly agent: string;
  readonly input?: unknown;
  readonly conversation?: string;
}

/** What is needed to call the API and to wait. */
export interface Caller {
  readonly door: Door;
  readonly pause: (ms: number) => Promise<void>;
}

/** Starts an agent; repeating what was lost on the way starts nothing new. */
export async function startAgent({ door, pause }: Caller, start: Start): Promise<Started> {
  return startedSchema.parse(await call(door, {
    method: 'POST', path: '/api/v1/agent-runs', headers: { 'content-type': 'application/json', 'idempotency-key': systemIds.uuid() }, body: JSON.stringify(start),
  }, pause));
}

/** Asks for the end of a run: what it has under way is given up. */
export async function cancelRun({ door, pause }: Caller, runId: string): Promise<void> {
  await call(door, { method: 'POST', path: `/api/v1/runs/${encodeURIComponent(runId)}/cancel`, headers: { 'content-type': 'application/json', 'idempotency-key': systemIds.uuid() }, body: '{}' }, pause);
}

/** Waits until a runner has begun it; false when `signal` came first. Throws CliError `RunEnded` where the run around it has ended before. */
export async function appeared({ door, pause }: Caller, { id, runId }: Started, signal?: AbortSignal): Promise<boolean> {
  while (signal?.aborted !== true) {
    const there = await call(door, { method: 'GET', path: `/api/v1/agent-runs/${encodeURIComponent(id)}`, headers: {} }, pause).then(() => true, (error: unknown) => {
      if (error instanceof CliError && error.code === 'NOT_FOUND') return false;
      throw error;
    });
    if (there) return true;
    const { phase, failures } = runSchema.parse(await call(door, { method: 'GET', path: `/api/v1/runs/${encodeURIComponent(runId)}`, headers: {} }, pause));
    if (FINAL.includes(phase)) throw new CliError('RunEnded', `run ${runId} has ended before the agent began: ${phase}${failures.map(({ reason, message }) => `\n  ${reason}: ${plain(message)}`).join('')}`);
    await pause(APPEAR_MS);
  }
  return false;
}

/** Follows an agent run to its end; undefined where `signal` came before it. `hear` gets all news, one after the other. */
export async function toItsEnd({ door, pause }: Caller, agentRun: string, hear: (news: News) => void | Promise<void>, signal?: AbortSignal): Promise<End | undefined> {
  let end: End | undefined;
  for await (const news of follow(door, agentRun, 1, pause, signal)) {
    if (signal?.aborted === true) return undefined;
    await hear(news);
    if (news.kind === 'event' && news.event.kind === 'RunCompleted') end = endSchema.parse(news.event.payload);
  }
  return end;
}

/** Why it ended otherwise than well, in one line. */
export function endText({ phase, reason, message }: End): string {
  return `${phase}${reason === undefined ? '' : ` (${reason})`}${message === undefined ? '' : `: ${plain(message)}`}`;
}
