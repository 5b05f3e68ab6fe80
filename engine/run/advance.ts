import type { CancelMode } from '../../crds/workflow-run.ts';
import type { NodePlan } from '../compile/plan.ts';
import { NO_ITEM, type Hindrance, type NodeError, type NodeRow, type RunEvent, type RunRow, type Step } from '../types.ts';
import { endBackoff, failAttempt, GRACE_MS, queueAttempt, succeedAttempt, takeAttempt, timeOutAttempt, timeOutPending } from './attempt.ts';
import { decide, nextItem, runInline } from './decide.ts';
import { beginExit, finishRun } from './finish.ts';
import { parkAttempt, wake, wakeAll } from './park.ts';
import { hold, isDecision, isHeld, release } from './review.ts';
import { finishFan, offerFan, planNamed, settle } from './settle.ts';
import { fanAt, indexOfKey, isFinal, isLeaf, itemOfKey, keyOf, planAt, rowAt, type RunState } from './state.ts';
import { drain, endNow, halt, isStopping } from './stop.ts';
import { EMPTY_STEP, StepBuilder } from './step.ts';
import { CONTINUE, EXIT_TIMEOUT, exitTimeoutAt, hasLeftOver, RUN_TIMEOUT, runTimeoutAt, timerOf } from './timers.ts';

/** Pieces of work, and steps of expressions, after which a step ends and asks to be continued. */
const MAX_WORK = 2_000;
const MAX_SPENT = 300_000;
/** How much too early a timer may fire: clocks step back a little, and a wheel forgets a timer that it fired. */
const EARLY_MS = 1_000;

/**
 * What a run does next. Changes `state` in place and returns everything that changed and has to be done. Pure
 * otherwise: no clock (`now` is epoch milliseconds), no randomness, no I/O. A repeated, late or unknown event gives
 * an empty step. The cost is that of what changed.
 */
export function advance(state: RunState, event: RunEvent, now: number): Step {
  if (isFinal(state.run)) return EMPTY_STEP;
  const held = isHeld(state.run);
  if (held && !isDecision(event)) return EMPTY_STEP;
  const b = new StepBuilder(state, now);
  if (held) release(b);
  if (!apply(b, event) && !held) return EMPTY_STEP;
  if (held && event.type === 'Resume') goOn(b);
  if (!isHeld(state.run)) pump(b);
  return b.build();
}

/** Applies the event itself; false when it changes nothing. */
function apply(b: StepBuilder, event: RunEvent): boolean {
  switch (event.type) {
    case 'Start': return start(b);
    case 'Taken': case 'Succeeded': case 'Failed': case 'Parked': return onAttempt(b, event);
    case 'Wake': return wake(b, event.node, event.item);
    case 'Timer': return onTimer(b, event.timer, event.hindrance);
    case 'Cancel': return cancel(b, event.mode);
    case 'Suspend': return suspend(b, true);
    case 'Resume': return suspend(b, false);
    case 'Hold': return hold(b, event.why);
    case 'Reject': return reject(b, event.error);
  }
}

/** A person lets a held run go on: nobody told it meanwhile what its agents waited for, so they look for themselves. */
function goOn(b: StepBuilder): void {
  if (b.state.run.startedAt === undefined) start(b);
  else wakeAll(b);
}

function start(b: StepBuilder): boolean {
  const { state } = b;
  if (state.run.phase !== 'Pending' || state.run.startedAt !== undefined) return false;
  b.setRun({ ...state.run, phase: state.run.suspended ? 'Suspended' : 'Running', startedAt: b.now });
  b.note('RunStarted');
  const at = runTimeoutAt(state);
  if (at !== undefined) b.setTimer(RUN_TIMEOUT, at);
  for (let index = 0; index < state.compiled.mainCount; index++) if (state.remaining[index] === 0) state.ready.push(index);
  return true;
}

type AttemptEvent = Extract<RunEvent, { type: 'Taken' | 'Succeeded' | 'Failed' | 'Parked' }>;

