import type { Clock } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { failure, type Execution, type Executor, type Outcome } from '../core/types.ts';

/**
 * Runs agents. Their loop and the AI SDK are a file of their own, loaded with the first agent: runners that never see one pay
 * nothing. The pool's environment is not handed on: nothing of it can reach a model.
 */
export function agentExecutor(clock: Clock, random: () => number, runner: string): Executor {
  const execute = async ({ dispatch, signal, log, traceparent }: Execution): Promise<Outcome> => {
    if (dispatch.agent === undefined) return failure('Invalid', 'AgentsNotInstalled', 'this installation has no model gateway: install it (modelgateway.enabled of the chart) to run agents');
    try {
      const { runAgent } = await import('./agent-loop.ts');
      return await runAgent({ clock, random, runner, with: dispatch.with, access: dispatch.agent, signal, log, traceparent: traceparent ?? dispatch.traceparent });
    } catch (error) {
      return failure('Infra', 'AgentError', errorMessage(error));
    }
  };
  return Object.assign(execute, { noFolder: true as const });
}
