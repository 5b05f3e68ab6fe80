import { Buffer } from 'node:buffer';
import { z } from 'zod';
import type { FileModel } from '../../prisma/gateway/index.ts';
import { defineEntity } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { anyJson, id, metadata, oneOf, shaped, time } from '../operations/fields.ts';
import { objectIn, timesOf, wordIn } from '../operations/row-values.ts';

/** File or folder. */
export const fileKind = oneOf('FileKind', 'File or folder.', { FILE: 'A file.', FOLDER: 'A folder.' });
/** Which tree of a project. */
export const fileArea = oneOf('FileArea', 'Which tree of a project a file is in.', { FILES: 'Its files.', REQUIREMENTS: 'Its requirement documents.' });
/** How far an upload is. */
export const fileStatus = oneOf('FileStatus', 'How far the content is.', { PENDING: 'An upload is expected.', READY: 'The content is there, and was checked.' });

/** A file or a folder. */
export const File = defineEntity('File', 'A file or a folder of a project. The content is uploaded to and downloaded from the object store, by addresses that are good for minutes.', z.object({
  id: id('Id.'),
  projectId: id('The project.'),
  parentId: id('The folder it is in; null at the top.').nullable(),
  name: z.string().describe('Name, unique in its folder.'),
  kind: fileKind,
  area: fileArea,
  contentType: z.string().describe('Media type, as whoever uploaded it said; null for folders.').nullable(),
  size: shaped(z.number(), { scalar: 'Float', json: { type: 'integer', minimum: 0 } }).describe('Bytes; null for folders.').nullable(),
  sha256: z.string().describe('SHA-256 of the content, in hex; null for folders.').nullable(),
  status: fileStatus,
  metadata: metadata('Whatever else there is to keep.'),
  version: z.int().describe('Counts its changes; give it with a change.'),
  createdAt: time('When it was made.'), updatedAt: time('When it last changed.'), deletedAt: time('When it was deleted; null: it is there.').nullable(),
}));

/** How to upload the content of a file. */
export const FileUpload = defineEntity('FileUpload', 'A file whose content is expected, and the request that uploads it.', z.object({
  id: id('Id of the file.'),
  file: File.schema.describe('The file, PENDING.'),
  method: z.literal('PUT').describe('Method of the request.'),
  url: z.string().describe('Address of the request: a secret, good for minutes.'),
  headers: anyJson('Headers the request must carry, name to value. The store refuses any other content.', 5),
  expiresAt: time('Until when the address is good.'),
}));

/** Where to download a file. */
export const FileDownload = defineEntity('FileDownload', 'Where the content of a file is for some minutes. It comes as an attachment, from another origin than the API.', z.object({
  id: id('Id of the file.'),
  url: z.string().describe('Address: a secret, good for minutes.'),
  expiresAt: time('Until when the address is good.'),
}));

/** A file from its row. Sizes and checksums of an upload that is not complete are what was announced. */
export function fileOf(row: FileModel): EntityValue<typeof File> {
  const { id: fileId, projectId, parentId, name, kind, area, contentType, size, checksum, status } = row;
  return {
    id: fileId, projectId, parentId, name, kind: wordIn(fileKind.options, kind), area: wordIn(fileArea.options, area), contentType, size: size === null ? null : Number(size),
    sha256: checksum === null ? null : Buffer.from(checksum).toString('hex'), status: wordIn(fileStatus.options, status), metadata: objectIn(row.metadata), ...timesOf(row),
  };
}
