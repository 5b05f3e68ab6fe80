import { uuids } from './binary.ts';
import { RUN_SUMMARY } from './columns.ts';
import type { Executor, Statement } from './db.ts';
import { clamp, cut, LAST_ID, MOST_ROWS } from './pages.ts';
import type { Page, RunSummary } from './types.ts';

/*
 * Projects and what lies in them, as the API reads them at nearly every request. One prepared statement per table and
 * combination of filters. Several parents share one statement: their pages are cut apart here. Times in epoch milliseconds.
 */

/** A row that entities are made of: of the store with times as numbers, of Prisma with dates. */
type Moment = number | Date;

/** A project. */
export interface ProjectRow {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly status: string;
  readonly ownerId: string;
  readonly namespace: string | null;
  readonly thumbnailUrl: string | null;
  readonly metadata: unknown;
  readonly seq: number;
  readonly version: number;
  readonly createdAt: Moment;
  readonly updatedAt: Moment;
  readonly deletedAt: Moment | null;
}

/** What tasks, sprints, tickets and requirements have alike. */
export interface ChildRow {
  readonly id: string;
  readonly projectId: string;
  readonly metadata: unknown;
  readonly version: number;
  readonly createdAt: Moment;
  readonly updatedAt: Moment;
  readonly deletedAt: Moment | null;
}

/** A task. */
export interface TaskRow extends ChildRow {
  readonly title: string;
  readonly description: string;
  readonly status: string;
  readonly assignedTo: string | null;
  readonly agentId: string | null;
  readonly workflowId: string | null;
  readonly sprintId: string | null;
  readonly parentId: string | null;
}

/** A sprint; days as `2026-01-31`, or dates of Prisma. */
export interface SprintRow extends ChildRow {
  readonly name: string;
  readonly goal: string;
  readonly status: string;
  readonly startDate: string | Date | null;
  readonly endDate: string | Date | null;
}

/** A ticket. */
export interface TicketRow extends ChildRow {
  readonly title: string;
  readonly description: string;
  readonly status: string;
  readonly priority: string;
  readonly type: string;
  readonly assignee: string | null;
  readonly sprintId: string | null;
}

/** A requirement. */
export interface RequirementRow extends ChildRow {
  readonly title: string;
  readonly description: string;
  readonly status: string;
  readonly priority: string;
  readonly revision: string;
}

/** A member with the name people see. */
export interface MemberRow {
  readonly projectId: string;
  readonly userId: string;
  readonly role: string;
  readonly displayName: string | null;
  readonly createdAt: Moment;
}

/** A run of a task, without payloads. */
export interface TaskRunRow extends RunSummary {
  readonly taskId: string;
  /** When it was started for the task; `createdAt` is when it was accepted. */
  readonly linkedAt: number;
}

/** Rows of each table that has a list of its own. */
export interface ChildRows { task: TaskRow; sprint: SprintRow; ticket: TicketRow; requirement: RequirementRow }
/** A table below projects. */
export type ChildTable = keyof ChildRows;

const CHILD = 't.id, t.project_id AS "projectId", t.metadata, t.version, t.created_at AS "createdAt", t.updated_at AS "updatedAt", t.deleted_at AS "deletedAt"';
const COLUMNS: Readonly<Record<ChildTable, string>> = {
  task: `${CHILD}, t.title, t.description, t.status, t.assigned_to AS "assignedTo", t.agent_id AS "agentId", t.workflow_id AS "workflowId", t.sprint_id AS "sprintId", t.parent_id AS "parentId"`,
  sprint: `${CHILD}, t.name, t.goal, t.status, to_char(t.start_date, 'YYYY-MM-DD') AS "startDate", to_char(t.end_date, 'YYYY-MM-DD') AS "endDate"`,
  ticket: `${CHILD}, t.title, t.description, t.status, t.priority, t.type, t.assignee, t.sprint_id AS "sprintId"`,
  requirement: `${CHILD}, t.title, t.description, t.status, t.priority, t.revision`,
};
const PROJECT = `p.id, p.name, p.description, p.status, p.owner_id AS "ownerId", p.namespace, p.thumbnail_url AS "thumbnailUrl", p.metadata, p.seq, p.version,
  p.created_at AS "createdAt", p.updated_at AS "updatedAt", p.deleted_at AS "deletedAt"`;


/** Place of an entry: the value that the list is ordered by, and the id. */
export interface ListCursor { readonly value: number | string; readonly id: string }

/** Columns a list can be narrowed by, as the indexes have them. */
export interface ChildFilters {
  readonly status?: string;
  readonly assignedTo?: string;
  readonly priority?: string;
  readonly sprintId?: string;
  readonly parentId?: string;
  /** Guards a list by sprint or parent: rows of another project are not shown. */
  readonly projectId?: string;
}

/** One list, or the lists of several parents at once. */
export interface ChildQuery {
  /** What `parents` are: projects, sprints or tasks. */
  readonly by: 'projectId' | 'sprintId' | 'parentId';
  readonly parents: readonly string[];
  readonly filters?: ChildFilters;
  readonly order?: 'createdAt' | 'updatedAt';
  /** Oldest first. */
  readonly ascending?: boolean;
  readonly after?: ListCursor;
  readonly first: number;
}