function onAttempt(b: StepBuilder, event: AttemptEvent): boolean {
  const plan = planNamed(b.state, event.node);
  if (plan === undefined || !isLeaf(plan, event.item)) return false;
  const row = rowAt(b.state, plan.index, event.item);
  if (row?.attempt !== event.attempt || (row.status !== 'Queued' && row.status !== 'Running')) return false;
  const before = b.state.seq;
  switch (event.type) {
    case 'Taken':
      if (row.status === 'Queued') takeAttempt(b, plan, row, event.at);
      break;
    case 'Succeeded': succeedAttempt(b, plan, row, event.output, event.startedAt); break;
    case 'Failed': failAttempt(b, plan, row, event.error, event.startedAt); break;
    case 'Parked': parkAttempt(b, plan, row, event.why, event.startedAt); break;
  }
  return b.state.seq !== before;
}

const ATTEMPT_TIMER = /^(pending|timeout|retry|wait|cancel):([^:]+):(-?\d+):(\d+)$/;

function onTimer(b: StepBuilder, timer: string, hindrance: Hindrance | undefined): boolean {
  const { state } = b;
  if (timer === CONTINUE) return hasLeftOver(state);
  if (timer === RUN_TIMEOUT) return timeOutRun(b);
  if (timer === EXIT_TIMEOUT) return timeOutExit(b);
  const match = ATTEMPT_TIMER.exec(timer);
  const plan = match === null ? undefined : planNamed(state, match[2] ?? '');
  if (match === null || plan === undefined) return false;
  const item = Number(match[3]);
  const row = rowAt(state, plan.index, item);
  const expected = row === undefined ? undefined : timerOf(plan, row);
  // Only the timer the row implies now counts: all others are late or invented.
  if (row === undefined || expected?.timer !== timer) return false;
  if (isEarly(b, timer, expected.at)) return true;
  fire(b, plan, row, hindrance);
  return true;
}

/** A timer that fires far too early (the clock was set back) is set again, so that it is not lost. */
function isEarly(b: StepBuilder, timer: string, at: number): boolean {
  if (at - b.now <= EARLY_MS) return false;
  b.setTimer(timer, at);
  b.note('TimerRearmed', undefined, timer);
  return true;
}

function fire(b: StepBuilder, plan: NodePlan, row: NodeRow, hindrance: Hindrance | undefined): void {
  if (row.status === 'Queued') timeOutPending(b, plan, row, hindrance);
  else if (row.status === 'Waiting' && plan.type === 'wait') settle(b, plan, row, 'Succeeded', { output: null });
  else if (row.status === 'Waiting') endBackoff(b, plan, row, keyOf(plan.index, row.item));
  else if (row.dueAt !== undefined) endNow(b, plan, row, { class: 'Cancelled', reason: 'GraceExceeded', message: `it did not stop within ${GRACE_MS} ms and was given up` });
  else timeOutAttempt(b, plan, row);
}

function timeOutRun(b: StepBuilder): boolean {
  const { state } = b;
  const at = runTimeoutAt(state);
  if (at === undefined) return false;
  if (isEarly(b, RUN_TIMEOUT, at)) return true;
  const error: NodeError = { class: 'Timeout', reason: 'Timeout', message: `the run did not end within its timeout of ${state.compiled.timeoutMs ?? 0} ms` };
  // onExit is to run, so a suspended run goes on from here.
  b.setRun({ ...state.run, phase: 'Running', suspended: false, error });
  b.note('RunTimedOut', undefined, error.reason);
  drain(b, 'main', { class: 'Cancelled', reason: 'RunTimeout', message: error.message }, GRACE_MS);
  return true;
}

function timeOutExit(b: StepBuilder): boolean {
  const { state } = b;
  const at = exitTimeoutAt(state);
  if (at === undefined || isStopping(state, 'exit')) return false;
  if (isEarly(b, EXIT_TIMEOUT, at)) return true;
  const error: NodeError = { class: 'Timeout', reason: 'OnExitTimeout', message: 'onExit did not end within its 10 minutes' };
  b.setRun({ ...state.run, error: state.run.error ?? error });
  b.note('ExitTimedOut', undefined, error.reason);
  drain(b, 'exit', { class: 'Cancelled', reason: error.reason, message: error.message }, GRACE_MS);
  return true;
}

