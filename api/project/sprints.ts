import type { z } from 'zod';
import { day, line, metadata, text, TEXT_LIMITS } from '../operations/fields.ts';
import type { Operation } from '../operations/operation.ts';
import { defined } from '../operations/paging.ts';
import { invalidField } from '../operations/problems.ts';
import { jsonIn } from '../operations/row-values.ts';
import { commonOperations, ownOperations } from './children.ts';
import type { ChildKind, ChildWrites } from './children.ts';
import { Sprint, sprintOf, sprintStatus } from './entities.ts';

/** Sprints, as the operations of all kinds see them. */
export const sprintKind: ChildKind<'sprint', typeof Sprint> = { table: 'sprint', entity: Sprint, plural: 'sprints', resource: 'sprints', toEntity: sprintOf };

const create = {
  name: line(TEXT_LIMITS.name, 'Its name.'), goal: text(TEXT_LIMITS.description, 'What is to be reached.').optional(), status: sprintStatus.optional(),
  startDate: day('Its first day; null for none.').nullable().optional(), endDate: day('Its last day; null for none.').nullable().optional(),
  metadata: metadata('Whatever else there is to keep, an object.').optional(),
};
const update = { ...create, name: create.name.optional() };
const filters = { status: sprintStatus.optional() };

const writes: ChildWrites<'sprint', z.output<z.ZodObject<typeof create>>, z.output<z.ZodObject<typeof update>>> = {
  create: ({ tx, services }, { projectId, name, goal, status, startDate, endDate, metadata: more }, times) => {
    demandOrder(startDate, endDate);
    return tx.sprint.create({ data: {
      id: services.ids.uuid(), projectId, name, goal: goal ?? '', status: status ?? 'PLANNED', startDate: dateOf(startDate ?? null), endDate: dateOf(endDate ?? null),
      metadata: jsonIn(more ?? {}), ...times,
    } });
  },
  update: ({ tx }, { id: sprintId, version, metadata: more, startDate, endDate, ...rest }, row, updatedAt) => {
    const now = sprintOf(row);
    demandOrder(startDate === undefined ? now.startDate : startDate, endDate === undefined ? now.endDate : endDate);
    return tx.sprint.updateManyAndReturn({
      where: { id: sprintId, version, deletedAt: null },
      data: {
        ...defined(rest), ...(more === undefined ? {} : { metadata: jsonIn(more) }),
        ...(startDate === undefined ? {} : { startDate: dateOf(startDate) }), ...(endDate === undefined ? {} : { endDate: dateOf(endDate) }), version: { increment: 1 }, updatedAt,
      },
    });
  },
  current: (tx, sprintId) => tx.sprint.findUnique({ where: { id: sprintId }, select: { version: true, deletedAt: true } }),
  bin: (tx, sprintId, deletedAt, updatedAt) => tx.sprint.updateManyAndReturn({
    where: { id: sprintId, deletedAt: deletedAt === null ? { not: null } : null }, data: { deletedAt, updatedAt, version: { increment: 1 } },
  }),
};

function dateOf(text: string | null): Date | null {
  return text === null ? null : new Date(`${text}T00:00:00.000Z`);
}

function demandOrder(start: string | null | undefined, end: string | null | undefined): void {
  if (start == null || end == null || start <= end) return;
  throw invalidField('endDate', end, `lies before startDate ${start}: give a later day`);
}

/** Operations on sprints. */
export const sprintOperations: readonly Operation[] = [
  ...ownOperations(sprintKind, { filters, create, update, by: (narrowed, projectId) => ({ by: 'projectId', parent: projectId, filters: defined(narrowed) }) }, writes),
  ...commonOperations(sprintKind, writes),
];
