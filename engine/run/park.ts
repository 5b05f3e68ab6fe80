import type { NodePlan } from '../compile/plan.ts';
import type { NodeRow } from '../types.ts';
import { endsCancelled, failAttempt, started } from './attempt.ts';
import { label } from './dispatch.ts';
import { baseOf, planNamed, settle } from './settle.ts';
import { indexOfKey, isLeaf, isParked, itemOfKey, keyOf, planAt, rowAt } from './state.ts';
import { FAIL_FAST } from './stop.ts';
import type { StepBuilder } from './step.ts';
import { timerOf } from './timers.ts';

/*
 * An agent that waits for an approval, a child or an answer holds no runner: its attempt ends as `Parked`, its row is
 * `Waiting` without a timer, and `Wake` queues the next attempt, which goes on from the journal. Neither counts as a retry
 * or as lost to infrastructure. A wake may come too often; the attempt finds that nothing came and parks again.
 */

/** An attempt of an agent ended because the agent waits. Of any other node a runner has no right to say so. */
export function parkAttempt(b: StepBuilder, plan: NodePlan, queued: NodeRow, why: string, startedAt: number | undefined): void {
  if (plan.type !== 'agent') {
    const message = `node ${JSON.stringify(label(plan, queued.item))}: the runner said that it waits (${why}), which only an agent can`;
    failAttempt(b, plan, queued, { class: 'Invalid', reason: 'ParkRefused', message }, startedAt);
    return;
  }
  const row = started(queued, startedAt, b.now);
  b.clearTimer(timerOf(plan, queued)?.timer);
  if (endsCancelled(b, plan, row, { class: 'Cancelled', reason: 'Cancelled', message: 'the attempt was cancelled' })) return;
  b.record(row, 'Parked');
  if (b.state.halted && !plan.exit) {
    settle(b, plan, row, 'Cancelled', { error: FAIL_FAST });
    return;
  }
  const parked: NodeRow = {
    ...baseOf(plan, row), status: 'Waiting', ...(row.error === undefined ? {} : { error: row.error }),
    ...(row.queuedAt === undefined ? {} : { queuedAt: row.queuedAt }), ...(row.startedAt === undefined ? {} : { startedAt: row.startedAt }),
  };
  b.setRow(plan, parked);
  b.note('NodeParked', parked, why);
}

/** Queues the next attempt of a parked agent, as soon as the run has a slot; false where there is none to wake. */
export function wake(b: StepBuilder, node: string, item: number): boolean {
  const plan = planNamed(b.state, node);
  if (plan === undefined || !isLeaf(plan, item)) return false;
  const row = rowAt(b.state, plan.index, item);
  if (row === undefined || !isParked(plan, row)) return false;
  const { startedAt: _startedAt, queuedAt: _queuedAt, ...woken } = row;
  b.setRow(plan, woken);
  b.note('NodeWoken', woken);
  b.state.due.push(keyOf(plan.index, item));
  return true;
}

/** Wakes every parked agent of the run. */
export function wakeAll(b: StepBuilder): void {
  for (const key of [...b.state.live].sort((one, two) => one - two)) wake(b, planAt(b.state, indexOfKey(key)).name, itemOfKey(key));
}
