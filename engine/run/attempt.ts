import type { NodePlan } from '../compile/plan.ts';
import { evaluateBool } from '../expr/program.ts';
import { validateOutput } from '../schema/prepare.ts';
import type { Hindrance, Json, NodeError, NodeRow } from '../types.ts';
import { buildDispatch, FieldError, invalid, label, refuseTooLarge } from './dispatch.ts';
import { baseOf, emptyRow, settle } from './settle.ts';
import { rowAt } from './state.ts';
import type { StepBuilder } from './step.ts';
import { timerOf } from './timers.ts';

/** How long a cancelled or timed-out attempt may take to stop. */
export const GRACE_MS = 30_000;
const INFRA_FIRST_MS = 1_000;
const INFRA_MAX_MS = 60_000;
/** Reasons under which an image does not arrive: the attempt goes on waiting until its pendingTimeout. */
const IMAGE_PULL = /^(ErrImage|ImagePull|InvalidImageName|RegistryUnavailable)/;

/** Makes the next attempt of a node or item ready to be dispatched. */
export function queueAttempt(b: StepBuilder, plan: NodePlan, item: number): void {
  const old = rowAt(b.state, plan.index, item) ?? emptyRow(plan, item);
  const attempt = old.attempt + 1;
  try {
    const dispatch = buildDispatch(plan, item, attempt, b.scope);
    refuseTooLarge(dispatch);
    const row: NodeRow = { ...baseOf(plan, old), status: 'Queued', attempt, queuedAt: b.now, ...(old.error === undefined ? {} : { error: old.error }) };
    b.setRow(plan, row);
    b.note('NodeQueued', row);
    b.commands.push({ type: 'Dispatch', dispatch });
    armTimer(b, plan, row);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    settle(b, plan, old, 'Failed', { error: invalid(plan, item, error.field, error.cause) });
  }
}

/** Sets the timer a row implies. */
export function armTimer(b: StepBuilder, plan: NodePlan, row: NodeRow): void {
  const timer = timerOf(plan, row);
  if (timer !== undefined) b.setTimer(timer.timer, timer.at);
}

/** A runner took the attempt, or its pod started. */
export function takeAttempt(b: StepBuilder, plan: NodePlan, row: NodeRow, at: number): void {
  const taken = started(row, at, b.now);
  b.clearTimer(timerOf(plan, row)?.timer);
  b.setRow(plan, taken);
  b.note('NodeRunning', taken);
  armTimer(b, plan, taken);
}

/** The row as Running; a runner's clock may be off, so its time is kept between queueing and now. */
export function started(row: NodeRow, at: number | undefined, now: number): NodeRow {
  if (row.startedAt !== undefined) return row;
  const startedAt = Math.max(row.queuedAt ?? 0, Math.min(at ?? now, now));
  return { ...row, status: 'Running', startedAt };
}

/** An attempt ended well: checks what the node expects of its output. */
export function succeedAttempt(b: StepBuilder, plan: NodePlan, queued: NodeRow, output: Json, startedAt: number | undefined): void {
  const row = started(queued, startedAt, b.now);
  const wrong = unexpected(b, plan, row, output) ?? schemaError(b, plan, row.item, output);
  if (wrong !== undefined) {
    failAttempt(b, plan, queued, wrong, startedAt);
    return;
  }
  b.clearTimer(timerOf(plan, queued)?.timer);
  b.record(row, 'Succeeded');
  settle(b, plan, row, 'Succeeded', { output });
}

/** `http` nodes: the response is looked at by the status list and the condition of `expect`. */
function unexpected(b: StepBuilder, plan: NodePlan, row: NodeRow, output: Json): NodeError | undefined {
  if (plan.expect === undefined) return undefined;
  try {
    if (evaluateBool(plan.expect, b.scope.of(plan, { item: row.item, response: output }))) return undefined;
  } catch (error) {
    return invalid(plan, row.item, 'with.expect.condition', error);
  }
  return { class: 'User', reason: 'UnexpectedResponse', message: `node ${JSON.stringify(label(plan, row.item))}: the response does not meet expect.condition ${plan.expect.source}` };
}

/** The error of an output that breaks the node's outputSchema. */
export function schemaError(b: StepBuilder, plan: NodePlan, item: number, output: Json): NodeError | undefined {
  if (plan.outputSchema === undefined) return undefined;
  const problems = validateOutput(b.state.compiled, plan.index, output);
  if (problems.length === 0) return undefined;
  return { class: 'Invalid', reason: 'OutputSchema', message: `node ${JSON.stringify(label(plan, item))}, outputSchema: ${problems.map((problem) => problem.message).join('; ')}` };
}

/** An attempt ended badly: it is repeated, waits for its image, or the node has failed for good. */
export function failAttempt(b: StepBuilder, plan: NodePlan, queued: NodeRow, error: NodeError, startedAt?: number): void {
  if (queued.status === 'Queued' && error.class === 'Infra' && IMAGE_PULL.test(error.reason)) {
    noteImage(b, plan, queued, error);
    return;
  }
  const row = startedAt === undefined ? queued : started(queued, startedAt, b.now);
  b.clearTimer(timerOf(plan, queued)?.timer);
  if (endsCancelled(b, plan, row, error)) return;
  b.record(row, 'Failed', error);
  if (b.state.halted && !plan.exit) settle(b, plan, row, 'Failed', { error });
  else if (error.class === 'Infra') restart(b, plan, row, error);
  else retry(b, plan, row, error);
}

/** A new attempt would meet the same. */
function failForGood(b: StepBuilder, plan: NodePlan, row: NodeRow, error: NodeError): void {
  b.clearTimer(timerOf(plan, row)?.timer);
  if (endsCancelled(b, plan, row, error)) return;
  b.record(row, 'Failed', error);
  settle(b, plan, row, 'Failed', { error });
}

