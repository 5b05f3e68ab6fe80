import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { GatewayDb } from '../../../prisma/gateway/index.ts';
import { demand } from '../../auth/can.ts';
import { ApiError } from '../../errors.ts';
import { page } from '../../operations/entity.ts';
import { anyJson, id, pageFields } from '../../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../../operations/operation.ts';
import type { Operation, OperationContext, Reached } from '../../operations/operation.ts';
import { byTime, pageInput, rowsPage } from '../../operations/paging.ts';
import { invalidField } from '../../operations/problems.ts';
import { wordIn } from '../../operations/row-values.ts';
import { newest } from '../../operations/rows.ts';
import { Import, ImportedRecord, ImportItem, importItemStatus, importOf, itemOf, recordOf } from './entities.ts';
import type { ItemCounts } from './entities.ts';
import { parseExport } from './parse.ts';

/** Bytes of an export at most, and of the body that brings it over REST. */
export const EXPORT_LIMIT = 20 * 1_048_576;
/** All columns but the export itself. */
const COLUMNS = { id: true, ownerId: true, status: true, total: true, done: true, createdAt: true, finishedAt: true } as const;
/** Of the advisory lock that lets one import of a person begin at a time. */
const IMPORT_LOCK = 0x69_6d_70_6f; // "impo"

type Row = Parameters<typeof importOf>[0];

function personOf({ principal }: OperationContext): string {
  if (principal.kind !== 'user') throw new ApiError('FORBIDDEN', 'an import belongs to a person: sign in as a user');
  return principal.userId;
}

async function reachImport(context: OperationContext, importId: string): Promise<Reached<Row> | undefined> {
  const row = await context.services.gateway.read((db) => db.import.findUnique({ where: { id: importId }, select: COLUMNS }));
  return row === null ? undefined : { target: { kind: 'user', resource: 'imports', userId: row.ownerId }, row };
}

async function countsOf(db: GatewayDb, ids: readonly string[]): Promise<ReadonlyMap<string, ItemCounts>> {
  const groups = await db.importItem.groupBy({ by: ['importId', 'status'], where: { importId: { in: [...ids] } }, _count: { _all: true } });
  const counts = new Map<string, ItemCounts>();
  for (const { importId, status, _count } of groups) counts.set(importId, { ...counts.get(importId), [wordIn(importItemStatus.options, status)]: _count._all });
  return counts;
}

/** The export as text: as it was sent, or an object written again. Throws BAD_USER_INPUT, PAYLOAD_TOO_LARGE. */
function exportText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value) ?? '';
  if (Buffer.byteLength(text) > EXPORT_LIMIT) throw new ApiError('PAYLOAD_TOO_LARGE', `the export is larger than ${EXPORT_LIMIT / 1_048_576} MiB: import its projects one after the other`);
  if (!isObject(text)) throw invalidField('export', value, 'is no export: give the JSON object that JSON.stringify(localStorage) gives, or its text');
  return text;
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

interface Prepared { readonly text: string; readonly digest: string; readonly total: number }

