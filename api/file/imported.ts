import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { ObjectStore } from '../../platform/objects/index.ts';
import type { GatewayDb } from '../../prisma/gateway/index.ts';
import { jsonIn, objectIn } from '../operations/row-values.ts';
import { projectPrefix } from './names.ts';
import { lockTree } from './tree.ts';

/** Content that is stored already, before the row that names it. */
export interface StoredContent {
  readonly objectKey: string;
  readonly size: bigint;
  readonly checksum: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
}

/** A file or folder as an import brings it; `content` undefined for a folder. */
export interface ImportedFile {
  readonly id: string;
  readonly projectId: string;
  readonly parentId: string | null;
  readonly area: 'FILES' | 'REQUIREMENTS';
  readonly name: string;
  readonly content: StoredContent | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Stores text under a key made of the file's id and the content's checksum: repeated, it writes the same object again. Throws UnavailableError. */
export async function storeText(objects: ObjectStore, projectId: string, fileId: string, text: string, contentType: string): Promise<StoredContent> {
  const bytes = Buffer.from(text, 'utf8');
  const checksum = createHash('sha256').update(bytes).digest();
  const objectKey = `${projectPrefix(projectId)}${fileId}-${checksum.toString('hex').slice(0, 16)}`;
  await objects.put(objectKey, bytes, contentType);
  return { objectKey, size: BigInt(bytes.length), checksum: Uint8Array.from(checksum), contentType };
}

/** Makes or changes a file. A name that is taken in its folder gets a number. Returns the key of content that nothing names any more. */
export async function writeImportedFile(tx: GatewayDb, file: ImportedFile, exists: boolean, times: { readonly createdAt: Date; readonly updatedAt: Date }): Promise<string | undefined> {
  await lockTree(tx, file.projectId);
  const { id, projectId, parentId, area, content } = file;
  const before = exists ? await tx.file.findUnique({ where: { id } }) : null;
  // A change of a file that was deleted or moved here is written where it is now.
  const place = before === null ? { parentId, name: file.name } : { parentId: before.parentId, name: file.name };
  const name = await freeName(tx, { projectId, area, parentId: place.parentId, id }, place.name);
  const data = { name, metadata: jsonIn({ ...objectIn(before?.metadata), ...file.metadata }), ...(content ?? {}), status: 'READY', updatedAt: times.updatedAt };
  if (before === null) await tx.file.create({ data: { id, projectId, parentId, area, kind: content === undefined ? 'FOLDER' : 'FILE', createdAt: times.createdAt, ...data } });
  else await tx.file.update({ where: { id }, data: { ...data, version: { increment: 1 } } });
  return before?.objectKey != null && before.objectKey !== content?.objectKey ? before.objectKey : undefined;
}

async function freeName(tx: GatewayDb, place: { readonly projectId: string; readonly area: string; readonly parentId: string | null; readonly id: string }, wished: string): Promise<string> {
  const { id, ...where } = place;
  for (let n = 1; ; n++) {
    const name = n === 1 ? wished : wished.replace(/(\.[A-Za-z0-9]{1,10})?$/, (end) => ` ${n}${end}`);
    if (await tx.file.findFirst({ where: { ...where, name, deletedAt: null, id: { not: id } }, select: { id: true } }) === null) return name;
  }
}

/** Which of these files are there, deleted ones too. */
export async function filesThere(tx: GatewayDb, ids: readonly string[]): Promise<readonly { readonly id: string; readonly deletedAt: Date | null }[]> {
  return tx.file.findMany({ where: { id: { in: [...ids] } }, select: { id: true, deletedAt: true } });
}
