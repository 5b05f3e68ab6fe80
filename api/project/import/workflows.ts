import { LIMITS, NAME_PATTERN } from '../../../crds/names.ts';
import { definitionProblems, type InputProblem } from '../../workflow/definition.ts';
import { Fields, isRecord, type Json } from './fields.ts';
import type { WorkflowRecord } from './records.ts';
import type { Place } from './rows.ts';
import { identityOf, slug, storable, unique, type Taken } from './text.ts';

/* Nodes and edges of the prototype's canvas, as a Workflow. What cannot be said in one is named as a problem; the canvas itself is kept. */

interface CanvasNode {
  /** Name in the definition. */
  readonly name: string;
  readonly oldId: string;
  readonly record: Json;
}

const NAME = new RegExp(NAME_PATTERN);
/** Problems beyond this number help nobody. */
const MOST_PROBLEMS = 20;

/** A workflow as a draft. */
export function workflowRecord(record: Json, place: Place): WorkflowRecord {
  const fields = new Fields(record);
  if (fields.id('id') === place.oldId && place.oldId !== undefined) fields.take('id');
  if (fields.peek('projectId') === place.project) fields.take('projectId');
  if (fields.peek('status') === 'Draft') fields.take('status');
  const [name, description] = [fields.name('name', 'Untitled workflow'), fields.text('description')];
  const problems: InputProblem[] = [];
  const nodes = canvasNodes(fields.peek('nodes'), problems);
  const waits = dependencies(fields.peek('edges'), nodes, problems);
  const spec = (describe: (node: CanvasNode) => Json): Json => ({
    ...(description === '' ? {} : { description: storable(description.slice(0, 1_024)) }),
    nodes: nodes.map((node) => ({ name: node.name, ...describe(node), ...(waits.has(node.name) ? { dependsOn: [...waits.get(node.name) ?? []] } : {}) })),
  });
  const definition = spec(agentNode);
  // A cycle is looked for among nodes that any release knows: other problems would hide it.
  const cycles = definitionProblems(spec(() => ({ type: 'transform', with: { output: null } }))).filter((problem) => problem.reason === 'Cycle');
  const rest = fields.rest();
  return {
    kind: 'workflow', ...place, project: identityOf(place.project), name, description, definition,
    problems: [...problems, ...cycles, ...definitionProblems(definition).filter((problem) => problem.reason !== 'Cycle')].slice(0, MOST_PROBLEMS),
    createdAt: undefined, updatedAt: fields.time('lastRun'), metadata: Object.hasOwn(rest, 'canvas') ? rest : { ...rest, canvas: canvas(nodes) },
  };
}

function canvasNodes(value: unknown, problems: InputProblem[]): readonly CanvasNode[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    problems.push({ field: 'definition.nodes', reason: 'Unreadable', message: 'the nodes of the prototype are no list: they are kept in the metadata' });
    return [];
  }
  const taken: Taken = new Map();
  return value.flatMap((node: unknown, index) => {
    if (!isRecord(node)) {
      problems.push({ field: `definition.nodes[${index}]`, reason: 'Unreadable', message: 'this node of the prototype is no object: it is kept in the metadata' });
      return [];
    }
    const fields = new Fields(node);
    const label = fields.name('name', fields.id('id') ?? '');
    const name = NAME.test(label) ? label.slice(0, 55) : slug(label, `node-${index + 1}`);
    return [{ name: unique(name, taken), oldId: fields.id('id') ?? '', record: node }];
  });
}

/** An agent node that names its Agent by type; its configuration is the agent's input, unless it would be read as expressions. */
function agentNode({ record }: CanvasNode): Json {
  const fields = new Fields(record);
  const config = fields.peek('config');
  const input = config === undefined || JSON.stringify(config).includes('${{') ? undefined : config;
  return { type: 'agent', with: { agentRef: { name: slug(fields.name('type', ''), 'agent') }, ...(input === undefined ? {} : { input }) } };
}

/** Names of the nodes that each node waits for. Edges that lead nowhere are problems. */
function dependencies(value: unknown, nodes: readonly CanvasNode[], problems: InputProblem[]): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map(nodes.map((node) => [node.oldId, node.name] as const));
  const out = new Map<string, Set<string>>();
  if (value !== undefined && !Array.isArray(value)) problems.push({ field: 'definition.nodes', reason: 'Unreadable', message: 'the edges of the prototype are no list: they are kept in the metadata' });
  for (const [index, edge] of (Array.isArray(value) ? value : []).entries()) {
    const fields = new Fields(isRecord(edge) ? edge : {});
    const [id, source, target] = [fields.id('id') ?? `#${index + 1}`, fields.id('sourceNodeId') ?? '', fields.id('targetNodeId') ?? ''];
    const [from, to] = [names.get(source), names.get(target)];
    if (from === undefined || to === undefined) {
      const missing = from === undefined ? source : target;
      problems.push({ node: to ?? from, field: 'definition.nodes', reason: 'DanglingEdge', message: `edge ${quoted(id)} names the node ${quoted(missing)}, which does not exist: draw it again, or leave it out` });
      continue;
    }
    const waits = out.get(to) ?? new Set();
    out.set(to, waits.add(from));
  }
  return out;
}

/** Where each node stood, and what it was called. */
function canvas(nodes: readonly CanvasNode[]): Json {
  return Object.fromEntries(nodes.map(({ name, oldId, record }) => {
    const fields = new Fields(record);
    return [name, { id: oldId, name: fields.peek('name') ?? null, x: fields.peek('x') ?? null, y: fields.peek('y') ?? null }];
  }));
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, LIMITS.nameLength));
}