const FILTERS: Readonly<Record<keyof ChildFilters, readonly [column: string, cast: string]>> = {
  status: ['status', 'text'], assignedTo: ['assigned_to', 'text'], priority: ['priority', 'text'],
  sprintId: ['sprint_id', 'uuid'], parentId: ['parent_id', 'uuid'], projectId: ['project_id', 'uuid'],
};
const PARENTS = { projectId: 'project_id', sprintId: 'sprint_id', parentId: 'parent_id' } as const;
const ORDERS = { createdAt: 'created_at', updatedAt: 'updated_at' } as const;

/** Entries below each parent, in the order of the parents. Deleted ones are left out. */
export async function listChildren<T extends ChildTable>(db: Executor, table: T, query: ChildQuery): Promise<readonly Page<ChildRows[T]>[]> {
  const limit = clamp(query.first);
  const filters = Object.entries(FILTERS).flatMap(([name, filter]) => {
    const value: unknown = Reflect.get(query.filters ?? {}, name);
    return typeof value === 'string' ? [{ filter, value }] : [];
  });
  const values: unknown[] = [uuids(query.parents, (id) => id), limit + 1, ...filters.map(({ value }) => value)];
  if (query.after !== undefined) values.push(momentOf(query.after), query.after.id);
  const rows = await db.query<ChildRows[T] & { readonly up: number }>(childStatement(table, query, filters.map(({ filter }) => filter)), values);
  const found = Map.groupBy(rows, (row) => row.up);
  return query.parents.map((_, index) => cut(found.get(index + 1) ?? [], limit));
}

function childStatement(table: ChildTable, query: ChildQuery, filters: readonly (readonly [string, string])[]): Statement {
  const { by, after, order = 'createdAt', ascending = false } = query;
  const column = ORDERS[order];
  const direction = ascending ? 'ASC' : 'DESC';
  const tests = [`t.${PARENTS[by]} = parent.id`, 't.deleted_at IS NULL', ...filters.map(([name, cast], index) => `t.${name} = $${index + 3}::${cast}`)];
  const next = filters.length + 3;
  if (after !== undefined) tests.push(`(t.${column}, t.id) ${ascending ? '>' : '<'} ($${next}::timestamptz, $${next + 1}::uuid)`);
  return {
    name: [`${table}-list`, by, order, direction, ...filters.map(([name]) => name), ...(after === undefined ? [] : ['after'])].join('-'),
    text: `SELECT parent.up::int4 AS up, page.* FROM unnest($1::uuid[]) WITH ORDINALITY AS parent(id, up) CROSS JOIN LATERAL (
    SELECT ${COLUMNS[table]} FROM ${table} t WHERE ${tests.join(' AND ')} ORDER BY t.${column} ${direction}, t.id ${direction} LIMIT $2::int4) page`,
  };
}

/** Rows by their ids, deleted ones too, in no order; absent ones are left out. */
export async function childrenByIds<T extends ChildTable>(db: Executor, table: T, ids: readonly string[]): Promise<readonly ChildRows[T][]> {
  return db.query<ChildRows[T]>({ name: `${table}-by-ids`, text: `SELECT ${COLUMNS[table]} FROM ${table} t WHERE t.id = ANY ($1::uuid[])` }, [uuids(ids.slice(0, MOST_ROWS), (id) => id)]);
}

const PROJECTS_BY_IDS: Statement = { name: 'projects-by-ids', text: `SELECT ${PROJECT} FROM project p WHERE p.id = ANY ($1::uuid[])` };

/** Projects by their ids, deleted ones too, in no order. */
export async function projectsByIds(db: Executor, ids: readonly string[]): Promise<readonly ProjectRow[]> {
  return db.query<ProjectRow>(PROJECTS_BY_IDS, [uuids(ids.slice(0, MOST_ROWS), (id) => id)]);
}

/** Which projects to list. */
export interface ProjectQuery {
  /** Those this user owns or is a member of; undefined: all. */
  readonly userId?: string;
  readonly status?: string;
  readonly namespace?: string;
  readonly order?: 'createdAt' | 'name';
  readonly ascending?: boolean;
  readonly after?: ListCursor;
  readonly first: number;
}

