import { z } from 'zod';
import { objectNameSchema } from '../../crds/parts.ts';
import type { RunnerPoolRow, WorkflowRow } from '../../prisma/store/index.ts';
import { decodeCursor, encodeCursor, pageSize } from '../graphql/paging.ts';
import { jsonOf } from '../graphql/json.ts';
import { defineEntity, page } from '../operations/entity.ts';
import type { EntityValue, PageValue } from '../operations/entity.ts';
import { anyJson, oneOf, pageFields, time } from '../operations/fields.ts';
import { defineList, defineQuery } from '../operations/operation.ts';
import type { Operation } from '../operations/operation.ts';
import type { PageInput } from '../operations/paging.ts';
import { objectName } from './names.ts';

/* Definitions as the controller mirrors them, over REST. */

const phase = oneOf('WorkflowPhase', 'Whether a workflow can be run.', { Ready: 'It can be run.', Invalid: 'It cannot; `problems` says why.' });
const mirrored = {
  name: z.string().describe('Name of the object.'), namespace: z.string().describe('Its namespace.'), generation: z.int().describe('Rises with every change of the spec.'),
  labels: anyJson('Labels of the object.'), spec: anyJson('The spec.'), updatedAt: time('When the controller last saw a change.'),
};

/** A definition. */
export const Workflow = defineEntity('Workflow', 'A definition, as the controller last saw it in the cluster.', z.object({
  ...mirrored, hash: z.string().describe('SHA-256 of the spec; runs are pinned to it.'), phase, nodeCount: z.int().describe('Nodes in the manifest.'), problems: anyJson('What is wrong with it, a list; empty when Ready.'),
}));
/** A pool. */
export const RunnerPool = defineEntity('RunnerPool', 'A pool of warm runner pods, as the controller last saw its definition.', z.object(mirrored));

const namespace = objectName('Kubernetes namespace.');
const cursor = z.tuple([objectNameSchema]);

function workflowOf({ name, namespace: place, generation, hash, phase: stands, nodeCount, problems, labels, spec, updatedAt }: WorkflowRow): EntityValue<typeof Workflow> {
  return {
    name, namespace: place, generation, hash, phase: stands, nodeCount, problems: jsonOf(problems) ?? [], labels: jsonOf(labels), spec: jsonOf(spec), updatedAt: new Date(updatedAt).toISOString(),
  };
}

function poolOf({ name, namespace: place, generation, labels, spec, updatedAt }: RunnerPoolRow): EntityValue<typeof RunnerPool> {
  return { name, namespace: place, generation, labels: jsonOf(labels), spec: jsonOf(spec), updatedAt: new Date(updatedAt).toISOString() };
}

/** A page by name. */
async function named<Row, T extends { readonly name: string }>(
  place: string, { first, after }: PageInput, read: (after: { namespace: string; name: string } | undefined, first: number) => Promise<{ rows: readonly Row[]; hasMore: boolean }>, show: (row: Row) => T,
): Promise<PageValue<T>> {
  const from = decodeCursor(cursor, after);
  const { rows, hasMore } = await read(from === undefined ? undefined : { namespace: place, name: from[0] }, pageSize(first));
  return { items: rows.map(show), hasMore, started: from !== undefined, cursorOf: ({ name }) => encodeCursor([name]) };
}

/** Operations on definitions. */
export const definitionOperations: readonly Operation[] = [
  defineList({
    name: 'workflows', graphql: false, summary: 'Workflows of a namespace by name.', rest: { method: 'GET', path: '/workflows' }, input: z.strictObject({ namespace, ...pageFields }), output: page(Workflow),
    right: { verb: 'list', resource: 'workflows', on: 'namespace' },
    run: ({ services }, input) => named(input.namespace, input, (after, first) => services.definitions.workflows(input.namespace, after, first), workflowOf),
  }),
  defineQuery({
    name: 'workflow', graphql: false, summary: 'One workflow.', rest: { method: 'GET', path: '/workflows/{namespace}/{name}' }, input: z.strictObject({ namespace, name: objectName('Its name.') }), output: Workflow,
    right: { verb: 'get', resource: 'workflows', on: 'namespace' },
    reach: async ({ services }, input) => {
      const row = await services.definitions.workflow(input.namespace, input.name);
      return row === undefined ? undefined : { target: { kind: 'namespace', resource: 'workflows', namespace: row.namespace }, row };
    },
    run: async (_, _input, row) => workflowOf(row),
  }),
  defineList({
    name: 'runnerPools', graphql: false, summary: 'Runner pools of a namespace by name.', rest: { method: 'GET', path: '/runner-pools' }, input: z.strictObject({ namespace, ...pageFields }), output: page(RunnerPool),
    right: { verb: 'list', resource: 'runnerpools', on: 'namespace' },
    run: ({ services }, input) => named(input.namespace, input, (after, first) => services.definitions.pools(input.namespace, after, first), poolOf),
  }),
];
