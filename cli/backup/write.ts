import { existsSync, mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { KubeClient } from '../../platform/kube/client.ts';
import { openSnapshot, type Snapshot, type TableShape } from '../../prisma/backup/index.ts';
import { CliError } from '../errors.ts';
import { crPath, KINDS, listAll, PLURALS, type Plural } from '../io/cluster.ts';
import { draftOf, packFiles, publish, remove, writeGzip } from '../io/files.ts';
import { bytesText, countText, plural as pluralText, type Io } from '../io/io.ts';
import { filesOf, FORMAT, MANIFEST, OBJECTS_APART, type Manifest } from './manifest.ts';

/** What a backup is made of. */
export interface BackupRequest {
  readonly databaseUrl: string;
  /** The API server, or why its objects are left out. */
  readonly cluster: KubeClient | { readonly skipped: string };
  /** A folder, or a file that ends with .tar, .tar.gz or .tgz. Must not exist. */
  readonly out: string;
  readonly version: string;
  /** Unique to this process; names the draft. */
  readonly unique: string;
}

/** How often the progress of a large table is told. */
const TELL_MS = 2_000;

/**
 * Writes a backup: one snapshot of Postgres and our objects of the API server. It is made under another name and gets its own
 * by one rename, when everything is on the disk: what carries the name is whole. Throws CliError; nothing is left then.
 */
export async function writeBackup(io: Io, request: BackupRequest): Promise<Manifest> {
  const out = path.resolve(request.out);
  if (existsSync(out)) throw new CliError('Exists', `${out} exists already: give --out a new name, backups are never overwritten`);
  mkdirSync(path.dirname(out), { recursive: true });
  const draft = draftOf(out, request.unique);
  const packed = `${draft}${archiveEnding(out) ?? ''}`;
  try {
    mkdirSync(draft, { mode: 0o700 });
    const manifest = await collect(io, request, draft);
    await writeFile(path.join(draft, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flush: true });
    if (archiveEnding(out) === undefined) await publish(draft, out);
    else {
      io.say('packing');
      // The manifest comes first: who reads the archive knows at once what must follow.
      await packFiles(draft, [MANIFEST, ...filesOf(manifest).map(({ file }) => file)], packed, manifest.takenAt);
      await publish(packed, out);
    }
    return manifest;
  } finally {
    await remove(draft);
    if (packed !== draft) await remove(packed);
  }
}

/** `.tar.gz`, `.tgz` or `.tar` where the name asks for an archive. */
export function archiveEnding(name: string): string | undefined {
  return /\.(?:tar\.gz|tgz|tar)$/.exec(name)?.[0];
}

async function collect(io: Io, request: BackupRequest, folder: string): Promise<Manifest> {
  const snapshot = await openSnapshot(request.databaseUrl);
  try {
    if (snapshot.migrations.length === 0) throw new CliError('NoSchema', `database ${snapshot.database} holds no RamBo: check --database-url`);
    io.say(`snapshot of database ${snapshot.database} at ${new Date(snapshot.takenAt).toISOString()}: ${pluralText(snapshot.tables.length, 'table')}, ${pluralText(snapshot.migrations.length, 'migration')}`);
    const tables: Manifest['tables'] = [];
    for (const table of snapshot.tables) tables.push(await copyTable(io, snapshot, table, folder));
    const objects = 'skipped' in request.cluster ? { skipped: request.cluster.skipped } : await copyObjects(io, request.cluster, folder);
    if ('skipped' in objects) io.say(`objects of the API server are left out: ${objects.skipped}`);
    const { takenAt, database, serverVersion, lsn, migrations } = snapshot;
    return {
      format: FORMAT, writtenBy: request.version, takenAt, takenAtText: new Date(takenAt).toISOString(),
      database: { name: database, serverVersion, ...(lsn === undefined ? {} : { lsn }), migrations: [...migrations] },
      tables, objects, objectStore: { files: [], reason: OBJECTS_APART },
    };
  } finally {
    await snapshot.close();
  }
}

async function copyTable(io: Io, snapshot: Snapshot, table: TableShape, folder: string): Promise<Manifest['tables'][number]> {
  const file = `table.${table.name}.copy.gz`;
  const { stream, rows } = snapshot.copy(table);
  let passed = 0;
  let toldAt = io.clock.monotonic();
  const written = await writeGzip(path.join(folder, file), stream, (bytes) => {
    passed += bytes;
    if (io.clock.monotonic() - toldAt < TELL_MS) return;
    toldAt = io.clock.monotonic();
    io.say(`  ${table.name}: ${bytesText(passed)} so far`);
  });
  io.say(`  ${table.name}: ${countText(rows())} rows, ${bytesText(written.bytes)}`);
  return { name: table.name, columns: [...table.columns], rows: rows(), file, ...written };
}

/** Taken after the snapshot: a run's object then says at least what its row does, as it does in life. */
async function copyObjects(io: Io, cluster: KubeClient, folder: string): Promise<Exclude<Manifest['objects'], { skipped: string }>> {
  const out: Exclude<Manifest['objects'], { skipped: string }> = [];
  for (const kind of PLURALS) out.push(await copyKind(io, cluster, kind, folder));
  return out;
}

async function copyKind(io: Io, cluster: KubeClient, plural: Plural, folder: string): Promise<Exclude<Manifest['objects'], { skipped: string }>[number]> {
  const file = `objects.${plural}.jsonl.gz`;
  let count = 0;
  const lines = async function* (): AsyncGenerator<string> {
    for await (const object of listAll(cluster, plural, crPath(plural))) {
      count++;
      yield `${JSON.stringify(object)}\n`;
    }
  };
  const written = await writeGzip(path.join(folder, file), Readable.from(lines()));
  io.say(`  ${KINDS[plural]}: ${pluralText(count, 'object')}, ${bytesText(written.bytes)}`);
  return { kind: KINDS[plural], count, file, ...written };
}
