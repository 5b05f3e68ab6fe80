import { LIMITS } from '../../crds/names.ts';
import type { RunPhase } from '../../crds/workflow-run.ts';
import { firstLine, ValueError } from '../errors.ts';
import { render } from '../expr/template.ts';
import { jsonBytes } from '../expr/values.ts';
import type { Json, NodeError } from '../types.ts';
import type { RunState } from './state.ts';
import type { StepBuilder } from './step.ts';
import { EXIT_TIMEOUT, exitTimeoutAt, RUN_TIMEOUT, runTimeoutAt } from './timers.ts';

/** The phase the run ends with, as things stand: Cancelled before Failed before Succeeded. */
function endPhase(state: RunState): RunPhase {
  if (state.run.cancel !== undefined) return 'Cancelled';
  return state.run.error !== undefined || state.failed.size > 0 ? 'Failed' : 'Succeeded';
}

/** All main nodes are terminal: the onExit graph begins, or the run ends where there is none. */
export function beginExit(b: StepBuilder): void {
  const { state } = b;
  if (state.exitLive === 0) {
    finishRun(b);
    return;
  }
  if (runTimeoutAt(state) !== undefined) b.clearTimer(RUN_TIMEOUT);
  b.setRun({ ...state.run, exitPhase: endPhase(state) });
  b.note('ExitStarted');
  const at = exitTimeoutAt(state);
  if (at !== undefined) b.setTimer(EXIT_TIMEOUT, at);
  for (let index = state.compiled.mainCount; index < state.compiled.nodes.length; index++) {
    if (state.remaining[index] === 0) state.ready.push(index);
  }
}

/** Everything is terminal: outputs are evaluated and the phase is final. */
export function finishRun(b: StepBuilder, forced?: RunPhase): void {
  const { state } = b;
  if (runTimeoutAt(state) !== undefined) b.clearTimer(RUN_TIMEOUT);
  if (exitTimeoutAt(state) !== undefined) b.clearTimer(EXIT_TIMEOUT);
  const phase = forced ?? endPhase(state);
  // Outputs see the final phase.
  state.run = { ...state.run, phase, suspended: false, finishedAt: b.now };
  const { outputs, error } = evaluateOutputs(b);
  const failed = phase === 'Succeeded' && error !== undefined;
  b.setRun({ ...state.run, phase: failed ? 'Failed' : phase, ...(failed ? { error } : {}), ...(Object.keys(outputs).length === 0 ? {} : { outputs }) });
  b.note(`Run${state.run.phase}`, undefined, state.run.error?.reason);
}

function evaluateOutputs(b: StepBuilder): { readonly outputs: Readonly<Record<string, Json>>; readonly error?: NodeError } {
  const outputs: Record<string, Json> = {};
  let error: NodeError | undefined;
  for (const [name, template] of b.state.compiled.outputs) {
    try {
      const value = render(template, b.scope.of(undefined));
      if (jsonBytes(value, LIMITS.outputBytes) > LIMITS.outputBytes) throw new ValueError('OutputTooLarge', `the value is over ${LIMITS.outputBytes} bytes`);
      outputs[name] = value;
    } catch (thrown) {
      if (!(thrown instanceof ValueError)) throw thrown;
      error ??= { class: 'Invalid', reason: thrown.reason, message: `outputs.${name}: ${firstLine(thrown)}` };
    }
  }
  return error === undefined ? { outputs } : { outputs, error };
}
