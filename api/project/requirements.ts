import type { z } from 'zod';
import { line, metadata, text, TEXT_LIMITS } from '../operations/fields.ts';
import type { Operation } from '../operations/operation.ts';
import { defined } from '../operations/paging.ts';
import { jsonIn } from '../operations/row-values.ts';
import { commonOperations, ownOperations } from './children.ts';
import type { ChildKind, ChildWrites } from './children.ts';
import { priority, Requirement, requirementOf, requirementStatus } from './entities.ts';

/** Requirements, as the operations of all kinds see them. */
export const requirementKind: ChildKind<'requirement', typeof Requirement> = { table: 'requirement', entity: Requirement, plural: 'requirements', resource: 'requirements', toEntity: requirementOf };

const create = {
  title: line(TEXT_LIMITS.title, 'What is required.'), description: text(TEXT_LIMITS.description, 'The details.').optional(), status: requirementStatus.optional(), priority: priority.optional(),
  revision: line(32, 'Its revision as people write it: `1.0`.').optional(), metadata: metadata('Whatever else there is to keep, an object.').optional(),
};
const update = { ...create, title: create.title.optional() };
const filters = { status: requirementStatus.optional() };

const writes: ChildWrites<'requirement', z.output<z.ZodObject<typeof create>>, z.output<z.ZodObject<typeof update>>> = {
  create: ({ tx, services }, { projectId, title, description, status, priority: weight, revision, metadata: more }, times) => tx.requirement.create({ data: {
    id: services.ids.uuid(), projectId, title, description: description ?? '', status: status ?? 'DRAFT', priority: weight ?? 'MEDIUM', revision: revision ?? '1.0', metadata: jsonIn(more ?? {}), ...times,
  } }),
  update: ({ tx }, { id: requirementId, version, metadata: more, ...rest }, _row, updatedAt) => tx.requirement.updateManyAndReturn({
    where: { id: requirementId, version, deletedAt: null }, data: { ...defined(rest), ...(more === undefined ? {} : { metadata: jsonIn(more) }), version: { increment: 1 }, updatedAt },
  }),
  current: (tx, requirementId) => tx.requirement.findUnique({ where: { id: requirementId }, select: { version: true, deletedAt: true } }),
  bin: (tx, requirementId, deletedAt, updatedAt) => tx.requirement.updateManyAndReturn({
    where: { id: requirementId, deletedAt: deletedAt === null ? { not: null } : null }, data: { deletedAt, updatedAt, version: { increment: 1 } },
  }),
};

/** Operations on requirements. */
export const requirementOperations: readonly Operation[] = [
  ...ownOperations(requirementKind, { filters, create, update, by: (narrowed, projectId) => ({ by: 'projectId', parent: projectId, filters: defined(narrowed) }) }, writes),
  ...commonOperations(requirementKind, writes),
];
