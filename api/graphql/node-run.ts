import { z } from 'zod';
import { ERROR_CLASSES } from '../../crds/node.ts';
import { NO_ITEM } from '../../engine/types.ts';
import type { AttemptRow, Bytes, NodeRunRow, RunSummary } from '../../prisma/store/index.ts';
import { builder } from './builder.ts';
import { AttemptStatusEnum, ErrorClassEnum, NodeStatusEnum } from './enums.ts';
import { jsonOf, storedAs } from './json.ts';
import { pageSize } from './paging.ts';

/** Charged for a payload: it may be 256 KiB. */
export const PAYLOAD_COST = 20;
/** Charged for what asks the owner of the run. */
const LOG_COST = 50;
const LOG_LIMIT = 65_536;
const MOST_LOG = 262_144;

/** A node of a run together with the run it was reached through, on which the right to see it was decided. */
export interface NodeOfRun { readonly run: RunSummary; readonly row: NodeRunRow }

const errorSchema = z.object({ class: z.enum(ERROR_CLASSES), reason: z.string(), message: z.string() });
/** A stored error. */
export type StoredError = z.infer<typeof errorSchema>;

/** The error in stored bytes, null for none. */
export function errorOf(bytes: Bytes | null): StoredError | null {
  return storedAs(errorSchema, bytes) ?? null;
}

/** GraphQL type of an error of a node, an attempt or a run. */
export const NodeErrorRef = builder.objectRef<StoredError>('NodeError').implement({
  description: 'Why a node, an attempt or a run did not succeed.',
  fields: (t) => ({
    class: t.expose('class', { type: ErrorClassEnum, description: 'Kind of error.' }),
    reason: t.exposeString('reason', { description: 'CamelCase and stable: what alerts match.' }),
    message: t.exposeString('message', { description: 'One plain sentence that names the object, the field and the value.' }),
  }),
});

const AttemptRef = builder.objectRef<AttemptRow>('Attempt').implement({
  description: 'One finished attempt of a node. Never changes.',
  fields: (t) => ({
    number: t.exposeInt('attempt', { description: 'From 1, rising over retries and infra restarts.' }),
    status: t.expose('status', { type: AttemptStatusEnum, description: 'How it ended.' }),
    error: t.field({ type: NodeErrorRef, nullable: true, description: 'Why it did not succeed.', resolve: (row) => errorOf(row.error) }),
    queuedAt: t.expose('queuedAt', { type: 'Time', nullable: true, description: 'When it became ready.' }),
    startedAt: t.expose('startedAt', { type: 'Time', nullable: true, description: 'When a runner took it or its pod started.' }),
    finishedAt: t.expose('finishedAt', { type: 'Time', description: 'When its end was recorded.' }),
    pod: t.exposeString('pod', { nullable: true, description: 'Pod of its own it ran in, if it had one.' }),
  }),
});

const LogPartRef = builder.objectRef<{ text: string; next: number; end: boolean }>('LogPart').implement({
  description: 'A part of the log of an attempt. The last 1 MiB is kept.',
  fields: (t) => ({
    text: t.exposeString('text', { description: 'The text from `offset`.' }),
    next: t.exposeInt('next', { description: 'Offset to go on from.' }),
    end: t.exposeBoolean('end', { description: 'Whether nothing more will come.' }),
  }),
});

/** GraphQL type of a node of a run. */
export const NodeRunRef = builder.objectRef<NodeOfRun>('NodeRun').implement({
  description: 'A node of a run, or one item of a forEach.',
  fields: (t) => ({
    name: t.string({ description: 'Name of the node in the workflow.', resolve: ({ row }) => row.node }),
    item: t.int({ nullable: true, description: 'Index of the item; null for the node itself.', resolve: ({ row }) => (row.item === NO_ITEM ? null : row.item) }),
    status: t.field({ type: NodeStatusEnum, description: 'Where it stands.', resolve: ({ row }) => row.status }),
    attempt: t.int({ description: 'Number of the current or last attempt; 0 before the first.', resolve: ({ row }) => row.attempt }),
    retries: t.int({ description: 'Attempts that counted as retries.', resolve: ({ row }) => row.retries }),
    infraRestarts: t.int({ description: 'Attempts lost to infrastructure.', resolve: ({ row }) => row.infra }),
    pool: t.string({ nullable: true, description: 'Runner pool it went to.', resolve: ({ row }) => row.pool }),
    pod: t.string({ nullable: true, description: 'Pod of its own, if it has one.', resolve: ({ row }) => row.pod }),
    output: t.field({ type: 'JSON', nullable: true, extensions: { cost: PAYLOAD_COST }, description: 'Its output once it has succeeded.', resolve: ({ row }) => jsonOf(row.output) }),
    error: t.field({ type: NodeErrorRef, nullable: true, description: 'Why it did not succeed, or why its last attempt did not.', resolve: ({ row }) => errorOf(row.error) }),
    queuedAt: t.field({ type: 'Time', nullable: true, description: 'When its current attempt became ready.', resolve: ({ row }) => row.queuedAt }),
    startedAt: t.field({ type: 'Time', nullable: true, description: 'When its current attempt was taken.', resolve: ({ row }) => row.startedAt }),
    finishedAt: t.field({ type: 'Time', nullable: true, description: 'When it ended.', resolve: ({ row }) => row.finishedAt }),
    dueAt: t.field({ type: 'Time', nullable: true, description: 'When a waiting node goes on.', resolve: ({ row }) => row.dueAt }),
    attempts: t.field({
      type: [AttemptRef],
      description: 'Finished attempts, the oldest first.',
      args: { first: t.arg.int({ description: 'How many: 1 to 100, 20 if not given.' }) },
      extensions: { cost: 2 },
      resolve: async ({ run, row }, args, { services }) => {
        if (row.attempt === 0) return [];
        const page = await services.runs.attempts(run.id, { node: row.node, item: row.item, attempt: 0 }, pageSize(args.first));
        return page.rows.filter((attempt) => attempt.node === row.node && attempt.item === row.item);
      },
    }),
    log: t.field({
      type: LogPartRef,
      nullable: true,
      description: 'A part of the log of an attempt; null before the first.',
      args: {
        attempt: t.arg.int({ description: 'Number of the attempt; the current or last one if not given.' }),
        offset: t.arg.int({ description: 'Where to begin, in characters from the start of the log; 0 if not given.' }),
        limit: t.arg.int({ description: 'Characters at most: 1 to 262144, 65536 if not given.' }),
      },
      extensions: { cost: LOG_COST },
      resolve: async ({ run, row }, args, { services }) => {
        const attempt = Math.trunc(args.attempt ?? row.attempt);
        if (attempt < 1 || attempt > row.attempt) return null;
        const limit = Math.min(MOST_LOG, Math.max(1, args.limit ?? LOG_LIMIT));
        const { text, next, end } = await services.logs.read({ v: 1, run: run.id, node: row.node, item: row.item, attempt, offset: Math.max(0, args.offset ?? 0), limit });
        return { text, next, end };
      },
    }),
  }),
});
