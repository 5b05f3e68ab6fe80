import { z } from 'zod';
import { objectNameSchema } from '../../crds/parts.ts';
import type { RunnerPoolRow, WorkflowRow } from '../../prisma/store/index.ts';
import { demand } from '../auth/can.ts';
import { builder } from './builder.ts';
import { WorkflowPhaseEnum } from './enums.ts';
import { jsonOf, storedAs } from './json.ts';
import { PAYLOAD_COST } from './node-run.ts';
import { connectionOf, decodeCursor, encodeCursor, pageSize } from './paging.ts';

const problemSchema = z.object({ node: z.string().optional(), field: z.string(), value: z.string().optional(), reason: z.string(), message: z.string() });
const objectCursor = z.tuple([objectNameSchema]);

const ProblemRef = builder.objectRef<z.infer<typeof problemSchema>>('WorkflowProblem').implement({
  description: 'Something wrong with a workflow.',
  fields: (t) => ({
    node: t.exposeString('node', { nullable: true, description: 'Node it is about; null for the workflow itself.' }),
    field: t.exposeString('field', { description: 'Path below the node or the spec.' }),
    value: t.exposeString('value', { nullable: true, description: 'What stands there, shortened.' }),
    reason: t.exposeString('reason', { description: 'CamelCase and stable.' }),
    message: t.exposeString('message', { description: 'One plain sentence.' }),
  }),
});

const WorkflowRef = builder.objectRef<WorkflowRow>('Workflow').implement({
  description: 'A definition, as the controller last saw it in the cluster.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the object.' }),
    namespace: t.exposeString('namespace', { description: 'Its namespace.' }),
    generation: t.exposeInt('generation', { description: 'Rises with every change of the spec.' }),
    hash: t.exposeString('hash', { description: 'SHA-256 of the spec; runs are pinned to it.' }),
    phase: t.expose('phase', { type: WorkflowPhaseEnum, description: 'Whether it can be run.' }),
    nodeCount: t.exposeInt('nodeCount', { description: 'Nodes in the manifest.' }),
    problems: t.field({ type: [ProblemRef], description: 'What is wrong with it; empty when Ready.', resolve: (row) => storedAs(z.array(problemSchema), row.problems) ?? [] }),
    labels: t.field({ type: 'JSON', nullable: true, description: 'Labels of the object.', resolve: (row) => jsonOf(row.labels) }),
    spec: t.field({ type: 'JSON', extensions: { cost: PAYLOAD_COST }, description: 'The spec as applied.', resolve: (row) => jsonOf(row.spec) }),
    updatedAt: t.expose('updatedAt', { type: 'Time', description: 'When the controller last saw a change.' }),
  }),
});

const PoolRef = builder.objectRef<RunnerPoolRow>('RunnerPool').implement({
  description: 'A pool of warm runner pods, as the controller last saw its definition.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the object.' }),
    namespace: t.exposeString('namespace', { description: 'Its namespace; only nodes of runs there use it.' }),
    generation: t.exposeInt('generation', { description: 'Rises with every change of the spec.' }),
    labels: t.field({ type: 'JSON', nullable: true, description: 'Labels of the object.', resolve: (row) => jsonOf(row.labels) }),
    spec: t.field({ type: 'JSON', extensions: { cost: PAYLOAD_COST }, description: 'The spec with its defaults.', resolve: (row) => jsonOf(row.spec) }),
    updatedAt: t.expose('updatedAt', { type: 'Time', description: 'When the controller last saw a change.' }),
  }),
});

const WorkflowConnection = builder.connectionObject({ type: WorkflowRef, name: 'WorkflowConnection', description: 'A page of workflows.' },
  { name: 'WorkflowEdge', description: 'A workflow and its place in the list.' });
const PoolConnection = builder.connectionObject({ type: PoolRef, name: 'RunnerPoolConnection', description: 'A page of runner pools.' },
  { name: 'RunnerPoolEdge', description: 'A pool and its place in the list.' });

builder.queryField('workflow', (t) => t.field({
  type: WorkflowRef,
  nullable: true,
  description: 'One workflow; null if it does not exist or is not yours to see. Needs `get workflows`.',
  args: {
    namespace: t.arg.string({ required: true, description: 'Its namespace.' }),
    name: t.arg.string({ required: true, description: 'Its name.' }),
  },
  resolve: async (_, { namespace, name }, { services, principal }) => {
    if (!objectNameSchema.safeParse(name).success || !await services.can(principal, 'get', { kind: 'namespace', resource: 'workflows', namespace })) return null;
    return await services.definitions.workflow(namespace, name) ?? null;
  },
}));

builder.queryField('workflows', (t) => t.field({
  type: WorkflowConnection,
  description: 'Workflows of a namespace by name. Needs `list workflows`, else FORBIDDEN.',
  args: {
    namespace: t.arg.string({ required: true, description: 'Namespace to list.' }),
    first: t.arg.int({ description: 'How many: 1 to 100, 20 if not given.' }),
    after: t.arg.string({ description: 'Start after this cursor.' }),
  },
  resolve: async (_, { namespace, ...args }, { services, principal }) => {
    await demand(services.can, principal, 'list', { kind: 'namespace', resource: 'workflows', namespace });
    const after = decodeCursor(objectCursor, args.after);
    const page = await services.definitions.workflows(namespace, after === undefined ? undefined : { namespace, name: after[0] }, pageSize(args.first));
    return connectionOf(page.rows, (row) => encodeCursor([row.name]), { hasMore: page.hasMore, forward: true, started: after !== undefined });
  },
}));

builder.queryField('runnerPools', (t) => t.field({
  type: PoolConnection,
  description: 'Runner pools of a namespace by name. Needs `list runnerpools`, else FORBIDDEN.',
  args: {
    namespace: t.arg.string({ required: true, description: 'Namespace to list.' }),
    first: t.arg.int({ description: 'How many: 1 to 100, 20 if not given.' }),
    after: t.arg.string({ description: 'Start after this cursor.' }),
  },
  resolve: async (_, { namespace, ...args }, { services, principal }) => {
    await demand(services.can, principal, 'list', { kind: 'namespace', resource: 'runnerpools', namespace });
    const after = decodeCursor(objectCursor, args.after);
    const page = await services.definitions.pools(namespace, after === undefined ? undefined : { namespace, name: after[0] }, pageSize(args.first));
    return connectionOf(page.rows, (row) => encodeCursor([row.name]), { hasMore: page.hasMore, forward: true, started: after !== undefined });
  },
}));
