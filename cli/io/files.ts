import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import tar from 'tar-stream';

/** A file as it was written. */
export interface Written {
  readonly bytes: number;
  readonly sha256: string;
}

/** Lets bytes through and tells how many. */
function counter(told: (bytes: number) => void): Transform {
  return new Transform({ transform(chunk: Buffer, _, done) {
    told(chunk.byteLength);
    done(null, chunk);
  } });
}

/** Writes a stream compressed, onto the disk for certain; size and SHA-256 are those of the file. `told`: bytes of the input as they pass. */
export async function writeGzip(file: string, input: Readable, told: (bytes: number) => void = () => undefined): Promise<Written> {
  const hash = createHash('sha256');
  let bytes = 0;
  const summed = new Transform({ transform(chunk: Buffer, _, done) {
    hash.update(chunk);
    bytes += chunk.byteLength;
    done(null, chunk);
  } });
  await pipeline(input, counter(told), createGzip({ level: 3 }), summed, createWriteStream(file, { mode: 0o600, flush: true }));
  return { bytes, sha256: hash.digest('hex') };
}

/** SHA-256 and size of a file. Throws when it cannot be read. */
export async function sumOf(file: string): Promise<Written> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file)) {
    const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    hash.update(part);
    bytes += part.byteLength;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Where something is made before it gets its name: beside its target, so that the last step is one rename. */
export function draftOf(target: string, unique: string): string {
  return path.join(path.dirname(target), `.${path.basename(target)}.partial-${unique}`);
}

/** Moves a finished folder or file to its name, and makes that durable. */
export async function publish(draft: string, target: string): Promise<void> {
  await rename(draft, target);
  const folder = await open(path.dirname(target), 'r');
  await folder.sync().catch(() => undefined);
  await folder.close();
}

/** Packs files of a folder, in that order, as one `.tar.gz` or `.tar`. */
export async function packFiles(folder: string, names: readonly string[], target: string, modifiedAt: number): Promise<void> {
  const pack = tar.pack();
  const out = createWriteStream(target, { mode: 0o600, flush: true });
  const done = /gz$/.test(target) ? pipeline(pack, createGzip({ level: 1 }), out) : pipeline(pack, out);
  done.catch(() => undefined);
  for (const name of names) {
    const { size } = await open(path.join(folder, name), 'r').then(async (handle) => {
      const stat = await handle.stat();
      await handle.close();
      return stat;
    });
    const entry = pack.entry({ name, size, mode: 0o600, mtime: new Date(modifiedAt) });
    await pipeline(createReadStream(path.join(folder, name)), entry);
  }
  pack.finalize();
  await done;
}

/** Unpacks an archive into a folder: plain files with flat names only, whatever else it holds is refused. Returns their names. */
export async function unpackFiles(archive: Readable, folder: string): Promise<readonly string[]> {
  const names: string[] = [];
  const extract = tar.extract();
  const reading = pipeline(archive, extract);
  reading.catch(() => undefined);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for await (const entry of extract) {
    const { name, type } = entry.header;
    if (type !== 'file' || !/^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/.test(name)) throw new Error(`the archive holds ${JSON.stringify(name)}, which is no plain file of a backup`);
    await pipeline(entry, createWriteStream(path.join(folder, name), { mode: 0o600 }));
    names.push(name);
  }
  await reading;
  return names;
}

/** Removes a folder or file, if it is there. */
export async function remove(place: string): Promise<void> {
  await rm(place, { recursive: true, force: true });
}
