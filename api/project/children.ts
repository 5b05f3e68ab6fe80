import { z } from 'zod';
import type { GatewayDb } from '../../prisma/gateway/index.ts';
import { childrenByIds, listChildren } from '../../prisma/store/index.ts';
import type { ChildFilters, ChildQuery, ChildRow, ChildRows, ChildTable } from '../../prisma/store/index.ts';
import { batched } from '../graphql/context.ts';
import type { Batch } from '../graphql/context.ts';
import { together } from '../graphql/together.ts';
import { page } from '../operations/entity.ts';
import type { Entity, EntityValue, PageValue } from '../operations/entity.ts';
import { id, oneOf, pageFields } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { MutationContext, Operation, OperationContext, Reached } from '../operations/operation.ts';
import { pageInput, pageValue } from '../operations/paging.ts';
import type { PageInput } from '../operations/paging.ts';
import { InvalidInput } from '../operations/problems.ts';
import { changedRow, demandChange, gone, updateKey } from '../operations/rows.ts';
import type { PROJECT_RESOURCES } from '../ports.ts';

/*
 * Tasks, sprints, tickets and requirements are made, read, changed, deleted and restored alike. What differs is the fields:
 * each says them, and writes its own row.
 */

/** What is special about one of them. */
export interface ChildKind<T extends ChildTable, E extends Entity> {
  readonly table: T;
  readonly entity: E;
  /** `task`, `tasks`: names of operations and paths. */
  readonly plural: 'tasks' | 'sprints' | 'tickets' | 'requirements';
  readonly resource: Extract<(typeof PROJECT_RESOURCES)[number], 'tasks' | 'sprints' | 'tickets' | 'requirements'>;
  readonly toEntity: (row: ChildRows[T]) => EntityValue<E>;
}

/** Order of a list. */
export const listOrder = oneOf('ListOrder', 'What a list is ordered by.', { CREATED_AT: 'When it was made.', UPDATED_AT: 'When it last changed.' });
/** Direction of a list. */
export const direction = oneOf('Direction', 'Which end of a list comes first.', { ASC: 'The oldest, or A to Z.', DESC: 'The newest, or Z to A.' });

/** Rows by id, one statement for all that is asked for at once. */
function rowBatch<T extends ChildTable>(table: T): Batch<string, ChildRows[T] | undefined> {
  return {
    name: `${table}-rows`,
    read: ({ services: { db } }, ids) => Promise.all(ids.map((each) => together(db, table, (all) => childrenByIds(db, table, all), each))),
  };
}

/** A row by its id, whoever asks; deleted ones too. */
export function childRow<T extends ChildTable>(context: OperationContext, table: T, rowId: string): Promise<ChildRows[T] | undefined> {
  return batched(context, rowBatch(table), rowId);
}

/** Loads a row and says where it lies; `deleted` looks into the bin instead. */
export function reachChild<T extends ChildTable, E extends Entity>(kind: ChildKind<T, E>, deleted = false): (context: OperationContext, input: { id: string }) => Promise<Reached<ChildRows[T]> | undefined> {
  return async (context, input) => {
    const row = await childRow(context, kind.table, input.id);
    if (row === undefined || (row.deletedAt !== null) !== deleted) return undefined;
    return { target: { kind: 'project', resource: kind.resource, projectId: row.projectId }, row };
  };
}

interface ListInput extends PageInput { readonly orderBy?: 'CREATED_AT' | 'UPDATED_AT' | undefined; readonly direction?: 'ASC' | 'DESC' | undefined }

interface ListKey { readonly query: ChildQuery }