/** Projects in an order, deleted ones left out. */
export async function listProjects(db: Executor, query: ProjectQuery): Promise<Page<ProjectRow>> {
  const limit = clamp(query.first);
  const values: unknown[] = [limit + 1];
  const tests = ['p.deleted_at IS NULL'];
  const name = ['projects-list'];
  const add = (label: string, test: (place: string) => string, value: unknown): void => {
    values.push(value);
    tests.push(test(`$${values.length}`));
    name.push(label);
  };
  if (query.status !== undefined) add('status', (place) => `p.status = ${place}::text`, query.status);
  if (query.namespace !== undefined) add('namespace', (place) => `p.namespace = ${place}::text`, query.namespace);
  const column = query.order === 'name' ? 'name' : 'created_at';
  const alias = query.order === 'name' ? 'name' : '"createdAt"';
  const direction = query.ascending === true ? 'ASC' : 'DESC';
  if (query.after !== undefined) {
    const value = query.order === 'name' ? query.after.value : momentOf(query.after);
    add('after', (place) => `(p.${column}, p.id) ${query.ascending === true ? '>' : '<'} (${place}::${query.order === 'name' ? 'text' : 'timestamptz'}, $${values.length + 1}::uuid)`, value);
    values.push(query.after.id);
  }
  const tail = (prefix: string, by: string): string => `ORDER BY ${prefix}${by} ${direction}, ${prefix}id ${direction} LIMIT $1::int4`;
  const where = tests.join(' AND ');
  const inner = `${where} ${tail('p.', column)}`;
  const user = values.length + 1;
  const text = query.userId === undefined
    ? `SELECT ${PROJECT} FROM project p WHERE ${inner}`
    : `SELECT mine.* FROM ((SELECT ${PROJECT} FROM project p WHERE p.owner_id = $${user}::uuid AND ${inner}) UNION ALL
      (SELECT ${PROJECT} FROM project_member m JOIN project p ON p.id = m.project_id WHERE m.user_id = $${user}::uuid AND p.owner_id <> m.user_id AND ${inner})) mine ${tail('mine.', alias)}`;
  name.push(column, direction, query.userId === undefined ? 'all' : 'mine');
  if (query.userId !== undefined) values.push(query.userId);
  return cut(await db.query<ProjectRow>({ name: name.join('-'), text }, values), limit);
}

const MEMBERS: Statement = {
  name: 'members-list',
  text: `SELECT parent.up::int4 AS up, page.* FROM unnest($1::uuid[]) WITH ORDINALITY AS parent(id, up) CROSS JOIN LATERAL (
    SELECT m.project_id AS "projectId", m.user_id AS "userId", m.role, m.created_at AS "createdAt", f.display_name AS "displayName"
    FROM project_member m LEFT JOIN profile f ON f.user_id = m.user_id
    WHERE m.project_id = parent.id AND m.user_id > $3::uuid ORDER BY m.user_id LIMIT $2::int4) page`,
};
const NO_ID = '00000000-0000-0000-0000-000000000000';

/** Members of each project by user id, from above `after`. */
export async function listMembers(db: Executor, projectIds: readonly string[], after: string | undefined, first: number): Promise<readonly Page<MemberRow>[]> {
  const limit = clamp(first);
  const rows = await db.query<MemberRow & { readonly up: number }>(MEMBERS, [uuids(projectIds, (id) => id), limit + 1, after ?? NO_ID]);
  const found = Map.groupBy(rows, (row) => row.up);
  return projectIds.map((_, index) => cut(found.get(index + 1) ?? [], limit));
}

const TASK_RUNS: Statement = {
  name: 'task-runs',
  text: `SELECT parent.up::int4 AS up, page.* FROM unnest($1::uuid[]) WITH ORDINALITY AS parent(id, up) CROSS JOIN LATERAL (
    SELECT l.task_id AS "taskId", l.created_at AS "linkedAt", ${RUN_SUMMARY} FROM task_run l JOIN run r ON r.id = l.run_id
    WHERE l.task_id = parent.id AND (l.created_at, l.run_id) < ($3::timestamptz, $4::uuid) ORDER BY l.created_at DESC, l.run_id DESC LIMIT $2::int4) page`,
};

/** Runs of each task, the newest first; those that are gone are left out. */
export async function listTaskRuns(db: Executor, taskIds: readonly string[], after: ListCursor | undefined, first: number): Promise<readonly Page<TaskRunRow>[]> {
  const limit = clamp(first);
  const rows = await db.query<TaskRunRow & { readonly up: number }>(TASK_RUNS, [
    uuids(taskIds, (id) => id), limit + 1, after === undefined ? 'infinity' : momentOf(after), after?.id ?? LAST_ID,
  ]);
  const found = Map.groupBy(rows, (row) => row.up);
  return taskIds.map((_, index) => cut(found.get(index + 1) ?? [], limit));
}

/** One line of what changed in a project. */
export interface ProjectEventRow {
  readonly projectId: string;
  readonly seq: number;
  readonly at: number;
  readonly kind: string;
  readonly entity: string;
  readonly entityId: string;
  readonly principal: string;
}

const EVENTS: Statement = {
  name: 'project-events',
  text: `SELECT e.project_id AS "projectId", e.seq, e.at, e.kind, e.entity, e.entity_id AS "entityId", e.principal FROM project_event e
  WHERE e.project_id = $1::uuid AND e.seq > $2::int4 ORDER BY e.seq LIMIT $3::int4`,
};

/** Changes of a project from above `afterSeq`, the oldest first. */
export async function listProjectEvents(db: Executor, projectId: string, afterSeq: number, first: number): Promise<Page<ProjectEventRow>> {
  const limit = clamp(first);
  return cut(await db.query<ProjectEventRow>(EVENTS, [projectId, afterSeq, limit + 1]), limit);
}

function momentOf({ value }: ListCursor): string {
  return new Date(value).toISOString();
}
