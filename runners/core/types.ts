import type { DispatchMessage, ReportedError } from '../../platform/messages/payloads.ts';

/** How an attempt ended: output as JSON text, or an error, or an agent waits. */
export type Outcome =
  | { readonly ok: true; readonly output: string }
  | { readonly ok: false; readonly error: ReportedError }
  /** `recorded` is called once the controller has it; it never throws. */
  | { readonly ok: 'parked'; readonly why: string; readonly recorded?: () => Promise<void> };

/** What an executor is given besides the dispatch. */
export interface Execution {
  readonly dispatch: DispatchMessage;
  /** Private directory of this attempt, removed afterwards; empty for executors that need none. */
  readonly dir: string;
  /** Aborted when the attempt shall end: cancelled, timed out or drained. */
  readonly signal: AbortSignal;
  /** Aborted when its grace is over (at once without one): what still runs is killed. */
  readonly kill: AbortSignal;
  /** Output of the program, as it comes. */
  readonly log: (text: string) => void;
  /** Environment a program may see: the pool's own, without anything of the runner's. */
  readonly env: Readonly<Record<string, string>>;
  /** W3C traceparent below which the program's own spans belong. */
  readonly traceparent?: string;
}

/** Runs one kind of node. Never throws: whatever goes wrong is an outcome. */
export type Executor = ((execution: Execution) => Promise<Outcome>) & {
  /** It runs no program: nothing is written to disk for it. */
  readonly noFolder?: true;
};

/** A failed outcome. */
export function failure(errorClass: ReportedError['class'], reason: string, message: string): Outcome {
  return { ok: false, error: { class: errorClass, reason, message: message.slice(0, 4_000) } };
}
