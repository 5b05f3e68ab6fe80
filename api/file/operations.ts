import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { RamboError } from '../../platform/errors/index.ts';
import { UniqueError } from '../../prisma/gateway/index.ts';
import type { FileModel } from '../../prisma/gateway/index.ts';
import { ApiError } from '../errors.ts';
import { page } from '../operations/entity.ts';
import type { EntityValue, PageValue } from '../operations/entity.ts';
import { id, metadata, pageFields, shaped } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { MutationContext, Operation, OperationContext, Reached } from '../operations/operation.ts';
import { pageInput, rowsPage } from '../operations/paging.ts';
import type { PageInput } from '../operations/paging.ts';
import { jsonIn } from '../operations/row-values.ts';
import { changedRow, gone, updateKey } from '../operations/rows.ts';
import { File, fileArea, FileDownload, fileOf, FileUpload } from './entities.ts';
import { fileNameSchema, objectKey } from './names.ts';
import { objectsOf } from './store.ts';
import { binTree, demandFolder, demandRoom, lockTree, restoreTree } from './tree.ts';

/** Bytes of a file at most: one request uploads it. */
export const FILE_LIMIT = 104_857_600;
/** How long addresses for uploads and downloads are good. */
const URL_SECONDS = 900;
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]{1,100}\/[a-z0-9!#$&^_.+-]{1,100}(; ?[a-z0-9-]{1,40}=[A-Za-z0-9._-]{1,80}){0,3}$/i;

const byId = z.strictObject({ id: id('Which one.') });
const placeFields = {
  projectId: id('The project.'), parentId: id('The folder it goes into; null: at the top.').nullable().optional(), area: fileArea.optional(),
  name: fileNameSchema, metadata: metadata('Whatever else there is to keep.').optional(),
};

function reachFile(deleted = false): (context: OperationContext, input: { id: string }) => Promise<Reached<FileModel> | undefined> {
  return async ({ services }, input) => {
    const row = await services.gateway.read((db) => db.file.findUnique({ where: { id: input.id } }));
    if (row === null || (row.deletedAt !== null) !== deleted) return undefined;
    return { target: { kind: 'project', resource: 'files', projectId: row.projectId }, row };
  };
}

/** Says which name is taken; the index decides, so two at once cannot both have it. */
async function named<T>(name: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof UniqueError || isUniqueViolation(error)) throw new ApiError('CONFLICT', `there is something named ${JSON.stringify(name)} in that folder already: choose another name, or delete it`);
    throw error;
  }
}

/** Inside a transaction Prisma's own error comes, not the gateway's. */
function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'P2002' || (error.code === 'P2010' && /23505/.test(error.message)));
}

type PlaceInput = { readonly projectId: string; readonly parentId?: string | null | undefined; readonly area?: 'FILES' | 'REQUIREMENTS' | undefined; readonly name: string; readonly metadata?: Readonly<Record<string, unknown>> | undefined };

async function createRow(context: MutationContext, input: PlaceInput, rest: Pick<FileModel, 'kind' | 'status'> & { contentType?: string; size?: bigint; checksum?: Uint8Array<ArrayBuffer> }): Promise<FileModel> {
  const { projectId, parentId = null, area = 'FILES', name } = input;
  await lockTree(context.tx, projectId);
  await demandFolder(context.tx, { projectId, area }, parentId);
  const [fileId, now] = [context.services.ids.uuid(), new Date(context.services.clock.now())];
  const row = await named(name, () => context.tx.file.create({ data: {
    id: fileId, projectId, parentId, area, name, ...rest, ...(rest.kind === 'FILE' ? { objectKey: objectKey(projectId, fileId) } : {}), metadata: jsonIn(input.metadata ?? {}), createdAt: now, updatedAt: now,
  } }));
  context.changed({ projectId, kind: 'CREATED', entity: 'File', entityId: row.id });
  return row;
}

function keyOf({ objectKey: key }: FileModel): string {
  if (key === null) throw new RamboError('Bug', 'a file has no key');
  return key;
}

async function uploadOf(context: OperationContext, row: FileModel): Promise<EntityValue<typeof FileUpload>> {
  const { size, checksum, contentType } = row;
  const signed = await objectsOf(context).presignPut(keyOf(row), { size: Number(size), sha256: checksum ?? new Uint8Array(32), contentType: contentType ?? 'application/octet-stream', seconds: URL_SECONDS });
  return { id: row.id, file: fileOf(row), ...signed, expiresAt: new Date(context.services.clock.now() + URL_SECONDS * 1_000).toISOString() };
}

