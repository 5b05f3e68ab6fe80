import { z } from 'zod';
import type { ProjectAgentModel } from '../../prisma/gateway/index.ts';
import { defineEntity } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { anyJson, id, line, metadata, oneOf, TEXT_LIMITS, time } from '../operations/fields.ts';
import { listIn, objectIn, timesOf, wordIn } from '../operations/row-values.ts';

/** What an agent is at. */
export const agentStatus = oneOf('ProjectAgentStatus', 'What an agent is at, as people or pipelines say.', {
  RUNNING: 'It works.', IDLE: 'It waits for work.', ERROR: 'Something is wrong with it.', STOPPED: 'It is switched off.',
});

/** An agent of a project, or a global one of a person. */
export const ProjectAgent = defineEntity('ProjectAgent', 'An agent as a project, or a person for all of theirs, describes it. What runs is the Agent object of Kubernetes that has its name.', z.object({
  id: id('Id.'),
  projectId: id('The project; null: a global agent of its owner.').nullable(),
  ownerId: id('Who made it.'),
  name: line(TEXT_LIMITS.name, 'Name.'),
  type: line(TEXT_LIMITS.label, 'Kind of work it is for, in free words: `Testing Agent`.'),
  status: agentStatus,
  capabilities: anyJson('What it can do: a list.', 5),
  configuration: metadata('How it is set up.'),
  metadata: metadata('Whatever else there is to keep.'),
  version: z.int().describe('Counts its changes; give it with a change.'),
  createdAt: time('When it was made.'), updatedAt: time('When it last changed.'), deletedAt: time('When it was deleted; null: it is there.').nullable(),
}));

/** An agent from its row. */
export function agentOf(row: ProjectAgentModel): EntityValue<typeof ProjectAgent> {
  const { id: agentId, projectId, ownerId, name, type, status } = row;
  return {
    id: agentId, projectId, ownerId, name, type, status: wordIn(agentStatus.options, status), capabilities: listIn(row.capabilities), configuration: objectIn(row.configuration),
    metadata: objectIn(row.metadata), ...timesOf(row),
  };
}
