import { z } from 'zod';
import { NAME_PATTERN } from '../../crds/names.ts';
import { NO_ITEM } from '../../engine/types.ts';
import type { EventRow, RunRecord, RunSummary } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { builder } from './builder.ts';
import type { ApiContext } from './context.ts';
import { RunPhaseEnum } from './enums.ts';
import { jsonOf, storedAs } from './json.ts';
import { errorOf, NodeErrorRef, NodeRunRef, PAYLOAD_COST } from './node-run.ts';
import { connectionOf, decodeCursor, encodeCursor, pageSize } from './paging.ts';

/** A run as a resolver has it: a row with payloads, or an entry of a list, whose payloads are read when asked for. */
export type RunSource = RunSummary & Partial<Pick<RunRecord, 'input' | 'outputs'>>;

const failureSchema = z.object({ node: z.string(), reason: z.string(), message: z.string() });
const countsSchema = z.record(z.string(), z.number());
const nodeCursor = z.tuple([z.string().regex(new RegExp(NAME_PATTERN)), z.int().min(NO_ITEM).max(1_000_000)]);
const eventCursor = z.tuple([z.int().min(0).max(2_147_483_647)]);

const ProgressRef = builder.objectRef<{ done: number; total: number }>('Progress').implement({
  description: 'How far a run is. Items of a forEach count once they are known.',
  fields: (t) => ({
    done: t.exposeInt('done', { description: 'Nodes that have ended.' }),
    total: t.exposeInt('total', { description: 'Nodes known by now.' }),
  }),
});

const FailureRef = builder.objectRef<z.infer<typeof failureSchema>>('Failure').implement({
  description: 'A node that failed.',
  fields: (t) => ({
    node: t.exposeString('node', { description: 'Name of the node, `name[i]` for an item.' }),
    reason: t.exposeString('reason', { description: 'CamelCase and stable.' }),
    message: t.exposeString('message', { description: 'One plain sentence.' }),
  }),
});

const STATUSES = ['Pending', 'Queued', 'Running', 'Waiting', 'Succeeded', 'Failed', 'Skipped', 'Omitted', 'Cancelled'] as const;

const NodeCountsRef = builder.objectRef<Readonly<Record<string, number>>>('NodeCounts').implement({
  description: 'How many nodes, items included, have each status.',
  fields: (t) => Object.fromEntries(STATUSES.map((status) => [
    status.toLowerCase(), t.int({ description: `Nodes that are ${status}.`, resolve: (counts) => counts[status] ?? 0 }),
  ])),
});

const RunEventRef = builder.objectRef<EventRow>('RunEvent').implement({
  description: 'One line of the history of a run. Never changes.',
  fields: (t) => ({
    seq: t.exposeInt('seq', { description: 'Rises by one within the run.' }),
    at: t.expose('at', { type: 'Time', description: 'When it happened.' }),
    kind: t.exposeString('kind', { description: 'What happened: `RunStarted`, `NodeSucceeded`, `NodeRetrying`, ...' }),
    node: t.exposeString('node', { nullable: true, description: 'Node it happened to.' }),
    item: t.int({ nullable: true, description: 'Item it happened to.', resolve: (row) => (row.item === NO_ITEM ? null : row.item) }),
    attempt: t.exposeInt('attempt', { nullable: true, description: 'Attempt it happened to.' }),
    reason: t.exposeString('reason', { nullable: true, description: 'Why.' }),
    principal: t.exposeString('principal', { nullable: true, description: 'Who asked for it.' }),
  }),
});

const NodeConnection = builder.connectionObject({ type: NodeRunRef, name: 'NodeRunConnection', description: 'A page of the nodes of a run.' },
  { name: 'NodeRunEdge', description: 'A node and its place in the list.' });
const EventConnection = builder.connectionObject({ type: RunEventRef, name: 'RunEventConnection', description: 'A page of the history of a run.' },
  { name: 'RunEventEdge', description: 'A line of the history and its place.' });

/** GraphQL type of a run. Whoever hands out a source has asked `can` about it; what hangs below is part of the run. */
export const RunRef = builder.objectRef<RunSource>('Run');