/** Imports of the prototype. */
export const importOperations: readonly Operation[] = [
  defineMutation({
    name: 'importPrototype', summary: 'Takes over what the prototype of RamBo kept in a browser: JSON.stringify(localStorage).',
    description: 'Answers at once; records are written in the background. Nothing is lost: what cannot be read is kept. A second import changes what has changed in the prototype and makes no duplicates. Exports above 256 kB go over REST.',
    rest: { method: 'POST', path: '/imports', status: 201 }, bodyLimit: EXPORT_LIMIT + 65_536,
    input: z.strictObject({ export: anyJson('The export: an object with the keys of localStorage, or its text.') }), output: Import, right: { verb: 'create', resource: 'imports', on: 'user' },
    effect: async (context, input): Promise<Prepared> => {
      await demand(context.services.can, context.principal, 'create', { kind: 'installation', resource: 'projects' });
      const text = exportText(input.export);
      return { text, digest: createHash('sha256').update(text).digest('hex'), total: parseExport(text).length };
    },
    run: async (context, _input, _row, { text, digest, total }) => {
      const [{ tx, services }, ownerId] = [context, personOf(context)];
      await tx.$queryRaw`SELECT pg_advisory_xact_lock(${IMPORT_LOCK}::int4, hashtext(${ownerId}))::text AS locked`;
      const running = await tx.import.findFirst({ where: { ownerId, status: 'RUNNING' }, select: { ...COLUMNS, digest: true }, orderBy: { createdAt: 'desc' } });
      // The same export again, while it is being imported: that import goes on.
      if (running !== null && running.digest !== digest) throw new ApiError('CONFLICT', `import ${running.id} is still running (${running.done} of ${running.total}): wait for it`);
      const row = running ?? await tx.import.create({
        data: { id: services.ids.uuid(), ownerId, status: 'RUNNING', digest, total, source: Uint8Array.from(Buffer.from(text)), createdAt: new Date(services.clock.now()) }, select: COLUMNS,
      });
      services.imports.wake(row.id);
      return importOf(row, (await countsOf(tx, [row.id])).get(row.id) ?? {});
    },
  }),
  defineQuery({
    name: 'import', summary: 'One import and how far it is.', rest: { method: 'GET', path: '/imports/{id}' }, input: z.strictObject({ id: id('Which import.') }), output: Import,
    right: { verb: 'get', resource: 'imports', on: 'user' }, reach: (context, input) => reachImport(context, input.id),
    run: async ({ services }, _, row) => importOf(row, (await services.gateway.read((db) => countsOf(db, [row.id]))).get(row.id) ?? {}),
  }),
  defineList({
    name: 'imports', summary: 'The caller\'s imports, the newest first.', rest: { method: 'GET', path: '/imports' }, input: z.strictObject(pageFields), output: page(Import),
    right: { verb: 'list', resource: 'imports', on: 'user' },
    run: async (context, input) => {
      const place = pageInput('imports', input);
      const { where: after, ...order } = newest(place);
      return context.services.gateway.read(async (db) => {
        const rows = await db.import.findMany({ ...order, where: { ownerId: personOf(context), ...after }, select: COLUMNS });
        const counts = await countsOf(db, rows.map((row) => row.id));
        return rowsPage('imports', place, rows, (row) => importOf(row, counts.get(row.id) ?? {}), byTime);
      });
    },
  }),
  defineList({
    name: 'importItems', summary: 'Records of an import and what became of them, in their order.', rest: { method: 'GET', path: '/imports/{importId}/items' },
    input: z.strictObject({ importId: id('Which import.'), status: importItemStatus.optional(), ...pageFields }), output: page(ImportItem), right: { verb: 'list', resource: 'imports', on: 'user' },
    reach: (context, input) => reachImport(context, input.importId),
    run: async ({ services }, { importId, status, ...input }) => {
      const place = pageInput('import-items', input);
      const rows = await services.gateway.read((db) => db.importItem.findMany({
        where: { importId, ...(status === undefined ? {} : { status }), ...(place.after === undefined ? {} : { position: { gt: Number(place.after.value) } }) },
        orderBy: { position: 'asc' }, take: place.first + 1, omit: { raw: true },
      }));
      return rowsPage('import-items', place, rows, itemOf, (item) => [item.position, item.importId]);
    },
  }),
  defineQuery({
    name: 'importedRecord', summary: 'One record of an import, as it was in the prototype.', rest: { method: 'GET', path: '/imports/{importId}/items/{position}' },
    input: z.strictObject({ importId: id('Which import.'), position: z.int().min(0).max(2_147_483_647).describe('Place in the import.') }), output: ImportedRecord,
    right: { verb: 'get', resource: 'imports', on: 'user' },
    reach: async (context, { importId, position }) => {
      const reached = await reachImport(context, importId);
      const row = reached === undefined ? null : await context.services.gateway.read((db) => db.importItem.findUnique({ where: { importId_position: { importId, position } } }));
      return reached === undefined || row === null ? undefined : { target: reached.target, row };
    },
    run: async (_, _input, row) => recordOf(row),
  }),
];
