import { z } from 'zod';
import { ERROR_CLASSES } from '../../crds/node.ts';
import type { RunRecord, RunSummary } from '../../prisma/store/index.ts';
import { jsonOf, storedAs } from '../graphql/json.ts';
import { defineEntity } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { anyJson, id, oneOf, shaped, time } from '../operations/fields.ts';

/* Runs as REST shows them. GraphQL has a type of its own for them, which is older. */

/** Phases of a run. */
export const runPhase = oneOf('RunPhase', 'Where a run stands. The last three are final.', {
  Pending: 'Accepted, not begun.', Running: 'Nodes run or may run.', Suspended: 'Starts no more nodes until it is resumed; running ones finish.',
  Succeeded: 'Final: every node that had to succeed did.', Failed: 'Final: a node failed for good, the run timed out or its definition is invalid.', Cancelled: 'Final: somebody cancelled it.',
});

const failures = z.array(z.object({ node: z.string(), reason: z.string(), message: z.string() }));
const storedError = z.object({ class: z.enum(ERROR_CLASSES), reason: z.string(), message: z.string() });
const counts = z.record(z.string(), z.number());

/** A run. */
export const Run = defineEntity('Run', 'One execution of a workflow.', z.object({
  id: id('UUID, given at the start, never used again.'), name: z.string().describe('Name of the WorkflowRun object, or as given at the start.'), namespace: z.string().describe('Kubernetes namespace; rights go by it.'),
  workflow: z.string().nullable().describe('Name of the Workflow; null for an inline definition.'), source: z.string().describe('By which door it came: `cr`, `api`, `trigger` or `retry`.'),
  principal: z.string().describe('Who started it.'), priority: z.int().describe('Higher goes first where pools are short.'), phase: runPhase,
  review: z.string().nullable().describe('Why it waits for a person: the database was restored and may be older than the run.'), suspended: z.boolean().describe('Whether it starts no more nodes until resumed.'),
  version: z.int().describe('Rises with every change.'), done: z.int().describe('Nodes that have ended.'), total: z.int().describe('Nodes known by now.'),
  counts: shaped(z.record(z.string(), z.number()), { scalar: 'JSON', json: { type: 'object', additionalProperties: { type: 'integer' } } }).describe('Nodes by status.'),
  failures: shaped(failures, { scalar: 'JSON' }).describe('At most 10 nodes that failed.'),
  error: shaped(storedError, { scalar: 'JSON' }).nullable().describe('Why the run as a whole failed where no node did.'),
  input: anyJson('What it was started with. Lists leave it out.').optional(), outputs: anyJson('Its outputs by name, once it has ended. Lists leave them out.').optional(),
  createdAt: time('When it was accepted.'), startedAt: time('When it began.').nullable(), finishedAt: time('When it reached its final phase.').nullable(),
}));

function at(moment: number): string {
  return new Date(moment).toISOString();
}

/** When it was accepted, began and ended, RFC 3339. */
export function runMoments({ createdAt, startedAt, finishedAt }: Pick<RunSummary, 'createdAt' | 'startedAt' | 'finishedAt'>): { createdAt: string; startedAt: string | null; finishedAt: string | null } {
  return { createdAt: at(createdAt), startedAt: startedAt === null ? null : at(startedAt), finishedAt: finishedAt === null ? null : at(finishedAt) };
}

/** An entry of a list. */
export function runOf(run: RunSummary): EntityValue<typeof Run> {
  const { id: runId, name, namespace, workflow, source, principal, priority, phase, review, suspended, version, done, total } = run;
  return {
    id: runId, name, namespace, workflow, source, principal, priority, phase, review, suspended, version, done, total,
    counts: run.counts === null ? {} : counts.parse(JSON.parse(run.counts)), failures: storedAs(failures, run.failures) ?? [], error: storedAs(storedError, run.error) ?? null,
    ...runMoments(run),
  };
}

/** A single run, with its payloads. */
export function wholeRunOf(run: RunRecord): EntityValue<typeof Run> {
  return { ...runOf(run), input: jsonOf(run.input), outputs: jsonOf(run.outputs) };
}
