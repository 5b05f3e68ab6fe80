import { z } from 'zod';
import type { ProjectWorkflowModel, ProjectWorkflowNodeModel } from '../../prisma/gateway/index.ts';
import { defineEntity } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { anyJson, id, line, metadata, oneOf, text, TEXT_LIMITS, time } from '../operations/fields.ts';
import { listIn, objectIn, timesOf, wordIn } from '../operations/row-values.ts';

/** How far a workflow is. */
export const workflowStatus = oneOf('ProjectWorkflowStatus', 'How far a workflow of a project is.', {
  DRAFT: 'It was never published.', PUBLISHED: 'A Workflow object runs it; the draft may be ahead of it.', INACTIVE: 'It was published, and is not any more.',
});

/** A workflow of a project. */
export const ProjectWorkflow = defineEntity('ProjectWorkflow', 'A workflow as its project keeps it. A draft can be anything; publishing makes the Workflow object that runs.', z.object({
  id: id('Id.'), projectId: id('The project.'), ownerId: id('Who made it.'),
  name: line(TEXT_LIMITS.name, 'Name for people.'), description: text(TEXT_LIMITS.description, 'What it is for.'),
  definition: anyJson('The spec of a Workflow, as far as it is written.'),
  status: workflowStatus,
  problems: anyJson('Why it cannot be published: a list of {node, field, reason, message}. Empty: it can.', 5),
  metadata: metadata('Places on the canvas, and whatever else there is to keep.'),
  objectName: z.string().describe('Name of its Workflow object; null until it is published.').nullable(),
  publishedAt: time('When it was published last; null: never.').nullable(),
  version: z.int().describe('Counts its changes; give it with a change.'),
  createdAt: time('When it was made.'), updatedAt: time('When it last changed.'), deletedAt: time('When it was deleted; null: it is there.').nullable(),
}));

/** A node of a workflow of a project. */
export const ProjectWorkflowNode = defineEntity('ProjectWorkflowNode', 'A node of a workflow of a project, taken out of its definition.', z.object({
  id: id('Id; another one after each change of the workflow.'), workflowId: id('The workflow.'), name: z.string().describe('Name, unique in the workflow.'), position: z.int().describe('Place in the definition.'),
  type: z.string().describe('Type, such as `agent`.'), configuration: anyJson('All else the definition says of it.', 5),
}));

/** A workflow from its row. */
export function workflowOf(row: ProjectWorkflowModel): EntityValue<typeof ProjectWorkflow> {
  const { id: workflowId, projectId, ownerId, name, description, definition, status, objectName, publishedAt } = row;
  return {
    id: workflowId, projectId, ownerId, name, description, definition, status: wordIn(workflowStatus.options, status), problems: listIn(row.problems), metadata: objectIn(row.metadata), objectName,
    publishedAt: publishedAt?.toISOString() ?? null, ...timesOf(row),
  };
}

/** A node from its row. */
export function nodeOf({ id: nodeId, workflowId, name, position, type, configuration }: ProjectWorkflowNodeModel): EntityValue<typeof ProjectWorkflowNode> {
  return { id: nodeId, workflowId, name, position, type, configuration };
}
