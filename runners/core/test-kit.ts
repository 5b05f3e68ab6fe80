import { Buffer } from 'node:buffer';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '../../platform/clock/manual.ts';
import {
  beatSchema, dispatchSchema, logSchema, resultSchema, type BeatMessage, type DispatchMessage, type LogMessage, type ResultMessage, type ResultReply,
} from '../../platform/messages/payloads.ts';
import { Harness, type Delivery, type HarnessParts, type RunnerBus } from './harness.ts';
import type { Execution, Executor } from './types.ts';

/** For the tests of this room only. */

/** A dispatch of a script node, changed where the test wants. */
export function dispatch(changes: Partial<DispatchMessage> = {}): DispatchMessage {
  return dispatchSchema.parse({
    v: 1, run: 'run-1', node: 'a', item: -1, attempt: 1, secret: 'secret-of-the-attempt', namespace: 'team', pool: 'default', shard: 7, send: 0,
    runName: 'first', type: 'script', with: {}, env: {}, idempotencyKey: 'run-1/a/-1', ...changes,
  });
}

/** Environment of the pool that tests give to programs. */
export const POOL_ENV = { PATH: '/usr/local/bin:/usr/bin:/bin', POOL_VAR: 'of the pool' } as const;

/** A folder that goes with the test that asked for it. */
export function scratchDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'rambo-runner-test-'));
  folders.push(dir);
  return dir;
}

const folders: string[] = [];
const ends: AbortController[] = [];

/** Kills what executions of this test still run, also after a failure, and removes what `scratchDir` made. */
export function removeScratch(): void {
  for (const end of ends.splice(0)) end.abort();
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true });
}

/** An execution with handles to stop it; `logged` gathers its output. */
export function execution(changes: Partial<DispatchMessage> = {}): Execution & { readonly logged: string[]; readonly stop: AbortController; readonly end: AbortController } {
  const stop = new AbortController();
  const end = new AbortController();
  ends.push(end);
  const logged: string[] = [];
  return {
    dispatch: dispatch(changes), dir: scratchDir(), signal: stop.signal, kill: end.signal, env: POOL_ENV, log: (text) => { logged.push(text); }, logged, stop, end,
  };
}

/** Polls a condition that another process fulfils. Throws after 10 s. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 2); });
  }
}

/** Moves the clock in steps until the condition holds; between two steps everything that is ready runs. */
export async function advanceUntil(clock: ManualClock, what: string, holds: () => boolean, stepMs = 100): Promise<void> {
  await until(what, () => {
    if (holds()) return true;
    clock.advance(stepMs);
    return false;
  });
}

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => { setImmediate(resolve); });
}

/** Whether a process runs; one that ended and was not collected yet does not. */
export function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.startsWith('Z');
  } catch {
    return false;
  }
}

/** What a request is answered: a reply, other text, or nothing (a timeout). */
export type Answer = ResultReply['status'] | 'nothing' | { readonly text: string };

/** NATS in memory: keeps what was sent, parsed as the controller parses it. */
export class StubBus implements RunnerBus {
  connected = true;
  readonly beats: (BeatMessage & { readonly subject: string })[] = [];
  readonly logs: LogMessage[] = [];
  readonly results: ResultMessage[] = [];
  readonly subjects: string[] = [];
  /** Answers still to come; then Recorded. */
  answers: Answer[] = [];
  readonly #listeners = new Map<string, (subject: string, payload: Uint8Array) => void>();

  publish(subject: string, payload: Uint8Array): void {
    this.subjects.push(subject);
    const message: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    if (subject.startsWith('rambo.beat.')) this.beats.push({ ...beatSchema.parse(message), subject });
    else this.logs.push(logSchema.parse(message));
  }

  request(subject: string, payload: Uint8Array): Promise<Uint8Array> {
    this.subjects.push(subject);
    this.results.push(resultSchema.parse(JSON.parse(Buffer.from(payload).toString('utf8'))));
    const answer = this.answers.shift() ?? 'Recorded';
    if (answer === 'nothing') return Promise.reject(new Error('timeout'));
    return Promise.resolve(Buffer.from(typeof answer === 'string' ? JSON.stringify({ v: 1, status: answer }) : answer.text));
  }

  listen(subject: string, handler: (subject: string, payload: Uint8Array) => void): { stop(): void } {
    this.#listeners.set(subject, handler);
    return { stop: () => { this.#listeners.delete(subject); } };
  }

  /** Delivers a message to whoever listens. */
  send(subject: string, message: unknown): void {
    this.#listeners.get(subject)?.(subject, Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)));
  }

  get listening(): readonly string[] { return [...this.#listeners.keys()]; }
}

/** The stream, as a runner sees it. */
export class StubStream {
  acked = 0;
  asked = 0;
  readonly #waiting: Delivery[] = [];
  readonly #takers: ((delivery: Delivery) => void)[] = [];

  /** Number of requests that are open. */
  get open(): number { return this.#takers.length; }

  readonly next = (): Promise<Delivery | undefined> => {
    this.asked++;
    const delivery = this.#waiting.shift();
    if (delivery !== undefined) return Promise.resolve(delivery);
    return new Promise((resolve) => { this.#takers.push(resolve); });
  };

  push(message: DispatchMessage | Uint8Array, count = 1): void {
    const data = message instanceof Uint8Array ? message : Buffer.from(JSON.stringify(message));
    const delivery: Delivery = { data, count, ack: () => { this.acked++; } };
    const taker = this.#takers.shift();
    if (taker === undefined) this.#waiting.push(delivery);
    else taker(delivery);
  }
}

/** A harness over stubs, working already. */
export interface Rig {
  readonly harness: Harness;
  readonly clock: ManualClock;
  readonly bus: StubBus;
  readonly stream: StubStream;
  readonly lines: string[];
  readonly ended: Promise<void>;
}

/** Starts a harness; end it with `drain` and `ended`. */
export function startHarness(executors: Readonly<Record<string, Executor>>, changes: Partial<HarnessParts> = {}): Rig {
  const clock = new ManualClock();
  const bus = new StubBus();
  const stream = new StubStream();
  const lines: string[] = [];
  const keep = (facts: object, message: string): void => { lines.push(`${message} ${JSON.stringify(facts)}`); };
  const harness = new Harness({
    clock, bus, next: stream.next, executors, namespace: 'team', pool: 'default', runner: 'runner-0', slots: 2, once: false, exclusive: false,
    scratch: scratchDir(), env: POOL_ENV, random: () => 0.5, log: { info: keep, warn: keep }, ...changes,
  });
  return { harness, clock, bus, stream, lines, ended: harness.run() };
}