/** One page below one parent; pages of many parents that differ in nothing else share a statement. */
export async function childPage<T extends ChildTable, E extends Entity>(
  context: OperationContext, kind: ChildKind<T, E>, by: ChildQuery['by'], parent: string, filters: ChildFilters, input: ListInput,
): Promise<PageValue<EntityValue<E>>> {
  const order = input.orderBy === 'UPDATED_AT' ? 'updatedAt' : 'createdAt';
  const ascending = input.direction === 'ASC';
  const made = `${kind.table}-${order}-${ascending ? 'asc' : 'desc'}`;
  const place = pageInput(made, input);
  const query = { by, filters, order, ascending, ...place } as const;
  const batch: Batch<ListKey, { readonly rows: readonly ChildRows[T][]; readonly hasMore: boolean }> = {
    name: `${kind.table}-page-${JSON.stringify(query)}`,
    keyText: (key) => key.query.parents.join(),
    read: ({ services }, keys) => listChildren(services.db, kind.table, { ...query, parents: keys.flatMap((key) => key.query.parents) }),
  };
  const { rows, hasMore } = await batched(context, batch, { query: { ...query, parents: [parent] } });
  return pageValue(made, { items: rows.map(kind.toEntity), hasMore }, place.after !== undefined, (item) => placeOf(item, order));
}

const placeSchema = z.object({ id: z.string(), createdAt: z.string(), updatedAt: z.string() });

function placeOf(item: object, order: 'createdAt' | 'updatedAt'): readonly [number, string] {
  const place = placeSchema.parse(item);
  return [Date.parse(place[order]), place.id];
}

/** The writes of one kind, each on its own table. */
export interface ChildWrites<T extends ChildTable, Create, Update> {
  readonly create: (context: MutationContext, input: Create & { projectId: string }, times: { createdAt: Date; updatedAt: Date }) => Promise<ChildRows[T]>;
  /** Compare-and-set: only where version fits and it is not deleted. Returns what was changed. */
  readonly update: (context: MutationContext, input: Update & { id: string; version: number }, row: ChildRows[T], updatedAt: Date) => Promise<readonly ChildRows[T][]>;
  readonly current: (tx: GatewayDb, rowId: string) => Promise<{ version: number; deletedAt: Date | null } | null>;
  /** Sets or clears `deletedAt`, where it is not so yet. */
  readonly bin: (tx: GatewayDb, rowId: string, deletedAt: Date | null, updatedAt: Date) => Promise<readonly ChildRows[T][]>;
}

/** get, delete and restore. */
export function commonOperations<T extends ChildTable, E extends Entity>(kind: ChildKind<T, E>, writes: Pick<ChildWrites<T, object, object>, 'bin'>): readonly Operation[] {
  const { entity, resource, plural, toEntity } = kind;
  const { name } = entity;
  const low = name.toLowerCase();
  const byId = z.strictObject({ id: id(`Which ${low}.`) });
  const [there, binned] = [reachChild(kind), reachChild(kind, true)];
  const bin = async (context: MutationContext, row: ChildRow, deleted: boolean): Promise<EntityValue<E>> => {
    const now = new Date(context.services.clock.now());
    const [changed] = await writes.bin(context.tx, row.id, deleted ? now : null, now);
    if (changed === undefined) throw gone(row.id);
    context.changed({ projectId: row.projectId, kind: deleted ? 'DELETED' : 'RESTORED', entity: name, entityId: row.id });
    return toEntity(changed);
  };
  return [
    defineQuery({
      name: low, summary: `One ${low}.`, rest: { method: 'GET', path: `/${plural}/{id}` }, input: byId, output: entity, right: { verb: 'get', resource, on: 'project' }, covered: true,
      reach: there, run: async (_, _input, row) => toEntity(row),
    }),
    defineMutation({
      name: `delete${name}`, summary: `Deletes a ${low}. It can be restored.`, rest: { method: 'DELETE', path: `/${plural}/{id}` }, input: byId, output: entity, right: { verb: 'delete', resource, on: 'project' },
      reach: there, run: (context, _input, row) => bin(context, row, true),
    }),
    defineMutation({
      name: `restore${name}`, summary: `Takes a ${low} back out of the bin.`, rest: { method: 'POST', path: `/${plural}/{id}/restore` }, input: byId, output: entity, right: { verb: 'delete', resource, on: 'project' },
      reach: binned, run: (context, _input, row) => bin(context, row, false),
    }),
  ];
}