/** Compares what lies in the store with what was announced; nothing becomes READY before that. */
async function verify(context: OperationContext, row: FileModel): Promise<void> {
  if (row.kind !== 'FILE') throw new ApiError('CONFLICT', `${row.id} is a folder: it has no content`);
  if (row.status === 'READY') return;
  const found = await objectsOf(context).measure(keyOf(row));
  if (found === undefined) throw new ApiError('CONFLICT', `nothing was uploaded for ${row.id} yet: send the request that createFile gave, then complete it`);
  if (BigInt(found.size) === row.size && Buffer.compare(found.sha256, row.checksum ?? new Uint8Array()) === 0) return;
  throw new ApiError('CONFLICT', `what was uploaded for ${row.id} has ${found.size} bytes and SHA-256 ${Buffer.from(found.sha256).toString('hex')}, which is not what was announced: upload it again`);
}

async function change(context: MutationContext, input: { readonly id: string; readonly version: number }, before: FileModel, data: { readonly name?: string; readonly parentId?: string | null }): Promise<EntityValue<typeof File>> {
  const rows = await named(data.name ?? before.name, () => context.tx.file.updateManyAndReturn({
    where: { id: input.id, version: input.version, deletedAt: null }, data: { ...data, version: { increment: 1 }, updatedAt: new Date(context.services.clock.now()) },
  }));
  const row = await changedRow('File', input, rows, () => context.tx.file.findUnique({ where: { id: input.id }, select: { version: true, deletedAt: true } }));
  context.changed({ projectId: row.projectId, kind: 'UPDATED', entity: 'File', entityId: row.id });
  return fileOf(row);
}

async function bin(context: MutationContext, row: FileModel, deleted: boolean): Promise<EntityValue<typeof File>> {
  const now = new Date(context.services.clock.now());
  await lockTree(context.tx, row.projectId);
  const changed = deleted ? await binTree(context.tx, row, now) : await named(row.name, () => restoreTree(context.tx, row, now));
  if (changed === undefined) throw gone(row.id);
  context.changed({ projectId: row.projectId, kind: deleted ? 'DELETED' : 'RESTORED', entity: 'File', entityId: row.id });
  return fileOf(changed);
}

/** One page of what is in a folder, by name. Rights have been checked. */
export async function filePage({ services }: OperationContext, folder: { readonly projectId: string; readonly area: string; readonly parentId: string | null }, input: PageInput): Promise<PageValue<EntityValue<typeof File>>> {
  const place = pageInput('files', input);
  const rows = await services.gateway.read((db) => db.file.findMany({
    where: { ...folder, deletedAt: null, ...(place.after === undefined ? {} : { name: { gt: String(place.after.value) } }) }, orderBy: { name: 'asc' }, take: place.first + 1,
  }));
  return rowsPage('files', place, rows, fileOf, (item) => [item.name, item.id]);
}

const reads: readonly Operation[] = [
  defineQuery({
    name: 'file', summary: 'One file or folder.', rest: { method: 'GET', path: '/files/{id}' }, input: byId, output: File, right: { verb: 'get', resource: 'files', on: 'project' },
    reach: reachFile(), run: async (_, _input, row) => fileOf(row),
  }),
  defineList({
    name: 'files', summary: 'What is in a folder of a project, by name.', rest: { method: 'GET', path: '/projects/{projectId}/files' },
    input: z.strictObject({ projectId: id('The project.'), area: fileArea.optional(), parentId: id('The folder; left out: the top.').optional(), ...pageFields }),
    output: page(File), right: { verb: 'list', resource: 'files', on: 'project' },
    run: (context, { projectId, area = 'FILES', parentId = null, ...input }) => filePage(context, { projectId, area, parentId }, input),
  }),
  defineQuery({
    name: 'downloadFile', conflicts: true, summary: 'Where to download a file: an address that is good for 15 minutes.', rest: { method: 'GET', path: '/files/{id}/download' }, input: byId, output: FileDownload,
    right: { verb: 'get', resource: 'files', on: 'project' }, reach: reachFile(),
    run: async (context, _, row) => {
      if (row.kind !== 'FILE' || row.status !== 'READY') throw new ApiError('CONFLICT', `${row.id} has no content to download: it is a folder, or its upload is not complete`);
      const url = await objectsOf(context).presignGet(keyOf(row), { filename: row.name, contentType: row.contentType ?? 'application/octet-stream', seconds: URL_SECONDS });
      return { id: row.id, url, expiresAt: new Date(context.services.clock.now() + URL_SECONDS * 1_000).toISOString() };
    },
  }),
];

