import { demand } from '../auth/can.ts';
import { unavailable } from '../errors.ts';
import { builder } from '../graphql/builder.ts';
import type { ApiContext } from '../graphql/context.ts';
import { RunRef } from '../graphql/run.ts';
import { RunConnection } from '../graphql/run-queries.ts';
import type { Entity, EntityValue } from '../operations/entity.ts';
import { asConnection, connectionRef } from '../operations/graphql.ts';
import { entityRef, showAs } from '../operations/graphql-types.ts';
import type { PROJECT_RESOURCES, Verb } from '../ports.ts';
import { Run } from '../workflow/run-entity.ts';
import { childPage, childRow } from './children.ts';
import type { ChildKind } from './children.ts';
import { Project, projectOf, ProjectMember, Requirement, Sprint, sprintOf, Task, taskOf, Ticket } from './entities.ts';
import { memberPage } from './members.ts';
import { projectRow } from './projects.ts';
import { requirementKind } from './requirements.ts';
import { sprintKind } from './sprints.ts';
import { taskRunPage } from './task-runs.ts';
import { taskKind } from './tasks.ts';
import { ticketKind } from './tickets.ts';
import type { ChildTable } from '../../prisma/store/index.ts';

/*
 * What hangs together in GraphQL. Every relation asks `can` for what it leads to: a right on the one end is none on the other.
 * Rows are loaded in batches, so a list of n costs as many statements as a list of one.
 */

const CONNECTION_COST = 2;
const firstAfter = { first: 'How many: 1 to 100, 20 if not given.', after: 'Start after this cursor.' } as const;

showAs(Run, RunRef, async ({ services }, { id }) => {
  const row = await services.runs.run(id);
  if (row === undefined) throw unavailable();
  return row;
});

async function demandIn({ services, principal }: ApiContext, verb: Verb, resource: (typeof PROJECT_RESOURCES)[number], projectId: string): Promise<void> {
  await demand(services.can, principal, verb, { kind: 'project', resource, projectId });
}

/** A connection of children on a type; `by` says how they hang below it. */
function addChildren<P extends Entity, T extends ChildTable, E extends Entity>(
  parent: P, field: string, description: string, kind: ChildKind<T, E>, by: 'projectId' | 'sprintId' | 'parentId', placeOf: (value: EntityValue<P>) => { id: string; projectId: string },
): void {
  builder.objectField(entityRef(parent), field, (t) => t.field({
    type: connectionRef(kind.entity), description, extensions: { cost: CONNECTION_COST },
    args: { first: t.arg.int({ description: firstAfter.first }), after: t.arg.string({ description: firstAfter.after }) },
    resolve: async (value, args, context) => {
      const { id, projectId } = placeOf(value);
      await demandIn(context, 'list', kind.resource, projectId);
      return asConnection(await childPage(context, kind, by, id, by === 'projectId' ? {} : { projectId }, args));
    },
  }));
}

const ofProject = (project: { id: string }): { id: string; projectId: string } => ({ id: project.id, projectId: project.id });
addChildren(Project, 'tasks', 'Its tasks, the newest first.', taskKind, 'projectId', ofProject);
addChildren(Project, 'sprints', 'Its sprints, the newest first.', sprintKind, 'projectId', ofProject);
addChildren(Project, 'tickets', 'Its tickets, the newest first.', ticketKind, 'projectId', ofProject);
addChildren(Project, 'requirements', 'Its requirements, the newest first.', requirementKind, 'projectId', ofProject);
addChildren(Sprint, 'tasks', 'Its tasks, the newest first.', taskKind, 'sprintId', (sprint) => sprint);
addChildren(Sprint, 'tickets', 'Its tickets, the newest first.', ticketKind, 'sprintId', (sprint) => sprint);
addChildren(Task, 'children', 'Its parts, the newest first.', taskKind, 'parentId', (task) => task);

builder.objectField(entityRef(Project), 'members', (t) => t.field({
  type: connectionRef(ProjectMember), description: 'Its members.', extensions: { cost: CONNECTION_COST },
  args: { first: t.arg.int({ description: firstAfter.first }), after: t.arg.string({ description: firstAfter.after }) },
  resolve: async ({ id }, args, context) => {
    await demandIn(context, 'list', 'members', id);
    return asConnection(await memberPage(context, id, args));
  },
}));

builder.objectField(entityRef(Task), 'runs', (t) => t.field({
  type: RunConnection, description: 'Runs started for it, the newest first. Those that are not yours to see are left out.', extensions: { cost: CONNECTION_COST },
  args: { first: t.arg.int({ description: firstAfter.first }), after: t.arg.string({ description: firstAfter.after }) },
  resolve: async ({ id }, args, context) => {
    return asConnection(await taskRunPage(context, id, args));
  },
}));

/** The project of something in it. */
function addProject<E extends Entity>(entity: E, projectIdOf: (value: EntityValue<E>) => string): void {
  builder.objectField(entityRef(entity), 'project', (t) => t.field({
    type: entityRef(Project), nullable: true, description: 'The project it is in; null where it is not yours to see.',
    resolve: async (value, _args, context) => {
      const projectId = projectIdOf(value);
      if (!await context.services.can(context.principal, 'get', { kind: 'project', resource: 'projects', projectId })) return null;
      const row = await projectRow(context, projectId);
      return row === undefined || row.deletedAt !== null ? null : projectOf(row);
    },
  }));
}

addProject(Task, ({ projectId }) => projectId);
addProject(Sprint, ({ projectId }) => projectId);
addProject(Ticket, ({ projectId }) => projectId);
addProject(Requirement, ({ projectId }) => projectId);
addProject(ProjectMember, ({ projectId }) => projectId);

/** The sprint of something, where it is still there. */
function addSprint<E extends Entity>(entity: E, placeOf: (value: EntityValue<E>) => { projectId: string; sprintId: string | null }): void {
  builder.objectField(entityRef(entity), 'sprint', (t) => t.field({
    type: entityRef(Sprint), nullable: true, description: 'The sprint it is in.',
    resolve: async (value, _args, context) => {
      const { projectId, sprintId } = placeOf(value);
      if (sprintId === null || !await context.services.can(context.principal, 'get', { kind: 'project', resource: 'sprints', projectId })) return null;
      const row = await childRow(context, 'sprint', sprintId);
      return row === undefined || row.deletedAt !== null || row.projectId !== projectId ? null : sprintOf(row);
    },
  }));
}

addSprint(Task, (task) => task);
addSprint(Ticket, (ticket) => ticket);

builder.objectField(entityRef(Task), 'parent', (t) => t.field({
  type: entityRef(Task), nullable: true, description: 'The task it is a part of.',
  resolve: async ({ parentId, projectId }, _args, context) => {
    if (parentId === null || !await context.services.can(context.principal, 'get', { kind: 'project', resource: 'tasks', projectId })) return null;
    const row = await childRow(context, 'task', parentId);
    return row === undefined || row.deletedAt !== null || row.projectId !== projectId ? null : taskOf(row);
  },
}));
