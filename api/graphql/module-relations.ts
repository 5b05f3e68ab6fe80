import { agentPage } from '../agent/operations.ts';
import { ProjectAgent } from '../agent/entities.ts';
import { demand } from '../auth/can.ts';
import { File } from '../file/entities.ts';
import { filePage } from '../file/operations.ts';
import type { Entity, EntityValue, PageValue } from '../operations/entity.ts';
import { asConnection, connectionRef } from '../operations/graphql.ts';
import { entityRef } from '../operations/graphql-types.ts';
import type { PageInput } from '../operations/paging.ts';
import type { PROJECT_RESOURCES } from '../ports.ts';
import { Project } from '../project/entities.ts';
import { ProjectWorkflow } from '../workflow/entities.ts';
import { workflowPage } from '../workflow/operations.ts';
import { builder } from './builder.ts';
import type { ApiContext } from './context.ts';

/* What hangs below a project, or a folder, in modules of their own. Every relation asks `can` for what it leads to. */

const CONNECTION_COST = 2;

function addBelow<P extends Entity, E extends Entity>(
  parent: P, field: string, description: string, entity: E, resource: (typeof PROJECT_RESOURCES)[number], projectIdOf: (value: EntityValue<P>) => string,
  page: (context: ApiContext, value: EntityValue<P>, input: PageInput) => Promise<PageValue<EntityValue<E>>>,
): void {
  builder.objectField(entityRef(parent), field, (t) => t.field({
    type: connectionRef(entity), description, extensions: { cost: CONNECTION_COST },
    args: { first: t.arg.int({ description: 'How many: 1 to 100, 20 if not given.' }), after: t.arg.string({ description: 'Start after this cursor.' }) },
    resolve: async (value, args, context) => {
      await demand(context.services.can, context.principal, 'list', { kind: 'project', resource, projectId: projectIdOf(value) });
      return asConnection(await page(context, value, args));
    },
  }));
}

addBelow(Project, 'workflows', 'Its workflows, the newest first.', ProjectWorkflow, 'workflows', ({ id }) => id, (context, { id }, input) => workflowPage(context, { projectId: id }, input));
addBelow(Project, 'agents', 'Its agents, the newest first.', ProjectAgent, 'agents', ({ id }) => id, (context, { id }, input) => agentPage(context, { projectId: id }, input));
addBelow(Project, 'files', 'What is at the top of its files, by name.', File, 'files', ({ id }) => id, (context, { id }, input) => filePage(context, { projectId: id, area: 'FILES', parentId: null }, input));
addBelow(File, 'children', 'What is in it, by name; a file has nothing in it.', File, 'files', ({ projectId }) => projectId, (context, { id, projectId, area }, input) => filePage(context, { projectId, area, parentId: id }, input));
