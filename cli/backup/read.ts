import { createReadStream, existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { errorMessage } from '../../platform/errors/index.ts';
import { CliError } from '../errors.ts';
import { draftOf, remove, sumOf, unpackFiles } from '../io/files.ts';
import { bytesText, type Io } from '../io/io.ts';
import { filesOf, MANIFEST, parseManifest, type BackupFile, type Manifest } from './manifest.ts';

/** A backup whose every file has been found whole. */
export interface Backup {
  readonly manifest: Manifest;
  /** What a file holds, unpacked. */
  open(file: BackupFile): Readable;
  /** Removes what was unpacked to read it. */
  close(): Promise<void>;
}

/**
 * Opens a backup and checks size and SHA-256 of every file. Throws CliError `NotABackup` or `Damaged`, naming the file.
 * An archive is unpacked beside itself, into a folder that `close` removes.
 */
export async function openBackup(io: Io, from: string, unique: string): Promise<Backup> {
  const place = path.resolve(from);
  if (!existsSync(place)) throw new CliError('NotABackup', `${place} does not exist`);
  const archive = !statSync(place).isDirectory();
  const folder = archive ? draftOf(place, unique) : place;
  const close = async (): Promise<void> => { if (archive) await remove(folder); };
  try {
    if (archive) await unpack(place, folder);
    const manifest = await readManifest(folder, place);
    const files = filesOf(manifest);
    io.say(`checking ${files.length} files, ${bytesText(files.reduce((sum, { bytes }) => sum + bytes, 0))}`);
    for (const file of files) await check(folder, file);
    return { manifest, open: ({ file }) => createReadStream(path.join(folder, file)).pipe(createGunzip()), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function unpack(archive: string, folder: string): Promise<void> {
  const input = createReadStream(archive);
  try {
    await unpackFiles(/gz$/.test(archive) ? input.pipe(createGunzip()) : input, folder);
  } catch (error) {
    throw new CliError('Damaged', `${archive} cannot be unpacked: ${errorMessage(error)}`, { cause: error });
  }
}

async function readManifest(folder: string, place: string): Promise<Manifest> {
  const text = await readFile(path.join(folder, MANIFEST), 'utf8').catch(() => undefined);
  if (text === undefined) throw new CliError('NotABackup', `${place} has no ${MANIFEST}: it is no backup, or one that was never finished`);
  return parseManifest(text, place);
}

async function check(folder: string, file: BackupFile): Promise<void> {
  const found = await sumOf(path.join(folder, file.file)).catch(() => undefined);
  if (found === undefined) throw new CliError('Damaged', `${file.file} is missing: take another backup`);
  if (found.bytes !== file.bytes) throw new CliError('Damaged', `${file.file} has ${found.bytes} bytes where the manifest says ${file.bytes}: take another backup`);
  if (found.sha256 !== file.sha256) throw new CliError('Damaged', `${file.file} is not what was written (SHA-256 differs): take another backup`);
}

/** Lines of an unpacked stream. */
export function linesOf(stream: Readable): AsyncIterable<string> {
  return createInterface({ input: stream, crlfDelay: Infinity });
}