/** list, create and update, of what the kind says itself. */
export function ownOperations<T extends ChildTable, E extends Entity, F extends z.ZodRawShape, C extends z.ZodRawShape, U extends z.ZodRawShape>(
  kind: ChildKind<T, E>,
  fields: { readonly filters: F; readonly create: C; readonly update: U; readonly by: (input: z.output<z.ZodObject<F>>, projectId: string) => { by: ChildQuery['by']; parent: string; filters: ChildFilters } },
  writes: ChildWrites<T, z.output<z.ZodObject<C>>, z.output<z.ZodObject<U>>>,
): readonly Operation[] {
  const { entity, resource, plural, toEntity } = kind;
  const { name } = entity;
  const low = name.toLowerCase();
  const project = { projectId: id('The project.') };
  return [
    defineList({
      name: plural, summary: `${name}s of a project, the newest first where nothing else is said.`, rest: { method: 'GET', path: `/projects/{projectId}/${plural}` },
      input: z.strictObject({ ...project, ...fields.filters, orderBy: listOrder.optional(), direction: direction.optional(), ...pageFields }),
      output: page(entity), right: { verb: 'list', resource, on: 'project' }, covered: true,
      run: (context, input) => {
        const { by, parent, filters } = fields.by(asFields(input), projectIdOf(input));
        demandOrder(asList(input), filters);
        return childPage(context, kind, by, parent, filters, asList(input));
      },
    }),
    defineMutation({
      name: `create${name}`, summary: `Makes a ${low}.`, rest: { method: 'POST', path: `/projects/{projectId}/${plural}`, status: 201 }, input: z.strictObject({ ...project, ...fields.create }), output: entity,
      right: { verb: 'create', resource, on: 'project' },
      run: async (context, input) => {
        const now = new Date(context.services.clock.now());
        const row = await writes.create(context, asFields(input), { createdAt: now, updatedAt: now });
        context.changed({ projectId: row.projectId, kind: 'CREATED', entity: name, entityId: row.id });
        return toEntity(row);
      },
    }),
    defineMutation({
      name: `update${name}`, summary: `Changes a ${low}. What is left out stays as it is.`, rest: { method: 'PATCH', path: `/${plural}/{id}` }, input: z.strictObject({ ...updateKey, ...fields.update }), output: entity,
      right: { verb: 'patch', resource, on: 'project' }, reach: (context, input) => reachChild(kind)(context, asFields(input)),
      run: async (context, input, row) => {
        const change: z.output<z.ZodObject<U>> & { id: string; version: number } = asFields(input);
        demandChange(change);
        const rows = await writes.update(context, change, row, new Date(context.services.clock.now()));
        const changed = await changedRow(name, change, rows, () => writes.current(context.tx, change.id));
        context.changed({ projectId: row.projectId, kind: 'UPDATED', entity: name, entityId: row.id });
        return toEntity(changed);
      },
    }),
  ];
}

/** What lists by update have no index for beside the project is refused. */
function demandOrder(input: ListInput, filters: ChildFilters): void {
  if (input.orderBy !== 'UPDATED_AT' || Object.keys(filters).length === 0) return;
  throw new InvalidInput([{ field: 'orderBy', reason: 'FieldInvalid', value: '"UPDATED_AT"', message: 'goes with no filter: leave the filter out, or order by CREATED_AT' }]);
}

/** The compiler does not follow a shape that is spread into a strict object; zod has checked that it is so. */
function asFields<T>(input: object): T {
  return input as T;
}

function asList(input: object): ListInput {
  return input;
}

function projectIdOf(input: object): string {
  return z.object({ projectId: z.string() }).parse(input).projectId;
}
