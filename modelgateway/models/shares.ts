import { z } from 'zod';
import type { ModelSpec } from '../../crds/model.ts';

/*
 * What gateways share of one Model's limits, as a pure function: (state, who asks, now) -> (state, how many may go). Times are epoch milliseconds
 * of Postgres. Requests and tokens are counted per second over the last minute and a second more (from leave to departure a little passes), so
 * that no window of 60 seconds, wherever it begins, has more than the limit. Who waits longest, in whichever gateway, goes first.
 */

/** Limits of a Model. */
export type Limits = NonNullable<ModelSpec['limits']>;

const second = z.tuple([z.number(), z.number(), z.number()]);
const holder = z.object({
  /** Not heard of until then: it is taken for gone, and its calls with it. */
  until: z.number(),
  running: z.number(),
  /** Its first call that waits: since when, for how many tokens, and when it last said so. */
  waits: z.object({ since: z.number(), tokens: z.number(), heard: z.number() }).optional(),
});

/** The shared state: what began in which second (requests, tokens), and who holds and waits. */
export const limitStateSchema = z.object({ seconds: z.array(second), holders: z.record(z.string(), holder) });
/** The shared state of one Model. */
export type LimitState = z.output<typeof limitStateSchema>;

/** A call that waits for leave. */
export interface Waiter {
  readonly since: number;
  readonly tokens: number;
}

/** What a gateway says of itself. */
export interface Ask {
  readonly holder: string;
  /** Its calls under way. */
  readonly running: number;
  /** Those that wait, in their order. */
  readonly queue: readonly Waiter[];
  /** Tokens by which calls differed from what was counted for them, by the second they were counted in. */
  readonly corrections: readonly (readonly [second: number, tokens: number])[];
}

/** What it gets. */
export interface Granted {
  readonly state: LimitState;
  /** So many of the queue may go now; their tokens are counted in `second`. */
  readonly granted: number;
  readonly second: number;
  /** When to ask again for the rest, milliseconds from now. */
  readonly againMs: number;
}

/** A gateway that was not heard of for so long is gone: what it held is free again. */
export const HOLDER_MS = 6_000;
/** A gateway that waits says so again within this time, or its turn is another's. */
const HEARD_MS = 2_000;
/** How often one that waits asks: at least, so that it counts as waiting; at most. */
const MOST_AGAIN_MS = 1_000;
const LEAST_AGAIN_MS = 25;
/** A call elsewhere may end at any time. */
const RUNNING_AGAIN_MS = 100;
const WINDOW_SECONDS = 61;

/** A state in which nothing has happened. */
export const EMPTY: LimitState = { seconds: [], holders: {} };

/** Gives leave to as many of a gateway's waiting calls as the limits allow now. */
export function grant(before: LimitState, limits: Limits, ask: Ask, now: number): Granted {
  const current = Math.floor(now / 1_000);
  const seconds = corrected(before, ask, current);
  const others = Object.entries(before.holders).filter(([name, { until }]) => name !== ask.holder && until > now);
  const free = freeFor(seconds, others.map(([, held]) => held), limits, ask, now);
  const granted = countOf(ask.queue, free, limits);
  const tokens = ask.queue.slice(0, granted).reduce((sum, waiter) => sum + tokensOf(waiter, limits), 0);
  const rest = ask.queue[granted];
  const mine = granted + ask.running === 0 && rest === undefined ? [] : [[ask.holder, {
    until: now + HOLDER_MS, running: ask.running + granted, ...(rest === undefined ? {} : { waits: { since: rest.since, tokens: tokensOf(rest, limits), heard: now } }),
  }] as const];
  const state = { seconds: granted === 0 ? seconds : counted(seconds, current, granted, tokens), holders: Object.fromEntries([...others, ...mine]) };
  return { state, granted, second: Math.max(current, state.seconds.at(-1)?.[0] ?? 0), againMs: rest === undefined ? 0 : againMs(state, limits, rest, now) };
}

type Seconds = LimitState['seconds'];
interface Free { running: number; requests: number; tokens: number }

function corrected({ seconds }: LimitState, { corrections }: Ask, current: number): Seconds {
  const by = new Map(corrections);
  return seconds.filter(([at]) => at >= current - WINDOW_SECONDS).map(([at, requests, tokens]) => [at, requests, Math.max(0, tokens + (by.get(at) ?? 0))]);
}

function counted(seconds: Seconds, current: number, requests: number, tokens: number): Seconds {
  const last = seconds.at(-1);
  // Clocks of gateways may differ by a trip to Postgres: what is counted late is counted in the last second there is.
  if (last === undefined || last[0] < current) return [...seconds, [current, requests, tokens]];
  return [...seconds.slice(0, -1), [last[0], last[1] + requests, last[2] + tokens]];
}

function freeFor(seconds: Seconds, others: readonly LimitState['holders'][string][], limits: Limits, ask: Ask, now: number): Free {
  const head = ask.queue[0];
  const before = others.flatMap(({ waits }) => (waits !== undefined && head !== undefined && waits.heard > now - HEARD_MS && waits.since < head.since ? [waits] : []));
  const spent = (which: 1 | 2): number => seconds.reduce((sum, entry) => sum + entry[which], 0);
  return {
    running: (limits.concurrency ?? Infinity) - ask.running - others.reduce((sum, { running }) => sum + running, 0) - before.length,
    requests: (limits.rpm ?? Infinity) - spent(1) - before.length,
    tokens: (limits.tpm ?? Infinity) - spent(2) - before.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

function countOf(queue: readonly Waiter[], free: Free, limits: Limits): number {
  let { tokens } = free;
  let count = 0;
  for (const waiter of queue) {
    tokens -= tokensOf(waiter, limits);
    if (count >= free.running || count >= free.requests || tokens < 0) break;
    count += 1;
  }
  return count;
}

/** More than the limit of a minute could never be had. */
function tokensOf({ tokens }: Waiter, { tpm }: Limits): number {
  return tpm === undefined ? 0 : Math.min(tokens, tpm);
}

/** Until enough of the last minute is over; where calls under way are in the way, until one may have ended. */
function againMs({ seconds, holders }: LimitState, limits: Limits, head: Waiter, now: number): number {
  const running = Object.values(holders).reduce((sum, held) => sum + held.running, 0);
  if (limits.concurrency !== undefined && running >= limits.concurrency) return RUNNING_AGAIN_MS;
  let requests = seconds.reduce((sum, entry) => sum + entry[1], 0);
  let tokens = seconds.reduce((sum, entry) => sum + entry[2], 0);
  for (const [at, began, used] of seconds) {
    requests -= began;
    tokens -= used;
    if (requests + 1 <= (limits.rpm ?? Infinity) && tokens + tokensOf(head, limits) <= (limits.tpm ?? Infinity)) return clamp((at + WINDOW_SECONDS + 1) * 1_000 - now);
  }
  return RUNNING_AGAIN_MS;
}

function clamp(ms: number): number {
  return Math.max(LEAST_AGAIN_MS, Math.min(MOST_AGAIN_MS, ms));
}
