import { z } from 'zod';
import type { MemberRow, ProjectEventRow, ProjectRow, RequirementRow, SprintRow, TaskRow, TicketRow } from '../../prisma/store/index.ts';
import { defineEntity } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { day, id, line, metadata, oneOf, text, TEXT_LIMITS, time, webAddress } from '../operations/fields.ts';

/* What the module shows, and how rows become it. */

/** Where a project stands. */
export const projectStatus = oneOf('ProjectStatus', 'Where a project stands.', {
  ACTIVE: 'Work goes on.', ON_HOLD: 'Work rests.', COMPLETED: 'It is done.', ARCHIVED: 'Kept for the record.',
});
/** Where a task stands. */
export const taskStatus = oneOf('TaskStatus', 'Where a task stands.', {
  TO_DO: 'Not begun.', IN_PROGRESS: 'Somebody is at it.', DONE: 'Done.', BLOCKED: 'Something stands in its way.',
});
/** Where a sprint stands. */
export const sprintStatus = oneOf('SprintStatus', 'Where a sprint stands.', { PLANNED: 'Not begun.', ACTIVE: 'Under way.', COMPLETED: 'Over.' });
/** Where a ticket stands. */
export const ticketStatus = oneOf('TicketStatus', 'Where a ticket stands.', { OPEN: 'New.', IN_PROGRESS: 'Somebody is at it.', RESOLVED: 'There is an answer.', CLOSED: 'Over.' });
/** What a ticket is. */
export const ticketType = oneOf('TicketType', 'What a ticket is.', {
  BUG: 'Something is wrong.', FEATURE_REQUEST: 'Something is wanted.', SUPPORT_REQUEST: 'Somebody needs help.', CHANGE_REQUEST: 'Something should be otherwise.',
});
/** How much something matters. */
export const priority = oneOf('Priority', 'How much it matters.', { HIGH: 'First.', MEDIUM: 'Then.', LOW: 'Last.' });
/** Where a requirement stands. */
export const requirementStatus = oneOf('RequirementStatus', 'Where a requirement stands.', {
  DRAFT: 'Being written.', UNDER_REVIEW: 'Being read.', APPROVED: 'Agreed.', IMPLEMENTED: 'Done.', OBSOLETE: 'No longer wanted.', REJECTED: 'Not agreed.',
});
/** Role of a member. */
export const memberRole = oneOf('MemberRole', 'What somebody may do in a project. Its owner is no member.', {
  MANAGER: 'Everything but deleting it and handing it over.', DEVELOPER: 'Works on it and starts runs.', VIEWER: 'Reads.', AGENT: 'Reads, moves tasks, adds files, starts runs.',
});
/** What happened to something. */
export const changeKind = oneOf('ChangeKind', 'What happened.', { CREATED: 'It is new.', UPDATED: 'It is otherwise.', DELETED: 'It lies in the bin.', RESTORED: 'It is back out of the bin.' });

const versioned = {
  version: z.int().describe('Rises with every change. Give it with an update: an older one is a conflict.'),
  createdAt: time('When it was made.'),
  updatedAt: time('When it last changed.'),
  deletedAt: time('When it was deleted; null while it is there. Restoring undoes it.').nullable(),
};
const anything = metadata('Whatever else there is to keep, an object.');

/** A project. */
export const Project = defineEntity('Project', 'A project: tasks, sprints, tickets, requirements and the namespace their runs are in.', z.object({
  id: id('Its id.'), name: line(TEXT_LIMITS.name, 'Its name.'), description: text(TEXT_LIMITS.description, 'What it is about.'), status: projectStatus,
  ownerId: id('The user it belongs to.'), namespace: z.string().nullable().describe('Kubernetes namespace bound to it, by an administrator; null for none.'),
  thumbnailUrl: webAddress('Its picture.').nullable(), metadata: anything, seq: z.int().describe('Number of its last change: where a subscription begins.'), ...versioned,
}));

