import { Fields, isRecord, type Json } from './fields.ts';
import type { AgentRecord, ProjectRecord, Reference, RequirementRecord, SprintRecord, TaskRecord, TicketRecord } from './records.ts';
import { escapeLone, identityOf, nameOf } from './text.ts';

/* One record of the prototype each, in the words of our tables. Nothing here fails: what is missing gets a default, what is not understood stays. */

/** Where a record stands and how it is known. */
export interface Place {
  readonly key: string;
  readonly raw: string;
  readonly notes: readonly string[];
  readonly oldId: string | undefined;
  readonly identity: string;
  /** Old id of the project; empty for none. */
  readonly project: string;
}

/** UTF-16 units of a title at most. */
const TITLE = 500;
const PROJECT_STATUS = { Active: 'ACTIVE', 'On Hold': 'ON_HOLD', Completed: 'COMPLETED', Archived: 'ARCHIVED' } as const;
const SPRINT_STATUS = { Planned: 'PLANNED', Active: 'ACTIVE', Completed: 'COMPLETED' } as const;
const AGENT_STATUS = { Running: 'RUNNING', Idle: 'IDLE', Error: 'ERROR', Stopped: 'STOPPED' } as const;
const TASK_STATUS = { 'To Do': 'TO_DO', 'In Progress': 'IN_PROGRESS', Done: 'DONE', Blocked: 'BLOCKED' } as const;
const TICKET_STATUS = { Open: 'OPEN', 'In Progress': 'IN_PROGRESS', Resolved: 'RESOLVED', Closed: 'CLOSED' } as const;
const PRIORITY = { High: 'HIGH', Medium: 'MEDIUM', Low: 'LOW' } as const;
const TICKET_TYPE = { Bug: 'BUG', 'Feature Request': 'FEATURE_REQUEST', 'Support Request': 'SUPPORT_REQUEST', 'Change Request': 'CHANGE_REQUEST' } as const;
const REQUIREMENT_STATUS = { Draft: 'DRAFT', 'Under Review': 'UNDER_REVIEW', Approved: 'APPROVED', Implemented: 'IMPLEMENTED', Obsolete: 'OBSOLETE', Rejected: 'REJECTED' } as const;

/** A project. */
export function projectRecord(record: Json, place: Place): ProjectRecord {
  const fields = begin(record, place);
  const { project: _project, ...known } = place;
  return {
    kind: 'project', ...known, placeholder: false, name: fields.name('name', 'Untitled project'), description: fields.text('description'),
    status: fields.choice('status', PROJECT_STATUS, 'ACTIVE'), thumbnailUrl: webAddress(fields, 'thumbnailUrl'),
    createdAt: fields.time('createdAt') ?? fields.time('createdDate'), updatedAt: fields.time('lastUpdated'), metadata: fields.rest(),
  };
}

/** A project that only its records name. */
export function placeholderProject(oldId: string): ProjectRecord {
  return {
    kind: 'project', key: 'ramboAgentProjects', raw: '', oldId, identity: identityOf(oldId), placeholder: true, name: nameOf(oldId).trim() === '' ? 'Untitled project' : nameOf(oldId), description: '',
    status: 'ACTIVE', thumbnailUrl: undefined, createdAt: undefined, updatedAt: undefined, metadata: {},
    notes: ['the export has records of this project but not the project itself: it was made for them'],
  };
}

/** A sprint. */
export function sprintRecord(record: Json, place: Place): SprintRecord {
  const fields = begin(record, place);
  return {
    kind: 'sprint', ...within(place), name: fields.name('name', 'Untitled sprint'), goal: fields.text('goal'), status: fields.choice('status', SPRINT_STATUS, 'PLANNED'),
    startDate: fields.day('startDate'), endDate: fields.day('endDate'), metadata: fields.rest(),
  };
}

/** An agent of a project, or a global one. */
export function agentRecord(record: Json, place: Place): AgentRecord {
  const fields = begin(record, place);
  const { project, ...known } = place;
  return {
    kind: 'agent', ...known, project: project === '' ? undefined : identityOf(project), name: fields.name('name', 'Untitled agent'), type: fields.name('type', 'Agent'),
    status: fields.choice('status', AGENT_STATUS, 'IDLE'), capabilities: fields.list('capabilities') ?? [], configuration: fields.object('config') ?? {},
    createdAt: undefined, updatedAt: fields.time('lastActivity'), metadata: fields.rest(),
  };
}

