import { Buffer } from 'node:buffer';
import { z } from 'zod';
import type { ImportItemModel, ImportModel } from '../../../prisma/gateway/index.ts';
import { defineEntity } from '../../operations/entity.ts';
import type { EntityValue } from '../../operations/entity.ts';
import { id, oneOf, time } from '../../operations/fields.ts';
import { wordIn } from '../../operations/row-values.ts';

/** How far an import is. */
export const importStatus = oneOf('ImportStatus', 'How far an import is.', {
  RUNNING: 'Records are being written; after a crash it goes on by itself.', DONE: 'All records are written or kept.', FAILED: 'Its owner may not import any more; what is not written yet is kept.',
});

/** What became of a record. */
export const importItemStatus = oneOf('ImportItemStatus', 'What became of a record of the prototype.', {
  CREATED: 'A new row.', UPDATED: 'It had changed in the prototype since the import before.', UNCHANGED: 'It was as the import before had left it.',
  DRAFT: 'A workflow that cannot be published yet: its problems say why.', PREFERENCE: 'Kept among the preferences of the profile.', KEPT_RAW: 'It could not be read, or written: the message says why, and the text is kept.',
});
/** One of the statuses of an item. */
export type ItemStatus = z.output<typeof importItemStatus>;

const count = (what: string): z.ZodInt => z.int().describe(what);

/** An import of the prototype's localStorage. */
export const Import = defineEntity('Import', 'An import of what the prototype of RamBo kept in a browser.', z.object({
  id: id('Id.'), ownerId: id('Whose it is.'), status: importStatus,
  total: count('Records of the export.'), done: count('Records that are written or kept so far.'),
  created: count('New rows, drafts among them.'), updated: count('Rows that were changed.'), unchanged: count('Rows that were as the import before had left them.'),
  drafts: count('Workflows that cannot be published yet.'), preferences: count('Keys kept as preferences.'), keptRaw: count('Records that are only kept as text.'),
  createdAt: time('When it began.'), finishedAt: time('When it ended; null while it runs.').nullable(),
}));

const itemFields = {
  importId: id('The import.'), position: z.int().describe('Place in the import, from 0.'), key: z.string().describe('Key of localStorage.'), kind: z.string().describe('What it is: `task`, `file`, `raw`.'),
  oldId: z.string().describe('Its id in the prototype; null where it had none.').nullable(), status: importItemStatus,
  entityId: id('Id of the row it became; null for none.').nullable(), message: z.string().describe('What a person should know of it; null for nothing.').nullable(),
};

/** What became of one record. */
export const ImportItem = defineEntity('ImportItem', 'A record of the prototype, and what became of it.', z.object(itemFields));
/** The same, with the record itself. */
export const ImportedRecord = defineEntity('ImportedRecord', 'A record of the prototype as it was, and what became of it.', z.object({ ...itemFields, raw: z.string().describe('The record as it was stored.') }));

/** Items of imports by their status. */
export type ItemCounts = Readonly<Partial<Record<ItemStatus, number>>>;

/** An import from its row. */
export function importOf({ id: importId, ownerId, status, total, done, createdAt, finishedAt }: Omit<ImportModel, 'source' | 'digest'>, counts: ItemCounts): EntityValue<typeof Import> {
  const of = (name: ItemStatus): number => counts[name] ?? 0;
  return {
    id: importId, ownerId, status: wordIn(importStatus.options, status), total, done, created: of('CREATED') + of('DRAFT'), updated: of('UPDATED'), unchanged: of('UNCHANGED'), drafts: of('DRAFT'),
    preferences: of('PREFERENCE'), keptRaw: of('KEPT_RAW'), createdAt: createdAt.toISOString(), finishedAt: finishedAt?.toISOString() ?? null,
  };
}

/** An item from its row. */
export function itemOf(row: Omit<ImportItemModel, 'raw'>): EntityValue<typeof ImportItem> {
  const { importId, position, key, kind, oldId, status, entityId, message } = row;
  return { importId, position, key, kind, oldId, status: wordIn(importItemStatus.options, status), entityId, message };
}

/** A record from its row. */
export function recordOf(row: ImportItemModel): EntityValue<typeof ImportedRecord> {
  return { ...itemOf(row), raw: Buffer.from(row.raw).toString('utf8') };
}
