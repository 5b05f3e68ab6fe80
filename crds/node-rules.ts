import type { Rule } from './rules.ts';

/** The fields of a node these rules look at. */
interface NodeShape {
  readonly name: string;
  readonly type: string;
  readonly with?: Readonly<Record<string, unknown>> | undefined;
  readonly runner?: { readonly isolation?: string | undefined } | undefined;
}

/** Fields of `with` a type cannot do without. Free-form fields (`output`, `inline`) are left to the engine: CEL cannot see them. */
const REQUIRED_WITH: Readonly<Record<string, readonly string[]>> = {
  container: ['image'],
  script: ['language', 'source'],
  http: ['url'],
  switch: ['cases'],
  signal: ['name'],
  workflow: ['workflowRef'],
  resource: ['action'],
};

/** Types that only ever run inside the controller; `transform` may be forced warm. */
const INLINE_ONLY = ['wait', 'approval', 'signal', 'workflow', 'switch'];

function requiredRule(type: string, field: string): Rule<NodeShape> {
  const message = `with.${field} is required for type ${type}`;
  return {
    cel: `self.type != '${type}' || (has(self.with) && has(self.with.${field}))`,
    message,
    messageExpression: named(message),
    holds: (node) => node.type !== type || node.with?.[field] !== undefined,
  };
}

function waitRule(): Rule<NodeShape> {
  const message = 'type wait needs exactly one of with.duration, with.until';
  return {
    cel: "self.type != 'wait' || (has(self.with) && has(self.with.duration) != has(self.with.until))",
    message,
    messageExpression: named(message),
    holds: (node) => node.type !== 'wait' || (node.with?.['duration'] === undefined) !== (node.with?.['until'] === undefined),
  };
}

function isolationRule(): Rule<NodeShape> {
  const message = `runner.isolation must be auto for the types ${INLINE_ONLY.join(', ')}: they run inside the controller`;
  const list = INLINE_ONLY.map((type) => `'${type}'`).join(', ');
  return {
    cel: `!(self.type in [${list}]) || !has(self.runner) || !has(self.runner.isolation) || self.runner.isolation == 'auto'`,
    message,
    messageExpression: named(message),
    holds: ({ type, runner }) => !INLINE_ONLY.includes(type) || (runner?.isolation ?? 'auto') === 'auto',
  };
}

/** A list index says little in a manifest of a thousand nodes, so the message names the node. */
function named(message: string): string {
  return `'node ' + self.name + ': ${message}'`;
}

/** Rules across the fields of one node. */
export const nodeRules: readonly Rule<NodeShape>[] = [
  ...Object.entries(REQUIRED_WITH).flatMap(([type, fields]) => fields.map((field) => requiredRule(type, field))),
  waitRule(),
  isolationRule(),
];