/** A task. */
export const Task = defineEntity('Task', 'Something to be done in a project.', z.object({
  id: id('Its id.'), projectId: id('The project it is in.'), title: line(TEXT_LIMITS.title, 'What is to be done.'), description: text(TEXT_LIMITS.description, 'The details.'), status: taskStatus,
  assignedTo: line(TEXT_LIMITS.label, 'Who or what does it: the name of an agent, a workflow or a team.').nullable(),
  agentId: id('The agent of the project that is called so, where exactly one is.').nullable(), workflowId: id('The workflow of the project that is called so, where exactly one is.').nullable(),
  sprintId: id('The sprint it is in.').nullable(), parentId: id('The task it is a part of.').nullable(), metadata: anything, ...versioned,
}));

/** A sprint. */
export const Sprint = defineEntity('Sprint', 'A stretch of time with a goal.', z.object({
  id: id('Its id.'), projectId: id('The project it is in.'), name: line(TEXT_LIMITS.name, 'Its name.'), goal: text(TEXT_LIMITS.description, 'What is to be reached.'), status: sprintStatus,
  startDate: day('Its first day.').nullable(), endDate: day('Its last day.').nullable(), metadata: anything, ...versioned,
}));

/** A ticket. */
export const Ticket = defineEntity('Ticket', 'Something that somebody reported or asked for.', z.object({
  id: id('Its id.'), projectId: id('The project it is in.'), title: line(TEXT_LIMITS.title, 'What it is about.'), description: text(TEXT_LIMITS.description, 'The details.'), status: ticketStatus,
  priority, type: ticketType, assignee: line(TEXT_LIMITS.label, 'Who sees to it.').nullable(), sprintId: id('The sprint it is in.').nullable(), metadata: anything, ...versioned,
}));

/** A requirement. */
export const Requirement = defineEntity('Requirement', 'Something the project has to reach.', z.object({
  id: id('Its id.'), projectId: id('The project it is in.'), title: line(TEXT_LIMITS.title, 'What is required.'), description: text(TEXT_LIMITS.description, 'The details.'), status: requirementStatus,
  priority, revision: line(32, 'Its revision as people write it: `1.0`.'), metadata: anything, ...versioned,
}));

/** A member. */
export const ProjectMember = defineEntity('ProjectMember', 'Somebody who works on a project.', z.object({
  projectId: id('The project.'), userId: id('The user.'), role: memberRole, displayName: z.string().nullable().describe('Their name; null where they gave none.'), createdAt: time('Since when.'),
}));

/** An invitation. */
export const ProjectInvitation = defineEntity('ProjectInvitation', 'Membership promised to an address: it becomes one when a user takes it who has verified that address.', z.object({
  id: id('Its id.'), projectId: id('The project.'), email: z.string().describe('The address, in lower case.'), role: memberRole,
  createdAt: time('When it was sent.'), expiresAt: time('It is good until then.'), acceptedAt: time('When it was taken; null while it is open.').nullable(),
}));

/** A change. */
export const ProjectChange = defineEntity('ProjectChange', 'Something that changed in a project. Read the entity again: nothing of it stands here.', z.object({
  projectId: id('The project.'), seq: z.int().describe('Rises by one within the project. Begin after it to miss nothing.'), at: time('When.'), kind: changeKind,
  entity: z.string().describe('Name of the type that changed: `Task`.'), entityId: id('Which one.'), principal: z.string().describe('Who did it.'),
}));

type Moment = number | Date;

/** RFC 3339. */
export function timeOf(moment: Moment): string {
  return typeof moment === 'number' ? new Date(moment).toISOString() : moment.toISOString();
}

function dayOf(value: string | Date | null): string | null {
  return value instanceof Date ? value.toISOString().slice(0, 10) : value;
}

interface Versioned { readonly version: number; readonly createdAt: Moment; readonly updatedAt: Moment; readonly deletedAt: Moment | null }