function cancel(b: StepBuilder, mode: CancelMode): boolean {
  const { state } = b;
  if (state.run.cancel === 'Now' || state.run.cancel === mode) return false;
  const hadTimeout = runTimeoutAt(state) !== undefined;
  const unstarted = state.run.startedAt === undefined;
  const run: RunRow = { ...state.run, cancel: mode, suspended: false };
  b.setRun({ ...run, phase: unstarted ? 'Pending' : 'Running' });
  if (hadTimeout) b.clearTimer(RUN_TIMEOUT);
  b.note('RunCancelling', undefined, mode);
  const error: NodeError = { class: 'Cancelled', reason: 'RunCancelled', message: `the run was cancelled (${mode})` };
  if (mode === 'Now' || unstarted) {
    drain(b, 'main', error, 0);
    drain(b, 'exit', error, 0);
    finishRun(b);
  } else if (state.run.exitPhase === undefined) {
    drain(b, 'main', error, GRACE_MS);
  }
  return true;
}

function suspend(b: StepBuilder, on: boolean): boolean {
  const { run } = b.state;
  if (run.suspended === on || run.cancel !== undefined || (on && run.error !== undefined)) return false;
  const phase = run.startedAt === undefined ? run.phase : on ? 'Suspended' : 'Running';
  b.setRun({ ...run, suspended: on, phase });
  b.note(on ? 'RunSuspended' : 'RunResumed');
  return true;
}

function reject(b: StepBuilder, error: NodeError): boolean {
  b.setRun({ ...b.state.run, error });
  const cancelled: NodeError = { class: 'Cancelled', reason: 'RunRejected', message: error.message };
  drain(b, 'main', cancelled, 0, 'Omitted');
  drain(b, 'exit', cancelled, 0, 'Omitted');
  finishRun(b, 'Failed');
  return true;
}

/** Starts whatever can start, until nothing can or the step has done enough. A work list: no recursion, however long the chain. */
function pump(b: StepBuilder): void {
  const { state } = b;
  for (;;) {
    if (isFinal(state.run)) return;
    if (state.compiled.failFast && !state.halted && state.mainFailed > 0 && state.run.exitPhase === undefined) halt(b);
    if (state.mainLive === 0 && state.run.exitPhase === undefined && state.run.startedAt !== undefined) beginExit(b);
    else if (state.run.exitPhase !== undefined && state.exitLive === 0) finishRun(b);
    else if (state.run.suspended || state.run.startedAt === undefined) return;
    else if (b.work >= MAX_WORK || b.scope.spent >= MAX_SPENT) break;
    else if (!startOne(b)) return;
  }
  if (hasLeftOver(state)) b.setTimer(CONTINUE, b.now);
}

/** Starts or decides one thing; false when there is nothing. Decisions come first, so that the order of starting depends on the state alone. */
function startOne(b: StepBuilder): boolean {
  const { state } = b;
  b.work += 1;
  const undecided = state.ready.pop();
  if (undecided !== undefined) {
    if (state.rows[undecided] === undefined) decide(b, planAt(state, undecided));
    return true;
  }
  const inline = state.inlineFans.pop();
  if (inline !== undefined) {
    startItem(b, planAt(state, inline));
    return true;
  }
  if (state.active >= state.compiled.parallelism) return false;
  const due = state.due.pop();
  if (due !== undefined) {
    queueAttempt(b, planAt(state, indexOfKey(due)), itemOfKey(due));
    return true;
  }
  const next = state.starters.pop();
  if (next === undefined) return false;
  const plan = planAt(state, next);
  if (plan.forEach !== undefined) startItem(b, plan);
  else queueAttempt(b, plan, NO_ITEM);
  return true;
}

function startItem(b: StepBuilder, plan: NodePlan): void {
  const fan = fanAt(b.state, plan.index);
  if (fan.next < fan.items.length) {
    const item = nextItem(b.state, plan);
    if (plan.mode === 'inline') runInline(b, plan, item);
    else queueAttempt(b, plan, item);
  }
  if (!finishFan(b, plan)) offerFan(b.state, plan);
}
