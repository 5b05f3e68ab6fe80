import { z } from 'zod';
import { objectNameSchema, subdomainSchema } from '../../crds/parts.ts';
import type { RunRecord } from '../../prisma/store/index.ts';
import { demand } from '../auth/can.ts';
import { ApiError } from '../errors.ts';
import type { Verb } from '../ports.ts';
import { asRunId } from '../workflow/run-id.ts';
import { builder } from './builder.ts';
import type { ApiContext } from './context.ts';
import { RunPhaseEnum } from './enums.ts';
import { connectionOf, decodeCursor, encodeCursor, pageSize } from './paging.ts';
import { RunRef } from './run.ts';

const runCursor = z.tuple([z.number().min(0).max(8.64e15), z.uuid()]);

/** A page of runs. */
export const RunConnection = builder.connectionObject({ type: RunRef, name: 'RunConnection', description: 'A page of runs.' },
  { name: 'RunEdge', description: 'A run and its place in the list.' });

/** The run, if it exists and the caller may do `verb` to it; undefined otherwise, whichever of the two it was. */
export async function reachableRun(context: ApiContext, verb: Verb, id: string): Promise<RunRecord | undefined> {
  const runId = asRunId(id);
  const run = runId === undefined ? undefined : await context.services.runs.run(runId);
  if (run === undefined) return undefined;
  return await context.services.can(context.principal, verb, { kind: 'namespace', resource: 'workflowruns', namespace: run.namespace }) ? run : undefined;
}

builder.queryField('run', (t) => t.field({
  type: RunRef,
  nullable: true,
  description: 'One run; null if it does not exist or is not yours to see. Needs `get workflowruns`.',
  args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
  resolve: async (_, { id }, context) => await reachableRun(context, 'get', id) ?? null,
}));

builder.queryField('runByName', (t) => t.field({
  type: RunRef,
  nullable: true,
  description: 'The newest run of a name, such as that of a WorkflowRun object; null if there is none or it is not yours to see.',
  args: {
    namespace: t.arg.string({ required: true, description: 'Its namespace.' }),
    name: t.arg.string({ required: true, description: 'Its name.' }),
  },
  resolve: async (_, { namespace, name }, { services, principal }) => {
    if (!subdomainSchema.safeParse(name).success || !await services.can(principal, 'get', { kind: 'namespace', resource: 'workflowruns', namespace })) return null;
    return await services.runs.runByName(namespace, name) ?? null;
  },
}));

builder.queryField('runs', (t) => t.field({
  type: RunConnection,
  description: 'Runs of a namespace, the newest first. Needs `list workflowruns`, else FORBIDDEN.',
  args: {
    namespace: t.arg.string({ required: true, description: 'Namespace to list.' }),
    workflow: t.arg.string({ description: 'Only runs of this workflow.' }),
    phase: t.arg({ type: RunPhaseEnum, description: 'Only runs in this phase.' }),
    ...t.arg.connectionArgs(),
  },
  resolve: async (_, { namespace, workflow, phase, ...args }, { services, principal }) => {
    await demand(services.can, principal, 'list', { kind: 'namespace', resource: 'workflowruns', namespace });
    if (workflow != null && !objectNameSchema.safeParse(workflow).success) throw new ApiError('BAD_USER_INPUT', 'workflow is no name of a workflow: a DNS label of at most 63 characters');
    const page = await services.runs.runs({
      namespaces: [namespace], ...pageOf(args), ...(workflow == null ? {} : { workflow }), ...(phase == null ? {} : { phase }),
    });
    return connectionOf(page.rows, (run) => encodeCursor([run.createdAt, run.id]), {
      hasMore: page.hasMore, forward: args.before == null, started: (args.before ?? args.after) != null,
    });
  },
}));

interface PageArgs { first?: number | null | undefined; last?: number | null | undefined; after?: string | null | undefined; before?: string | null | undefined }
interface Place { readonly createdAt: number; readonly id: string }

function pageOf(args: PageArgs): { first: number; after?: Place; before?: Place } {
  const backward = args.before != null;
  if (backward !== (args.last != null) || (backward && (args.first != null || args.after != null))) {
    throw new ApiError('BAD_USER_INPUT', 'page with first and after, or with last and before: not with a mixture');
  }
  const place = placeOf(backward ? args.before : args.after);
  const first = pageSize(backward ? args.last : args.first);
  if (place === undefined) return { first };
  return backward ? { first, before: place } : { first, after: place };
}

function placeOf(cursor: string | null | undefined): Place | undefined {
  const place = decodeCursor(runCursor, cursor);
  return place === undefined ? undefined : { createdAt: place[0], id: place[1] };
}