function times({ version, createdAt, updatedAt, deletedAt }: Versioned): { version: number; createdAt: string; updatedAt: string; deletedAt: string | null } {
  return { version, createdAt: timeOf(createdAt), updatedAt: timeOf(updatedAt), deletedAt: deletedAt === null ? null : timeOf(deletedAt) };
}

/** The object in a JSON column; what is none there was none of ours. */
function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** A word of a closed set that a column holds: the migrations and the inputs let nothing else in. */
function word<T extends z.ZodEnum>(schema: T, value: string): z.output<T> {
  const found = schema.options.find((option) => option === value);
  if (found === undefined) throw new TypeError(`a row holds ${value}, which is no word of its column`);
  return found as z.output<T>; // it is one of its options
}

/** A project from its row. */
export function projectOf(row: ProjectRow): EntityValue<typeof Project> {
  const { id: projectId, name, description, status, ownerId, namespace, thumbnailUrl, seq } = row;
  return { id: projectId, name, description, status: word(projectStatus, status), ownerId, namespace, thumbnailUrl, metadata: objectOf(row.metadata), seq, ...times(row) };
}

/** A task from its row. */
export function taskOf(row: TaskRow): EntityValue<typeof Task> {
  const { id: taskId, projectId, title, description, status, assignedTo, agentId, workflowId, sprintId, parentId } = row;
  return { id: taskId, projectId, title, description, status: word(taskStatus, status), assignedTo, agentId, workflowId, sprintId, parentId, metadata: objectOf(row.metadata), ...times(row) };
}

/** A sprint from its row. */
export function sprintOf(row: SprintRow): EntityValue<typeof Sprint> {
  const { id: sprintId, projectId, name, goal, status } = row;
  return { id: sprintId, projectId, name, goal, status: word(sprintStatus, status), startDate: dayOf(row.startDate), endDate: dayOf(row.endDate), metadata: objectOf(row.metadata), ...times(row) };
}

/** A ticket from its row. */
export function ticketOf(row: TicketRow): EntityValue<typeof Ticket> {
  const { id: ticketId, projectId, title, description, assignee, sprintId } = row;
  return {
    id: ticketId, projectId, title, description, status: word(ticketStatus, row.status), priority: word(priority, row.priority), type: word(ticketType, row.type), assignee, sprintId,
    metadata: objectOf(row.metadata), ...times(row),
  };
}

/** A requirement from its row. */
export function requirementOf(row: RequirementRow): EntityValue<typeof Requirement> {
  const { id: requirementId, projectId, title, description, revision } = row;
  return {
    id: requirementId, projectId, title, description, status: word(requirementStatus, row.status), priority: word(priority, row.priority), revision, metadata: objectOf(row.metadata), ...times(row),
  };
}

/** A member from its row. */
export function memberOf({ projectId, userId, role, displayName, createdAt }: MemberRow): EntityValue<typeof ProjectMember> {
  return { projectId, userId, role: word(memberRole, role), displayName, createdAt: timeOf(createdAt) };
}

/** A change from its row. */
export function changeOf({ projectId, seq, at, kind, entity, entityId, principal }: ProjectEventRow): EntityValue<typeof ProjectChange> {
  return { projectId, seq, at: timeOf(at), kind: word(changeKind, kind), entity, entityId, principal };
}

interface InvitationRow { readonly id: string; readonly projectId: string; readonly email: string; readonly role: string; readonly createdAt: Date; readonly expiresAt: Date; readonly acceptedAt: Date | null }

/** An invitation from its row. */
export function invitationOf({ id: invitationId, projectId, email, role, createdAt, expiresAt, acceptedAt }: InvitationRow): EntityValue<typeof ProjectInvitation> {
  return {
    id: invitationId, projectId, email, role: word(memberRole, role), createdAt: timeOf(createdAt), expiresAt: timeOf(expiresAt), acceptedAt: acceptedAt === null ? null : timeOf(acceptedAt),
  };
}
