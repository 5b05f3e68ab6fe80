import type { Execution, Executor, Outcome } from '../core/types.ts';

/** A transform that was forced into a runner: its output was evaluated by the controller and comes back as it is. */
export const transformExecutor: Executor = Object.assign(
  (execution: Execution): Promise<Outcome> => Promise.resolve({ ok: true, output: JSON.stringify(execution.dispatch.with['output'] ?? null) }),
  { noFolder: true as const },
);