const writes: readonly Operation[] = [
  defineMutation({
    name: 'createFolder', summary: 'Makes a folder.', rest: { method: 'POST', path: '/projects/{projectId}/folders', status: 201 }, input: z.strictObject(placeFields), output: File,
    right: { verb: 'create', resource: 'files', on: 'project' },
    run: async (context, input) => fileOf(await createRow(context, input, { kind: 'FOLDER', status: 'READY' })),
  }),
  defineMutation({
    name: 'createFile', summary: 'Announces a file and answers with the request that uploads its content.', description: 'Complete it afterwards with completeUpload. An upload that is not complete after a day is dropped.',
    rest: { method: 'POST', path: '/projects/{projectId}/files', status: 201 }, output: FileUpload, right: { verb: 'create', resource: 'files', on: 'project' },
    input: z.strictObject({
      ...placeFields, contentType: z.string().max(250).regex(MEDIA_TYPE, 'is no media type: write it like text/plain').describe('Media type.'),
      size: shaped(z.int().min(0).max(FILE_LIMIT), { scalar: 'Float' }).describe('Bytes, exactly; at most 100 MiB.'),
      sha256: z.string().toLowerCase().regex(/^[0-9a-f]{64}$/, 'is no SHA-256: give 64 hex digits').describe('SHA-256 of the content, in hex. The store refuses other content.'),
    }),
    run: async (context, input) => {
      objectsOf(context);
      const { contentType, size, sha256 } = input;
      const row = await createRow(context, input, { kind: 'FILE', status: 'PENDING', contentType, size: BigInt(size), checksum: Uint8Array.from(Buffer.from(sha256, 'hex')) });
      return uploadOf(context, row);
    },
  }),
  defineMutation({
    name: 'completeUpload', summary: 'Checks that the content of a file was uploaded as announced, and makes the file READY.', description: 'Safe to repeat.', rest: { method: 'POST', path: '/files/{id}/complete' },
    input: byId, output: File, right: { verb: 'create', resource: 'files', on: 'project' }, reach: reachFile(),
    effect: (context, _, row) => verify(context, row),
    run: async (context, { id: fileId }, before) => {
      const [row] = await context.tx.file.updateManyAndReturn({ where: { id: fileId, deletedAt: null, status: 'PENDING' }, data: { status: 'READY', version: { increment: 1 }, updatedAt: new Date(context.services.clock.now()) } });
      if (row !== undefined) context.changed({ projectId: row.projectId, kind: 'UPDATED', entity: 'File', entityId: row.id });
      const now = row ?? await context.tx.file.findUnique({ where: { id: before.id } });
      if (now === null || now.deletedAt !== null) throw gone(fileId);
      return fileOf(now);
    },
  }),
  defineMutation({
    name: 'renameFile', summary: 'Gives a file or folder another name.', rest: { method: 'PATCH', path: '/files/{id}' }, input: z.strictObject({ ...updateKey, name: fileNameSchema }), output: File,
    right: { verb: 'patch', resource: 'files', on: 'project' }, reach: reachFile(),
    run: (context, input, row) => change(context, input, row, { name: input.name }),
  }),
  defineMutation({
    name: 'moveFile', summary: 'Moves a file or folder, with all that is in it, into another folder of its project and area.', rest: { method: 'POST', path: '/files/{id}/move' },
    input: z.strictObject({ ...updateKey, parentId: id('The folder; null: the top.').nullable() }), output: File, right: { verb: 'patch', resource: 'files', on: 'project' }, reach: reachFile(),
    run: async (context, input, row) => {
      await lockTree(context.tx, row.projectId);
      await demandFolder(context.tx, row, input.parentId, row.id);
      await demandRoom(context.tx, row.id, input.parentId);
      return change(context, input, row, { parentId: input.parentId });
    },
  }),
  defineMutation({
    name: 'deleteFile', summary: 'Deletes a file, or a folder with all that is in it.', description: 'It can be restored for 30 days.', rest: { method: 'DELETE', path: '/files/{id}' }, input: byId, output: File,
    right: { verb: 'delete', resource: 'files', on: 'project' }, reach: reachFile(), run: (context, _, row) => bin(context, row, true),
  }),
  defineMutation({
    name: 'restoreFile', summary: 'Takes a file, or a folder with what was deleted with it, back out of the bin.', rest: { method: 'POST', path: '/files/{id}/restore' }, input: byId, output: File,
    right: { verb: 'delete', resource: 'files', on: 'project' }, reach: reachFile(true), run: (context, _, row) => bin(context, row, false),
  }),
];

/** Operations on files and folders. */
export const fileOperations: readonly Operation[] = [...reads, ...writes];
