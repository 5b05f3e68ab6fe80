import type { NodeSpec, NodeType, RunnerSpec } from '../../crds/node.ts';
import type { Mode } from './plan.ts';
import type { Problems } from './problems.ts';

const INLINE: ReadonlySet<NodeType> = new Set(['transform', 'switch', 'wait', 'approval', 'signal', 'workflow']);
const ALWAYS_POD: ReadonlySet<NodeType> = new Set(['container', 'resource']);
/** Fields of `runner` that a shared warm pod cannot give one node. */
const POD_FIELDS = ['resources', 'nodeSelector', 'tolerations', 'envFrom', 'volumes'] as const;

/** The first field of a runner that asks for a pod of its own. */
export function podField(runner: RunnerSpec | undefined): (typeof POD_FIELDS)[number] | undefined {
  return POD_FIELDS.find((field) => runner?.[field] !== undefined);
}

/** Where a node runs: decision 6 of the design. The node has the workflow's defaults merged in already. */
export function modeOf(node: Pick<NodeSpec, 'type' | 'runner'>): Mode {
  const isolation = node.runner?.isolation ?? 'auto';
  if (INLINE.has(node.type)) return node.type === 'transform' && isolation === 'warm' ? 'warm' : 'inline';
  if (ALWAYS_POD.has(node.type) || isolation === 'pod') return 'pod';
  return isolation === 'auto' && podField(node.runner) !== undefined ? 'pod' : 'warm';
}

/** Merges `defaults.runner` below a node's own. Inline nodes take nothing: defaults are about runners. */
export function mergeRunner(type: NodeType, defaults: RunnerSpec | undefined, own: RunnerSpec | undefined): RunnerSpec | undefined {
  if (defaults === undefined || INLINE.has(type)) return own;
  const env = new Map([...(defaults.env ?? []), ...(own?.env ?? [])].map((entry) => [entry.name, entry]));
  const merged = { ...defaults, ...own };
  return env.size === 0 ? merged : { ...merged, env: [...env.values()] };
}

/** Isolation rules that a node itself can break. */
export function checkIsolation(node: NodeSpec, problems: Problems): void {
  const isolation = node.runner?.isolation ?? 'auto';
  const field = podField(node.runner);
  if (INLINE.has(node.type)) {
    const allowed = node.type === 'transform' ? ['auto', 'warm'] : ['auto'];
    if (!allowed.includes(isolation)) problems.add(node.name, 'runner.isolation', 'IsolationInvalid', `a ${node.type} node runs in the controller and cannot have isolation ${isolation}`, isolation);
    if (field !== undefined) problems.add(node.name, `runner.${field}`, 'IsolationInvalid', `a ${node.type} node has no pod of its own; remove ${field}`);
    return;
  }
  if (isolation !== 'warm') return;
  if (ALWAYS_POD.has(node.type)) problems.add(node.name, 'runner.isolation', 'IsolationInvalid', `a ${node.type} node always has a pod of its own; remove isolation: warm`, isolation);
  else if (field !== undefined) problems.add(node.name, 'runner.isolation', 'IsolationInvalid', `${field} needs a pod of its own, isolation: warm shares one; remove one of the two`, isolation);
}
