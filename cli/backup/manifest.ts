import { z } from 'zod';
import { CliError } from '../errors.ts';

/** Version of the layout of a backup. A newer one is refused, never guessed at. */
export const FORMAT = 1;
/** Name of the manifest. It is written last: a folder without one is no backup. */
export const MANIFEST = 'manifest.json';

const fileSchema = z.object({
  /** Flat: a backup has no folders inside. */
  file: z.string().regex(/^[A-Za-z0-9_.-]+$/).max(255),
  /** Of the file as it lies there, compressed. */
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** What a backup holds and how to tell that it is whole. */
export const manifestSchema = z.object({
  format: z.int().min(1),
  /** Version of the command line that wrote it. */
  writtenBy: z.string(),
  /** When the snapshot of Postgres was taken, epoch milliseconds and as text. */
  takenAt: z.int(),
  takenAtText: z.string(),
  database: z.object({
    name: z.string(), serverVersion: z.string(), lsn: z.string().optional(),
    migrations: z.array(z.object({ name: z.string(), checksum: z.string() })),
  }),
  /** One file per table: gzip of COPY's text format. */
  tables: z.array(fileSchema.extend({ name: z.string(), columns: z.array(z.string()), rows: z.int().min(0) })),
  /** One file per kind: gzip of one JSON object per line; or why there are none. */
  objects: z.union([z.array(fileSchema.extend({ kind: z.string(), count: z.int().min(0) })), z.object({ skipped: z.string() })]),
  /** Files of the object store. */
  objectStore: z.object({ files: z.array(z.object({ key: z.string(), bytes: z.int(), sha256: z.string() })), reason: z.string().optional() }),
});

/** A backup's table of contents. */
export type Manifest = z.infer<typeof manifestSchema>;
/** One file of a backup. */
export type BackupFile = z.infer<typeof fileSchema>;

/** Outputs of nodes are rows until the semantics issue; logs of nodes are files of the controllers; contents of files of projects are the store's to keep. */
export const OBJECTS_APART = 'the content of files of projects lies in the object store and is not in this backup: the table file names every object with its size and SHA-256';

/** Parses a manifest. Throws CliError `NotABackup` that says what is wrong with it. */
export function parseManifest(text: string, place: string): Manifest {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new CliError('NotABackup', `${place}: ${MANIFEST} is not valid JSON: the backup is damaged`);
  }
  const format = z.looseObject({ format: z.int() }).safeParse(raw);
  if (format.success && format.data.format > FORMAT) {
    throw new CliError('NotABackup', `${place} has format ${format.data.format}, this rambo reads up to ${FORMAT}: use the rambo of the release that wrote it, or a newer one`);
  }
  const parsed = manifestSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CliError('NotABackup', `${place}: ${MANIFEST} cannot be used: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

/** Every file a manifest names. */
export function filesOf(manifest: Manifest): readonly BackupFile[] {
  return [...manifest.tables, ...('skipped' in manifest.objects ? [] : manifest.objects)];
}
