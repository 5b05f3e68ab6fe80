import type { Ids } from '../../platform/ids/index.ts';
import type { GatewayDb } from '../../prisma/gateway/index.ts';
import { Prisma } from '../../prisma/gateway/index.ts';
import { jsonIn, objectIn } from '../operations/row-values.ts';
import type { InputProblem } from './definition.ts';
import { writeNodes } from './nodes.ts';

/** A workflow as an import brings it: always a draft. */
export interface ImportedWorkflow {
  readonly id: string;
  readonly projectId: string;
  readonly ownerId: string;
  readonly name: string;
  readonly description: string;
  readonly definition: Readonly<Record<string, unknown>>;
  readonly problems: readonly InputProblem[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Makes drafts; the caller's right has been checked. */
export async function createImportedWorkflows(tx: GatewayDb, ids: Pick<Ids, 'uuid'>, workflows: readonly (ImportedWorkflow & { readonly createdAt: Date; readonly updatedAt: Date })[]): Promise<void> {
  await tx.projectWorkflow.createMany({ data: workflows.map((workflow) => ({
    ...workflow, status: 'DRAFT', definition: jsonIn(workflow.definition), problems: problemsIn(workflow.problems), metadata: jsonIn(workflow.metadata),
  })) });
  for (const { id, definition } of workflows) await writeNodes(tx, ids, id, definition);
}

/** Writes over a workflow what the prototype says now. What is published stays published as it is, until somebody publishes again. */
export async function updateImportedWorkflow(tx: GatewayDb, ids: Pick<Ids, 'uuid'>, { id, name, description, definition, problems, metadata }: ImportedWorkflow, at: Date): Promise<void> {
  const row = await tx.projectWorkflow.findUnique({ where: { id }, select: { metadata: true } });
  await tx.projectWorkflow.update({ where: { id }, data: {
    name, description, definition: jsonIn(definition), problems: problemsIn(problems), metadata: jsonIn({ ...objectIn(row?.metadata), ...metadata }), updatedAt: at, version: { increment: 1 },
  } });
  await writeNodes(tx, ids, id, definition);
}

/** Which of these workflows are there, deleted ones too. */
export async function workflowsThere(tx: GatewayDb, ids: readonly string[]): Promise<readonly { readonly id: string; readonly deletedAt: Date | null }[]> {
  return tx.projectWorkflow.findMany({ where: { id: { in: [...ids] } }, select: { id: true, deletedAt: true } });
}

/** Problems for their column: null when nothing is wrong. */
export function problemsIn(problems: readonly InputProblem[]): Prisma.InputJsonValue | typeof Prisma.DbNull {
  return problems.length === 0 ? Prisma.DbNull : jsonIn(problems);
}
