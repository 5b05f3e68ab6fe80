import type { z } from 'zod';
import { id, line, metadata, text, TEXT_LIMITS } from '../operations/fields.ts';
import type { Operation } from '../operations/operation.ts';
import { defined } from '../operations/paging.ts';
import { jsonIn } from '../operations/row-values.ts';
import { commonOperations, ownOperations } from './children.ts';
import type { ChildKind, ChildWrites } from './children.ts';
import { priority, Ticket, ticketOf, ticketStatus, ticketType } from './entities.ts';
import { demandSprint } from './tasks.ts';

/** Tickets, as the operations of all kinds see them. */
export const ticketKind: ChildKind<'ticket', typeof Ticket> = { table: 'ticket', entity: Ticket, plural: 'tickets', resource: 'tickets', toEntity: ticketOf };

const create = {
  title: line(TEXT_LIMITS.title, 'What it is about.'), description: text(TEXT_LIMITS.description, 'The details.').optional(), status: ticketStatus.optional(), priority: priority.optional(),
  type: ticketType.optional(), assignee: line(TEXT_LIMITS.label, 'Who sees to it; null for nobody.').nullable().optional(), sprintId: id('The sprint it is in; null for none.').nullable().optional(),
  metadata: metadata('Whatever else there is to keep, an object.').optional(),
};
const update = { ...create, title: create.title.optional() };
const filters = { status: ticketStatus.optional(), priority: priority.optional() };

const writes: ChildWrites<'ticket', z.output<z.ZodObject<typeof create>>, z.output<z.ZodObject<typeof update>>> = {
  create: async ({ tx, services }, { projectId, title, description, status, priority: weight, type, assignee = null, sprintId = null, metadata: more }, times) => {
    if (sprintId !== null) await demandSprint(tx, projectId, sprintId);
    return tx.ticket.create({ data: {
      id: services.ids.uuid(), projectId, title, description: description ?? '', status: status ?? 'OPEN', priority: weight ?? 'MEDIUM', type: type ?? 'BUG', assignee, sprintId,
      metadata: jsonIn(more ?? {}), ...times,
    } });
  },
  update: async ({ tx }, { id: ticketId, version, metadata: more, ...rest }, row, updatedAt) => {
    if (rest.sprintId != null) await demandSprint(tx, row.projectId, rest.sprintId);
    return tx.ticket.updateManyAndReturn({
      where: { id: ticketId, version, deletedAt: null }, data: { ...defined(rest), ...(more === undefined ? {} : { metadata: jsonIn(more) }), version: { increment: 1 }, updatedAt },
    });
  },
  current: (tx, ticketId) => tx.ticket.findUnique({ where: { id: ticketId }, select: { version: true, deletedAt: true } }),
  bin: (tx, ticketId, deletedAt, updatedAt) => tx.ticket.updateManyAndReturn({
    where: { id: ticketId, deletedAt: deletedAt === null ? { not: null } : null }, data: { deletedAt, updatedAt, version: { increment: 1 } },
  }),
};

/** Operations on tickets. */
export const ticketOperations: readonly Operation[] = [
  ...ownOperations(ticketKind, { filters, create, update, by: (narrowed, projectId) => ({ by: 'projectId', parent: projectId, filters: defined(narrowed) }) }, writes),
  ...commonOperations(ticketKind, writes),
];
