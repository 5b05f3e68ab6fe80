import { parseDuration } from '../../crds/duration.ts';
import type { NodeSpec, RetrySpec } from '../../crds/node.ts';
import type { WorkflowSpec } from '../../crds/workflow.ts';
import type { Root } from '../expr/environment.ts';
import { parseProgram } from '../expr/program.ts';
import { expectBool } from './fields.ts';
import type { RetryPlan } from './plan.ts';
import type { Problems } from './problems.ts';

/** Milliseconds of an optional duration; a bad one becomes a problem and undefined. */
export function duration(node: string | undefined, field: string, text: string | undefined, problems: Problems): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) problems.add(node, field, 'DurationInvalid', 'it is no duration such as 500ms, 10s or 1h30m', text);
  return ms;
}

/** Merges `defaults.retry` below a node's own and settles its units. */
export function compileRetry(node: NodeSpec, defaults: RetrySpec | undefined, visible: ReadonlySet<Root>, problems: Problems): RetryPlan {
  const merged: RetrySpec = { ...defaults, ...node.retry, ...(node.type === 'agent' ? { limit: agentLimit(node, problems) } : {}) };
  const backoff = merged.backoff ?? {};
  const plan = {
    limit: merged.limit ?? 0,
    durationMs: duration(node.name, 'retry.backoff.duration', backoff.duration, problems) ?? 1_000,
    factor: backoff.factor ?? 2,
    maxMs: duration(node.name, 'retry.backoff.maxDuration', backoff.maxDuration, problems) ?? 60_000,
    jitter: backoff.jitter ?? 0.1,
    infraLimit: merged.infraLimit ?? 5,
  };
  const { on } = merged;
  if (on === undefined) return plan;
  const program = problems.guard(node.name, 'retry.on', on, () => parseProgram(on, new Set<Root>([...visible, 'error', 'attempts'])));
  if (program === undefined) return plan;
  expectBool(node.name, 'retry.on', program, problems);
  return { ...plan, on: program };
}

/**
 * An agent run goes on from its journal: a second attempt would only read there how the first one ended, so its retry limit is
 * always 0, whatever the workflow's defaults say. Restarts after lost infrastructure go on as for every node.
 */
function agentLimit(node: NodeSpec, problems: Problems): number {
  const limit = node.retry?.limit ?? 0;
  if (limit > 0) problems.add(node.name, 'retry.limit', 'FieldNotAllowed', 'an agent node goes on from its journal and is not tried again as a whole; remove it', limit);
  return 0;
}

/** Durations below `defaults`, checked once and not per node. */
export function checkDefaults(defaults: WorkflowSpec['defaults'], problems: Problems): void {
  duration(undefined, 'defaults.timeout', defaults?.timeout, problems);
  duration(undefined, 'defaults.retry.backoff.duration', defaults?.retry?.backoff?.duration, problems);
  duration(undefined, 'defaults.retry.backoff.maxDuration', defaults?.retry?.backoff?.maxDuration, problems);
}
