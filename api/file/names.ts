import { z } from 'zod';

/** UTF-8 bytes of a name at most. */
const NAME_BYTES = 1_024;
/** UTF-16 units of a name at most: a cursor holds one. */
const NAME_LENGTH = 500;
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029/\\]/;

/**
 * A name of a file or folder as callers give it: NFC, so that names that look alike are alike; no separator, no control
 * character, not `.` or `..`. It is only ever shown: keys in the object store are made by us.
 */
export const fileNameSchema = z.string().overwrite((name) => name.normalize('NFC')).min(1).max(NAME_LENGTH)
  .refine((name) => name.isWellFormed() && !FORBIDDEN.test(name), 'holds a slash, a backslash or a control character: leave it out')
  .refine((name) => !/^\s*\.{0,2}\s*$/.test(name), 'is no name: give one that is not blank, not . and not ..')
  .refine((name) => new TextEncoder().encode(name).length <= NAME_BYTES, `is too long: at most ${NAME_BYTES} bytes of UTF-8`)
  .describe('Name, unique in its folder: no slash, at most 1,024 bytes.');

/** Key of a file's content: ids alone, so nothing a person wrote is in it. A key is never used for other content. */
export function objectKey(projectId: string, fileId: string): string {
  return `${projectPrefix(projectId)}${fileId}`;
}

/** What all keys of a project begin with. It ends with a separator: one project's prefix is never the beginning of another's. */
export function projectPrefix(projectId: string): string {
  return `projects/${projectId}/files/`;
}

const PREFIXED = /^projects\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\/files\//;

/** The project whose content a key is; undefined for a key that is none of ours. */
export function projectOfKey(key: string): string | undefined {
  return PREFIXED.exec(key)?.[1];
}
