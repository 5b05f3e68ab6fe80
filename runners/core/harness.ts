import { Buffer } from 'node:buffer';
import { doubling, sleep, type Clock, type TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import {
  cancelSchema, dispatchSchema, resultReplySchema, type AttemptRef, type BeatMessage, type DispatchMessage, type LogMessage, type ResultMessage,
} from '../../platform/messages/payloads.ts';
import { cancelSubject, runnerSubject } from '../../platform/messages/subjects.ts';
import { withSpan } from '../../platform/tracing/index.ts';
import { Attempt, attemptKey } from './attempt.ts';
import { LogPump } from './log-pump.ts';
import { RecentKeys } from './recent.ts';
import { RunTurns } from './run-turns.ts';
import { failure, type Executor, type Outcome } from './types.ts';

/** A delivered dispatch. */
export interface Delivery {
  readonly data: Uint8Array;
  readonly count: number;
  ack(): void;
}

/** NATS, as far as a runner goes. */
export interface RunnerBus {
  /** Whether the connection stands; logs wait while it does not. */
  readonly connected: boolean;
  publish(subject: string, payload: Uint8Array): void;
  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  listen(subject: string, handler: (subject: string, payload: Uint8Array) => void): { stop(): void };
}

/** Where work comes from: one call per free slot. */
export type NextDispatch = (expiresMs: number) => Promise<Delivery | undefined>;

/** What a runner is made of. */
export interface HarnessParts {
  readonly clock: Clock;
  readonly bus: RunnerBus;
  readonly next: NextDispatch;
  readonly executors: Readonly<Record<string, Executor>>;
  readonly namespace: string;
  readonly pool: string;
  readonly runner: string;
  readonly slots: number;
  /** One node, then the end. */
  readonly once: boolean;
  /** Nodes of one run at a time. */
  readonly exclusive: boolean;
  readonly scratch: string;
  readonly env: Readonly<Record<string, string>>;
  readonly random: () => number;
  readonly log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
}

const BEAT_MS = 2_000;
/** Attempts that are over before this send no sign of life at all: their result says more. */
const FIRST_BEAT_MS = 20;
const PULL_MS = 30_000;
const REPLY_MS = 2_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
/** While nobody speaks for a run its shard is on its way to another controller: asking costs NATS alone, so it is asked often. */
const NOBODY_MAX_MS = 500;
/** Attempts of the past that a runner knows again. */
const RAN_KEPT = 4_096;
const decoder = new TextDecoder();
/** Attempts in one beat; the receiver refuses more. */
const BEAT_ATTEMPTS = 1_024;

/** The process in a runner pod: takes dispatches, runs them, reports each until it is answered. */
export class Harness {
  readonly #p: HarnessParts;
  readonly #running = new Map<string, Attempt>();
  readonly #reporting = new Set<Promise<void>>();
  readonly #ran = new RecentKeys(RAN_KEPT);
  #beat: TimerHandle | undefined;
  #fresh: Attempt[] = [];
  readonly #drained = new AbortController();
  readonly #turns: RunTurns | undefined;
  #cancels: { stop(): void } | undefined;

  constructor(parts: HarnessParts) {
    this.#p = parts;
    this.#turns = parts.exclusive ? new RunTurns(parts.clock) : undefined;
  }

  /** Nodes running now. */
  get busy(): number { return this.#running.size; }

  /** Works until it is drained (or, with `once`, until one node has ended). */
  async run(): Promise<void> {
    this.#cancels = this.#p.bus.listen(cancelSubject(this.#p.namespace, this.#p.pool), (_, payload) => { this.#cancel(payload); });
    this.#beatLater();
    const slots = this.#p.once ? 1 : this.#p.slots;
    await Promise.all(Array.from({ length: slots }, () => this.#slot()));
    await Promise.all(this.#reporting);
    this.#beat?.cancel();
    this.#cancels.stop();
  }

  /** Takes nothing more; running nodes have `graceMs` to end, then they are stopped and reported as lost. */
  drain(graceMs: number): void {
    if (this.#draining) return;
    this.#drained.abort();
    this.#turns?.close();
    this.#p.log.info({ running: this.#running.size }, 'draining');
    this.#p.clock.after(graceMs, () => { for (const attempt of this.#running.values()) attempt.stop('Draining', 2_000); });
  }

  get #draining(): boolean { return this.#drained.signal.aborted; }

  async #slot(): Promise<void> {
    while (!this.#draining) {
      if (this.#turns !== undefined) await this.#turns.ready();
      const delivery = await this.#take();
      if (delivery === undefined) continue;
      const dispatch = this.#open(delivery);
      if (dispatch === undefined) continue;
      if (this.#turns !== undefined && !await this.#turns.enter(dispatch.run)) {
        this.#sendBeat(dispatch.shard, { attempts: [], returned: [refOf(dispatch)] });
        continue;
      }
      await this.#execute(dispatch);
      this.#turns?.leave();
      if (this.#p.once) return;
    }
  }

  /** The next dispatch; undefined when there is none, or as soon as we drain: then what the open request still brings is handed back. */
  async #take(): Promise<Delivery | undefined> {
    try {
      return await unlessAborted(this.#p.next(PULL_MS), this.#drained.signal, (late) => { this.#handBack(late); });
    } catch (error) {
      this.#p.log.warn({ err: errorMessage(error) }, 'could not ask for work; trying again');
      await sleep(this.#p.clock, RETRY_MIN_MS + 400 * this.#p.random(), this.#drained.signal);
      return undefined;
    }
  }

  #handBack(late: Delivery | undefined): void {
    try {
      if (late !== undefined) this.#open(late);
    } catch (error) {
      this.#p.log.warn({ err: errorMessage(error) }, 'a dispatch could not be handed back; it will be delivered again');
    }
  }

  /** Acknowledged on receipt, before it starts: from then on only our beats count. A second delivery is never run. */
  #open(delivery: Delivery): DispatchMessage | undefined {
    delivery.ack();
    const dispatch = readDispatch(delivery.data);
    if (dispatch === undefined) {
      this.#p.log.warn({ bytes: delivery.data.byteLength }, 'a dispatch cannot be read; it is left out');
      return undefined;
    }
    if (delivery.count > 1) {
      this.#p.log.warn({ run: dispatch.run, node: dispatch.node, attempt: dispatch.attempt, count: delivery.count }, 'refused a second delivery');
      this.#sendBeat(dispatch.shard, { attempts: [], refused: [refOf(dispatch)] });
      return undefined;
    }
    if (this.#running.has(attemptKey(dispatch)) || this.#ran.has(attemptKey(dispatch))) {
      this.#p.log.warn({ run: dispatch.run, node: dispatch.node, attempt: dispatch.attempt }, 'an attempt that runs or ran here was sent again; it is left out');
      return undefined;
    }
    if (this.#draining) {
      this.#sendBeat(dispatch.shard, { attempts: [], returned: [refOf(dispatch)] });
      return undefined;
    }
    return dispatch;
  }

  async #execute(dispatch: DispatchMessage): Promise<void> {
    const attempt = new Attempt(dispatch, this.#p.clock);
    this.#running.set(attempt.key, attempt);
    this.#announce(attempt);
    const logs = new LogPump(this.#p.clock, (offset, text) => { this.#sendLog(dispatch, offset, text); }, () => this.#p.bus.connected);
    const executor = Object.hasOwn(this.#p.executors, dispatch.type) ? this.#p.executors[dispatch.type] : undefined;
    const { run, node, item, attempt: number } = dispatch;
    const work = (own?: string): Promise<Outcome> => attempt.run(executor, this.#p.scratch, this.#p.env, logs, own);
    // Most runs are not traced: they pay for no span.
    const running = dispatch.traceparent === undefined ? work() : withSpan('rambo.node', dispatch.traceparent, { run, node, item, attempt: number }, work);
    const outcome = await running.catch((error: unknown) => failure('Infra', 'RunnerError', errorMessage(error)));
    const reporting = this.#report(dispatch, attempt.result(outcome, this.#p.runner)).then(() => (outcome.ok === 'parked' ? outcome.recorded?.() : undefined)).finally(() => {
      this.#running.delete(attempt.key);
      // A stream that lost its memory may bring an attempt again that has been reported.
      this.#ran.add(attempt.key);
      this.#reporting.delete(reporting);
    });
    this.#reporting.add(reporting);
  }

  /** Repeats the result until somebody answers that it is recorded, or that it does not count. */
  async #report(dispatch: DispatchMessage, result: ResultMessage): Promise<void> {
    const subject = runnerSubject('result', this.#p.namespace, this.#p.pool, dispatch.shard);
    const payload = Buffer.from(JSON.stringify(result));
    for (let tries = 0; ; tries++) {
      let most = NOBODY_MAX_MS;
      try {
        const reply = resultReplySchema.parse(JSON.parse(decoder.decode(await this.#p.bus.request(subject, payload, REPLY_MS))));
        if (reply.status !== 'Retry') return;
        most = RETRY_MAX_MS;
      } catch (error) {
        if (tries === 3) this.#p.log.warn({ run: dispatch.run, node: dispatch.node, err: errorMessage(error) }, 'a result is not answered yet; it is repeated');
      }
      const ceiling = doubling(RETRY_MIN_MS, most, tries);
      await sleep(this.#p.clock, ceiling / 2 + (ceiling / 2) * this.#p.random());
    }
  }

  #beatLater(): void {
    this.#beat = this.#p.clock.after(BEAT_MS, () => {
      this.#beatFor([...this.#running.values()]);
      this.#beatLater();
    });
  }

  /** The first sign of life, together with those of all attempts that started within the same moment. */
  #announce(attempt: Attempt): void {
    this.#fresh.push(attempt);
    if (this.#fresh.length > 1) return;
    this.#p.clock.after(FIRST_BEAT_MS, () => {
      const fresh = this.#fresh;
      this.#fresh = [];
      this.#beatFor(fresh.filter((a) => !a.ended));
    });
  }

  #beatFor(running: readonly Attempt[]): void {
    for (const [shard, attempts] of Map.groupBy(running, (attempt) => attempt.dispatch.shard)) {
      for (let i = 0; i < attempts.length; i += BEAT_ATTEMPTS) {
        this.#sendBeat(shard, { attempts: attempts.slice(i, i + BEAT_ATTEMPTS).map((a) => ({ ...refOf(a.dispatch), startedAt: a.startedAt })) });
      }
    }
  }

  #sendBeat(shard: number, beat: Omit<BeatMessage, 'v' | 'runner'>): void {
    const message: BeatMessage = { v: 1, runner: this.#p.runner, ...beat };
    this.#p.bus.publish(runnerSubject('beat', this.#p.namespace, this.#p.pool, shard), Buffer.from(JSON.stringify(message)));
  }

  #sendLog(dispatch: DispatchMessage, offset: number, text: string): void {
    const message: LogMessage = { v: 1, ...refOf(dispatch), offset, text };
    this.#p.bus.publish(runnerSubject('log', this.#p.namespace, this.#p.pool, dispatch.shard), Buffer.from(JSON.stringify(message)));
  }

  #cancel(payload: Uint8Array): void {
    const parsed = cancelSchema.safeParse(readJson(payload));
    if (!parsed.success) return;
    for (const ref of parsed.data.attempts) this.#running.get(attemptKey(ref))?.stop('Cancelled', ref.graceMs);
  }
}

/** What `asked` brings, or undefined as soon as `signal` aborts: what it brings then goes to `late`. */
function unlessAborted<T>(asked: Promise<T>, signal: AbortSignal, late: (value: T) => void): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const leave = (): void => { resolve(undefined); };
    signal.addEventListener('abort', leave, { once: true });
    asked.then((value) => {
      if (signal.aborted) late(value);
      else resolve(value);
    }, reject).finally(() => { signal.removeEventListener('abort', leave); });
  });
}

function refOf({ run, node, item, attempt, secret }: AttemptRef): AttemptRef {
  return { run, node, item, attempt, secret };
}

function readDispatch(data: Uint8Array): DispatchMessage | undefined {
  const parsed = dispatchSchema.safeParse(readJson(data));
  return parsed.success ? parsed.data : undefined;
}

function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return undefined;
  }
}
