import { LIMITS } from '../../crds/names.ts';
import type { NodePlan } from '../compile/plan.ts';
import { ValueError, shorten } from '../errors.ts';
import { evaluate, evaluateBool, kindOf } from '../expr/program.ts';
import { render } from '../expr/template.ts';
import { isList, jsonBytes } from '../expr/values.ts';
import { parseInstant } from '../instant.ts';
import { NO_ITEM, type Json, type NodeRow } from '../types.ts';
import { armTimer, schemaError } from './attempt.ts';
import { invalid, label } from './dispatch.ts';
import { emptyRow, finishFan, offerFan, settle } from './settle.ts';
import { fanAt, planAt, statusOf, type RunState } from './state.ts';
import type { StepBuilder } from './step.ts';

/** Decides a node whose dependencies are all terminal: omitted, skipped, failed, expanded or started. */
export function decide(b: StepBuilder, plan: NodePlan): void {
  const row = emptyRow(plan, NO_ITEM);
  const blocker = plan.deps.find((dep) => !plan.exempt.has(dep) && !letsGoOn(b.state, dep));
  if (blocker !== undefined) {
    settle(b, plan, row, 'Omitted');
    return;
  }
  let field = 'when';
  try {
    if (plan.when !== undefined && !evaluateBool(plan.when, b.scope.of(plan))) {
      settle(b, plan, row, 'Skipped');
      return;
    }
    field = 'forEach';
    if (plan.forEach !== undefined) expand(b, plan, evaluate(plan.forEach, b.scope.of(plan)));
    else if (plan.mode === 'inline') runInline(b, plan, NO_ITEM);
    else b.state.starters.push(plan.index);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    settle(b, plan, row, 'Failed', { error: invalid(plan, NO_ITEM, field, error) });
  }
}

function letsGoOn(state: RunState, dep: number): boolean {
  const status = statusOf(state, dep);
  if (status === 'Succeeded' || status === 'Skipped') return true;
  return status === 'Failed' && planAt(state, dep).continueOnFailure;
}

function expand(b: StepBuilder, plan: NodePlan, value: Json): void {
  if (typeof value !== 'object' || value === null || !isList(value)) throw new ValueError('ForEachInvalid', `forEach takes a list, the result is ${kindOf(value)}`);
  if (value.length > LIMITS.forEachItems) throw new ValueError('ForEachInvalid', `${value.length} items, at most ${LIMITS.forEachItems} are allowed`);
  const row: NodeRow = { ...emptyRow(plan, NO_ITEM), status: 'Running', startedAt: b.now, items: value };
  addFan(b.state, plan, value);
  b.setRow(plan, row);
  b.note('NodeExpanded', row);
  if (!finishFan(b, plan)) offerFan(b.state, plan);
}

/** Makes room for the items of a forEach: they count from now on, but have rows only once they start. */
export function addFan(state: RunState, plan: NodePlan, items: readonly Json[]): void {
  state.fans.set(plan.index, { items, rows: new Array<NodeRow | undefined>(items.length), next: 0, inFlight: 0, failed: 0 });
  state.total += items.length;
  state.by.Pending += items.length;
}

/** Takes the next item of a forEach; the caller starts it. */
export function nextItem(state: RunState, plan: NodePlan): number {
  const fan = fanAt(state, plan.index);
  fan.inFlight += 1;
  fan.next += 1;
  return fan.next - 1;
}

/** Executes a transform, switch or wait within this step. */
export function runInline(b: StepBuilder, plan: NodePlan, item: number): void {
  const row: NodeRow = { ...emptyRow(plan, item), attempt: 1, startedAt: b.now };
  if (plan.type === 'wait') {
    startWait(b, plan, row);
    return;
  }
  let field = 'with.output';
  try {
    let output: Json = null;
    if (plan.type === 'switch') [field, output] = runSwitch(b, plan, item, (at) => { field = at; });
    else for (const [, template] of plan.fields) output = render(template, b.scope.of(plan, { item }));
    if (jsonBytes(output, LIMITS.outputBytes) > LIMITS.outputBytes) throw new ValueError('OutputTooLarge', `the output is over ${LIMITS.outputBytes} bytes`);
    const wrong = schemaError(b, plan, item, output);
    settle(b, plan, row, wrong === undefined ? 'Succeeded' : 'Failed', wrong === undefined ? { output } : { error: wrong });
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    settle(b, plan, row, 'Failed', { error: invalid(plan, item, field, error) });
  }
}

function runSwitch(b: StepBuilder, plan: NodePlan, item: number, at: (field: string) => void): [string, Json] {
  const scope = b.scope.of(plan, { item });
  for (const [i, entry] of plan.cases.entries()) {
    at(`with.cases[${i}].when`);
    if (!evaluateBool(entry.when, scope)) continue;
    at(`with.cases[${i}].output`);
    return [`with.cases[${i}].output`, render(entry.output, scope)];
  }
  at('with.default');
  return ['with.default', plan.otherwise === undefined ? null : render(plan.otherwise, scope)];
}

function startWait(b: StepBuilder, plan: NodePlan, row: NodeRow): void {
  let dueAt = b.now + (plan.waitMs ?? 0);
  try {
    if (plan.until !== undefined) dueAt = instantOf(render(plan.until, b.scope.of(plan, { item: row.item })), label(plan, row.item));
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    settle(b, plan, row, 'Failed', { error: invalid(plan, row.item, 'with.until', error) });
    return;
  }
  if (dueAt <= b.now) {
    settle(b, plan, row, 'Succeeded', { output: null });
    return;
  }
  const waiting: NodeRow = { ...row, status: 'Waiting', dueAt };
  b.setRow(plan, waiting);
  b.note('NodeWaiting', waiting);
  armTimer(b, plan, waiting);
}

function instantOf(value: Json, name: string): number {
  const at = typeof value === 'string' ? parseInstant(value) : undefined;
  if (at === undefined) throw new ValueError('InstantInvalid', `${name} waits until ${shorten(JSON.stringify(value), 60)}, which is no RFC 3339 time`);
  return at;
}
