import { z } from 'zod';
import type { CancelMode } from '../../crds/workflow-run.ts';
import type { Json } from '../../engine/types.ts';
import type { RunRecord } from '../../prisma/store/index.ts';
import { ApiError, unavailable } from '../errors.ts';
import { page } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { anyJson, id, oneOf, pageFields } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { Operation, OperationContext, Reached } from '../operations/operation.ts';
import { defined, pageInput, pageValue } from '../operations/paging.ts';
import { InvalidInput } from '../operations/problems.ts';
import { objectName } from './names.ts';
import { Run, runOf, runPhase, wholeRunOf } from './run-entity.ts';
import { startRun, steerRun } from './start-run.ts';
import type { CommandOutcome, StartRequest } from './start-run.ts';

/* The verbs of runs over REST. GraphQL has had fields of its own for them since before there were operations; both call the same functions. */

const ORDER = 'run';
const byId = z.strictObject({ id: id('Which run.') });
const namespace = objectName('Kubernetes namespace.');
const cancelMode = oneOf('CancelMode', 'How to cancel a run. Graceful may become Now, never the other way.', {
  Graceful: 'Start nothing more, give running nodes 30 s, then run onExit.', Now: 'Kill running nodes; onExit does not run.',
} satisfies Record<CancelMode, string>);

/** What a start takes beside the place it is in. */
export const startFields = {
  workflow: objectName('Name of a Workflow of the namespace. Exactly one of workflow and definition.').optional(),
  definition: anyJson('An inline definition: the spec of a Workflow. Unknown fields are refused.').optional(),
  input: anyJson('Input of the run; `{}` if not given. Checked against the schema of the workflow.').optional(),
  name: z.string().max(253).optional().describe('Name of the run; made from the workflow if not given.'),
  priority: z.int().min(-1_000_000).max(1_000_000).optional().describe('Higher goes first; that of the workflow if not given.'),
};

async function reachRun({ services }: OperationContext, input: { id: string }): Promise<Reached<RunRecord> | undefined> {
  const row = await services.runs.run(input.id);
  return row === undefined ? undefined : { target: { kind: 'namespace', resource: 'workflowruns', namespace: row.namespace }, row };
}

/** The run of a command that was carried out. Throws what the caller can mend as an error. */
export function doneRun(outcome: CommandOutcome): string {
  switch (outcome.kind) {
    case 'Done': return outcome.runId;
    case 'NotFound': throw new ApiError('NOT_FOUND', outcome.message);
    case 'Conflict': throw new ApiError('CONFLICT', outcome.message);
    case 'Invalid': throw new InvalidInput(outcome.problems.map(({ field, reason, message, node }) => ({ field: node === undefined ? field : `${field} (node ${node})`, reason, message })));
  }
}

/** Starts a run in a namespace in which the caller may. Gives its id. */
export async function startIn(context: OperationContext, request: StartRequest): Promise<string> {
  return doneRun(await startRun(context.services, context.principal, request, context.traceparent));
}

/** The row is read after the owner's commit, so it shows the command's effect. */
export async function runAfter({ services }: OperationContext, runId: string): Promise<EntityValue<typeof Run>> {
  const row = await services.runs.run(runId);
  if (row === undefined) throw unavailable();
  return wholeRunOf(row);
}

type Steering = { readonly verb: 'cancel'; readonly mode: CancelMode } | { readonly verb: 'suspend' } | { readonly verb: 'resume' };

async function steer(context: OperationContext, row: RunRecord, steering: Steering): Promise<string> {
  return doneRun(await steerRun(context.services.commands, { v: 1, runId: row.id, principal: context.principal.name, ...steering }));
}

const patch = { verb: 'patch', resource: 'workflowruns', on: 'namespace' } as const;

/** Operations on runs. */
export const runOperations: readonly Operation[] = [
  defineList({
    name: 'runs', graphql: false, summary: 'Runs of a namespace, the newest first.', rest: { method: 'GET', path: '/runs' },
    input: z.strictObject({ namespace, workflow: objectName('Only runs of this workflow.').optional(), phase: runPhase.optional(), ...pageFields }), output: page(Run),
    right: { verb: 'list', resource: 'workflowruns', on: 'namespace' },
    run: async ({ services }, { namespace: place, workflow, phase, ...rest }) => {
      const { first, after } = pageInput(ORDER, rest);
      const rows = await services.runs.runs({
        namespaces: [place], first, ...defined({ workflow, phase }), ...(after === undefined ? {} : { after: { createdAt: z.number().parse(after.value), id: after.id } }),
      });
      return pageValue(ORDER, { items: rows.rows.map(runOf), hasMore: rows.hasMore }, after !== undefined, (item) => [Date.parse(item.createdAt), item.id]);
    },
  }),
  defineQuery({
    name: 'run', graphql: false, summary: 'One run.', rest: { method: 'GET', path: '/runs/{id}' }, input: byId, output: Run, right: { verb: 'get', resource: 'workflowruns', on: 'namespace' }, covered: true,
    reach: reachRun, run: async (_, _input, row) => wholeRunOf(row),
  }),
  defineMutation({
    name: 'startRun', graphql: false, summary: 'Starts a run.', rest: { method: 'POST', path: '/runs', status: 201 }, input: z.strictObject({ namespace, ...startFields }), output: Run,
    right: { verb: 'create', resource: 'workflowruns', on: 'namespace' },
    effect: (context, input, _row: undefined, key) => startIn(context, { ...requestOf(input), namespace: input.namespace, idempotencyKey: key }),
    run: (context, _input, _row, runId) => runAfter(context, runId),
  }),
  defineMutation({
    name: 'cancelRun', graphql: false, summary: 'Cancels a run. Cancelling one that has ended changes nothing.', rest: { method: 'POST', path: '/runs/{id}/cancel' },
    input: z.strictObject({ id: id('Which run.'), mode: cancelMode.optional() }), output: Run, right: patch, reach: reachRun,
    effect: (context, { mode = 'Graceful' }, row) => steer(context, row, { verb: 'cancel', mode }), run: (context, _input, _row, runId) => runAfter(context, runId),
  }),
  defineMutation({
    name: 'suspendRun', graphql: false, summary: 'Suspends a run: it starts no more nodes.', rest: { method: 'POST', path: '/runs/{id}/suspend' }, input: byId, output: Run, right: patch, reach: reachRun,
    effect: (context, _input, row) => steer(context, row, { verb: 'suspend' }), run: (context, _input, _row, runId) => runAfter(context, runId),
  }),
  defineMutation({
    name: 'resumeRun', graphql: false, summary: 'Resumes a suspended run.', rest: { method: 'POST', path: '/runs/{id}/resume' }, input: byId, output: Run, right: patch, reach: reachRun,
    effect: (context, _input, row) => steer(context, row, { verb: 'resume' }), run: (context, _input, _row, runId) => runAfter(context, runId),
  }),
];

/** A start as its fields say. */
export function requestOf({ workflow, name, priority, definition, input }: z.output<z.ZodObject<typeof startFields>>): Omit<StartRequest, 'namespace'> {
  return defined({ workflow, name, priority, definition: asJson(definition), input: asJson(input) });
}

/** It came out of a JSON body or the JSON scalar: there is nothing else it could be. */
function asJson(value: unknown): Json | undefined {
  return value as Json | undefined;
}