/** A task. What it refers to is looked up by old id when it is written. */
export function taskRecord(record: Json, place: Place): TaskRecord {
  const fields = begin(record, place);
  const assignedTo = fields.name('assignedTo', '');
  const dependencies = fields.peek('dependencies');
  return {
    kind: 'task', ...within(place), title: fields.name(typeof fields.peek('title') === 'string' ? 'title' : 'name', 'Untitled task', TITLE), description: fields.text('description'),
    status: fields.choice('status', TASK_STATUS, 'TO_DO'), assignedTo: assignedTo === '' ? undefined : assignedTo,
    parent: reference(fields, 'parentId', place), sprint: reference(fields, 'sprintId', place),
    dependencies: (Array.isArray(dependencies) ? dependencies : []).flatMap((id: unknown) => (typeof id === 'string' && id !== '' ? [refer(id, place)] : [])),
    createdAt: fields.time('createdAt') ?? fields.time('createdDate'), updatedAt: fields.time('updatedAt') ?? fields.time('lastUpdated'), metadata: fields.rest(),
  };
}

/** A ticket. */
export function ticketRecord(record: Json, place: Place): TicketRecord {
  const fields = begin(record, place);
  const assignee = fields.text('assignee');
  return {
    kind: 'ticket', ...within(place), title: fields.name('title', 'Untitled ticket', TITLE), description: fields.text('description'),
    status: fields.choice('status', TICKET_STATUS, 'OPEN'), priority: fields.choice('priority', PRIORITY, 'MEDIUM'), type: fields.choice('type', TICKET_TYPE, 'SUPPORT_REQUEST'),
    assignee: assignee === '' ? undefined : assignee, sprint: reference(fields, 'sprintId', place),
    createdAt: fields.time('createdDate'), updatedAt: fields.time('updatedDate'), metadata: fields.rest(),
  };
}

/** A requirement out of a document. */
export function requirementRecord(record: Json, place: Place): RequirementRecord {
  const fields = begin(record, place);
  const version = fields.peek('version');
  if (typeof version === 'number') fields.take('version');
  return {
    kind: 'requirement', ...within(place), title: fields.name('title', 'Untitled requirement', TITLE), description: fields.text('description'),
    status: fields.choice('status', REQUIREMENT_STATUS, 'DRAFT'), priority: fields.choice('priority', PRIORITY, 'MEDIUM'),
    revision: typeof version === 'number' ? String(version) : fields.name('version', '1.0'),
    createdAt: fields.time('createdDate'), updatedAt: fields.time('updatedDate'), metadata: fields.rest(),
  };
}

/** Whether a value looks like a requirement: it has a title, and is no file. */
export function isRequirement(value: unknown): value is Json {
  return isRecord(value) && typeof value['title'] === 'string' && value['type'] !== 'file' && value['type'] !== 'folder' && !Object.hasOwn(value, 'name');
}

/** The id and the project of a record are told by its place; where they differ from it they stay. */
function begin(record: Json, { oldId, project }: Place): Fields {
  const fields = new Fields(record);
  if (fields.id('id') === oldId && oldId !== undefined) fields.take('id');
  if (project !== '' && fields.peek('projectId') === project) fields.take('projectId');
  return fields;
}

function within(place: Place): Omit<Place, 'project'> & { readonly project: string } {
  return { ...place, project: identityOf(place.project) };
}

function reference(fields: Fields, name: string, place: Place): Reference | undefined {
  const oldId = fields.id(name);
  if (oldId === undefined) return undefined;
  // Written again where nothing of that id is found.
  fields.take(name);
  return refer(oldId, place);
}

function refer(oldId: string, place: Place): Reference {
  return { oldId: escapeLone(oldId), identity: identityOf(place.project, oldId) };
}

/** Only addresses of pages and pictures: anything else could run where it is shown. */
function webAddress(fields: Fields, name: string): string | undefined {
  const value = fields.peek(name);
  if (typeof value !== 'string' || !/^https?:\/\/[^\s"'<>]{1,2000}$/i.test(value)) return undefined;
  return fields.text(name);
}
