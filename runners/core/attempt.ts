import { Buffer } from 'node:buffer';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../../crds/names.ts';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { DispatchMessage, ResultMessage } from '../../platform/messages/payloads.ts';
import type { LogPump } from './log-pump.ts';
import { failure, type Execution, type Executor, type Outcome } from './types.ts';

/** Why an attempt was told to stop. */
export type StopReason = 'Cancelled' | 'Timeout' | 'Draining';

/** One attempt in this runner. */
export class Attempt {
  readonly dispatch: DispatchMessage;
  readonly startedAt: number;
  /** Key of the attempt within this runner. */
  readonly key: string;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #kill = new AbortController();
  #reason: StopReason | undefined;
  #ended = false;
  /** Of the span its program ran in: the result is recorded below it. */
  #traceparent: string | undefined;
  #grace: { readonly until: number; readonly timer: TimerHandle } | undefined;

  constructor(dispatch: DispatchMessage, clock: Clock) {
    this.dispatch = dispatch;
    this.key = attemptKey(dispatch);
    this.#clock = clock;
    this.startedAt = clock.now();
  }

  /** Whether its program is over; its result may still be on its way. */
  get ended(): boolean { return this.#ended; }

  /** Tells it to stop; the first reason counts, a shorter grace replaces a longer one. Harmless after its end. */
  stop(reason: StopReason, graceMs: number): void {
    this.#reason ??= reason;
    const until = this.#clock.monotonic() + graceMs;
    if (graceMs <= 0) this.#kill.abort();
    else if (until < (this.#grace?.until ?? Infinity)) {
      this.#grace?.timer.cancel();
      this.#grace = { until, timer: this.#clock.after(graceMs, () => { this.#kill.abort(); }) };
    }
    this.#abort.abort();
  }

  /** Runs it to its end, whatever that is. `traceparent`: of the span the node's own spans belong below. */
  async run(executor: Executor | undefined, scratch: string, env: Readonly<Record<string, string>>, logs: LogPump, traceparent?: string): Promise<Outcome> {
    if (executor === undefined) return failure('Invalid', 'UnsupportedType', `this runner does not run nodes of type ${this.dispatch.type}`);
    this.#traceparent = traceparent;
    const { timeoutMs } = this.dispatch;
    const timer = timeoutMs === undefined ? undefined : this.#clock.after(timeoutMs, () => { this.stop('Timeout', 0); });
    let dir: string | undefined;
    try {
      // A fresh name: nothing a dispatch says becomes part of a path.
      if (executor.noFolder !== true) dir = await mkdtemp(join(scratch, 'attempt-'));
      const execution: Execution = {
        dispatch: this.dispatch, dir: dir ?? '', signal: this.#abort.signal, kill: this.#kill.signal, env, ...(traceparent === undefined ? {} : { traceparent }),
        log: (text) => { logs.write(text); },
      };
      return this.#judge(capped(await executor(execution)));
    } catch (error) {
      return this.#judge(failure('Infra', 'RunnerError', errorMessage(error)));
    } finally {
      this.#ended = true;
      timer?.cancel();
      this.#grace?.timer.cancel();
      logs.end();
      if (dir !== undefined) await rm(dir, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  /** An attempt that was stopped ended for that reason, unless it succeeded all the same. */
  #judge(outcome: Outcome): Outcome {
    if (outcome.ok !== false || this.#reason === undefined) return outcome;
    if (this.#reason === 'Timeout') return failure('Timeout', 'Timeout', `the node ran for longer than ${this.dispatch.timeoutMs ?? 0} ms`);
    if (this.#reason === 'Draining') return failure('Infra', 'RunnerStopped', 'the runner was stopped while the node ran');
    return failure('Cancelled', 'Cancelled', 'the attempt was cancelled');
  }

  /** The result as it is reported by a runner. */
  result(outcome: Outcome, runner: string): ResultMessage {
    const { run, node, item, attempt, secret } = this.dispatch;
    const traceparent = this.#traceparent ?? this.dispatch.traceparent;
    return {
      v: 1, run, node, item, attempt, secret, startedAt: this.startedAt, finishedAt: this.#clock.now(), runner,
      outcome: outcome.ok === 'parked' ? { ok: 'parked', why: outcome.why } : outcome,
      ...(traceparent === undefined ? {} : { traceparent }),
    };
  }
}

function capped(outcome: Outcome): Outcome {
  if (outcome.ok !== true) return outcome;
  const size = Buffer.byteLength(outcome.output);
  if (size <= LIMITS.outputBytes) return outcome;
  return failure('User', 'OutputTooLarge', `the output is ${size} bytes; an output may have ${LIMITS.outputBytes}`);
}

/** Which attempt, as text. */
export function attemptKey({ run, node, item, attempt }: Pick<DispatchMessage, 'run' | 'node' | 'item' | 'attempt'>): string {
  return `${run}/${node}/${item}/${attempt}`;
}