RunRef.implement({
  description: 'One execution of a workflow.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'UUID, given at the start, never used again.' }),
    name: t.exposeString('name', { description: 'Name of the WorkflowRun object, or as given at the start.' }),
    namespace: t.exposeString('namespace', { description: 'Kubernetes namespace; rights go by it.' }),
    workflow: t.exposeString('workflow', { nullable: true, description: 'Name of the Workflow; null for an inline definition.' }),
    source: t.exposeString('source', { description: 'By which door it came: `cr`, `api`, `trigger` or `retry`.' }),
    principal: t.exposeString('principal', { description: 'Who started it.' }),
    priority: t.exposeInt('priority', { description: 'Higher goes first where pools are short.' }),
    phase: t.expose('phase', { type: RunPhaseEnum, description: 'Where it stands.' }),
    review: t.exposeString('review', { nullable: true, description: 'Why it waits for a person: the database was restored and may be older than the run. resumeRun and cancelRun decide.' }),
    suspended: t.exposeBoolean('suspended', { description: 'Whether it starts no more nodes until resumed.' }),
    version: t.exposeInt('version', { description: 'Rises with every change: keep the answer with the highest.' }),
    progress: t.field({ type: ProgressRef, description: 'How far it is.', resolve: ({ done, total }) => ({ done, total }) }),
    counts: t.field({ type: NodeCountsRef, description: 'Nodes by status.', resolve: (run) => countsOf(run) }),
    failures: t.field({ type: [FailureRef], description: 'At most 10 nodes that failed.', resolve: (run) => storedAs(z.array(failureSchema), run.failures) ?? [] }),
    error: t.field({ type: NodeErrorRef, nullable: true, description: 'Why the run as a whole failed where no node did.', resolve: (run) => errorOf(run.error) }),
    input: t.field({ type: 'JSON', nullable: true, extensions: { cost: PAYLOAD_COST }, description: 'What it was started with.', resolve: async (run, _, context) => jsonOf((await detail(run, context)).input) }),
    outputs: t.field({ type: 'JSON', nullable: true, extensions: { cost: PAYLOAD_COST }, description: 'Its outputs by name, once it has ended.', resolve: async (run, _, context) => jsonOf((await detail(run, context)).outputs) }),
    createdAt: t.expose('createdAt', { type: 'Time', description: 'When it was accepted.' }),
    startedAt: t.expose('startedAt', { type: 'Time', nullable: true, description: 'When it began.' }),
    finishedAt: t.expose('finishedAt', { type: 'Time', nullable: true, description: 'When it reached its final phase.' }),
  }),
});

builder.objectField(RunRef, 'nodes', (t) => t.field({
  type: NodeConnection,
  description: 'Its nodes and items that have been looked at, by name and item.',
  args: {
    first: t.arg.int({ description: 'How many: 1 to 100, 20 if not given.' }),
    after: t.arg.string({ description: 'Start after this cursor.' }),
  },
  extensions: { cost: 2 },
  resolve: async (run, args, { services }) => {
    const after = decodeCursor(nodeCursor, args.after);
    const page = await services.runs.nodes(run.id, after === undefined ? undefined : { node: after[0], item: after[1] }, pageSize(args.first));
    const rows = page.rows.map((row) => ({ run, row }));
    return connectionOf(rows, ({ row }) => encodeCursor([row.node, row.item]), { hasMore: page.hasMore, forward: true, started: after !== undefined });
  },
}));

builder.objectField(RunRef, 'events', (t) => t.field({
  type: EventConnection,
  description: 'Its history, the oldest line first.',
  args: {
    first: t.arg.int({ description: 'How many: 1 to 100, 20 if not given.' }),
    after: t.arg.string({ description: 'Start after this cursor.' }),
  },
  extensions: { cost: 2 },
  resolve: async (run, args, { services }) => {
    const after = decodeCursor(eventCursor, args.after);
    const page = await services.runs.events(run.id, after?.[0] ?? 0, pageSize(args.first));
    return connectionOf(page.rows, (row) => encodeCursor([row.seq]), { hasMore: page.hasMore, forward: true, started: after !== undefined });
  },
}));

function countsOf(run: RunSummary): Readonly<Record<string, number>> {
  return run.counts === null ? {} : countsSchema.parse(JSON.parse(run.counts));
}

async function detail(run: RunSource, context: ApiContext): Promise<Pick<RunRecord, 'input' | 'outputs'>> {
  const { input, outputs } = run;
  if (input !== undefined && outputs !== undefined) return { input, outputs };
  const record = await context.details.load(run.id);
  if (record === undefined) throw new ApiError('NOT_FOUND', `run ${run.id} has been deleted meanwhile`);
  return record;
}