/** An attempt that was asked to stop has stopped, however it did. */
export function endsCancelled(b: StepBuilder, plan: NodePlan, row: NodeRow, error: NodeError): boolean {
  if (row.dueAt === undefined) return false;
  const cancelled: NodeError = { class: 'Cancelled', reason: 'Cancelled', message: error.message };
  b.record(row, 'Cancelled', cancelled);
  settle(b, plan, row, 'Cancelled', { error: cancelled });
  return true;
}

/** Keeps why an attempt waits, so that people and the later PendingTimeout can say it. */
function noteImage(b: StepBuilder, plan: NodePlan, row: NodeRow, error: NodeError): void {
  if (row.error?.reason === error.reason && row.error.message === error.message) return;
  const noted = { ...row, error };
  b.setRow(plan, noted);
  b.note('NodeImageWaiting', noted, error.reason);
}

/** Infrastructure lost the attempt: a new one that costs no retry, an out-of-memory kill once. */
function restart(b: StepBuilder, plan: NodePlan, row: NodeRow, error: NodeError): void {
  const again = error.reason === 'OOMKilled' && row.error?.reason === 'OOMKilled';
  if (again || row.infra >= plan.retry.infraLimit) {
    settle(b, plan, row, 'Failed', { error });
    return;
  }
  const delay = backoff(b, plan, row, { durationMs: INFRA_FIRST_MS, factor: 2, maxMs: INFRA_MAX_MS, jitter: 0.1 }, row.infra + 1);
  // An OOM kill stays on the row until the node ends: that is how a second one is told from the first.
  const kept = row.error?.reason === 'OOMKilled' ? row.error : error;
  waitForNext(b, plan, { ...baseOf(plan, row), infra: row.infra + 1, error: kept }, delay, error.reason);
}

function retry(b: StepBuilder, plan: NodePlan, row: NodeRow, error: NodeError): void {
  let repeat: boolean;
  try {
    repeat = row.retries < plan.retry.limit && wantsRetry(b, plan, row, error);
  } catch (broken) {
    settle(b, plan, row, 'Failed', { error: invalid(plan, row.item, 'retry.on', broken) });
    return;
  }
  if (!repeat) {
    settle(b, plan, row, 'Failed', { error });
    return;
  }
  const delay = backoff(b, plan, row, plan.retry, row.retries + 1);
  const kept = row.error?.reason === 'OOMKilled' ? row.error : error;
  waitForNext(b, plan, { ...baseOf(plan, row), retries: row.retries + 1, error: kept }, delay, error.reason);
}

function wantsRetry(b: StepBuilder, plan: NodePlan, row: NodeRow, error: NodeError): boolean {
  if (plan.retry.on === undefined) return error.class === 'User' || error.class === 'Timeout';
  return evaluateBool(plan.retry.on, b.scope.of(plan, { item: row.item, error, attempts: row.attempt }));
}

function waitForNext(b: StepBuilder, plan: NodePlan, base: NodeRow, delay: number, reason: string): void {
  const row: NodeRow = { ...base, status: 'Waiting', dueAt: b.now + delay };
  b.setRow(plan, row);
  b.note('NodeRetrying', row, reason);
  armTimer(b, plan, row);
}

interface Backoff { readonly durationMs: number; readonly factor: number; readonly maxMs: number; readonly jitter: number }

/** Delay before repetition `n` (1 first): duration × factor^(n-1), at most maxMs, shifted by ± jitter. */
function backoff(b: StepBuilder, plan: NodePlan, row: NodeRow, rule: Backoff, n: number): number {
  const base = Math.min(rule.durationMs * rule.factor ** (n - 1), rule.maxMs);
  const shift = 1 + rule.jitter * (2 * fraction(`${b.state.meta.id}/${plan.name}/${row.item}/${row.attempt}`) - 1);
  return Math.round(Math.min(base * shift, rule.maxMs));
}

/** A number in [0, 1) that is always the same for a text (FNV-1a): jitter without randomness. */
function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  return (Math.imul(hash, 0x2c1b3c6d) >>> 0) / 0x1_0000_0000;
}

/** The node's `timeout` ran out. */
export function timeOutAttempt(b: StepBuilder, plan: NodePlan, row: NodeRow): void {
  b.cancelAttempt(row, GRACE_MS);
  failAttempt(b, plan, row, { class: 'Timeout', reason: 'Timeout', message: `node ${JSON.stringify(label(plan, row.item))}: attempt ${row.attempt} did not end within its timeout of ${plan.timeoutMs ?? 0} ms` });
}

/** Nobody took the attempt within `pendingTimeout`. What is known to have kept it is to blame, and will not go away by itself. */
export function timeOutPending(b: StepBuilder, plan: NodePlan, row: NodeRow, hindrance: Hindrance | undefined): void {
  b.cancelAttempt(row, 0);
  const late = `node ${JSON.stringify(label(plan, row.item))}: attempt ${row.attempt} did not start within ${plan.pendingTimeoutMs} ms of being ready`;
  const why = hindrance ?? (row.error !== undefined && IMAGE_PULL.test(row.error.reason) ? row.error : undefined);
  if (why === undefined) failAttempt(b, plan, row, { class: 'Timeout', reason: 'PendingTimeout', message: late });
  else failForGood(b, plan, row, { class: 'Infra', reason: why.reason, message: `${late}: ${why.message}` });
}

/** A back-off is over: the row waits for a slot, which the pump may give it in the same step. */
export function endBackoff(b: StepBuilder, plan: NodePlan, row: NodeRow, key: number): void {
  const { dueAt: _dueAt, ...rest } = row;
  b.setRow(plan, rest);
  b.note('NodeRetryDue', rest);
  b.state.due.push(key);
}

