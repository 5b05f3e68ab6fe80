import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Which attempt a log belongs to. */
export interface LogOf {
  readonly run: string;
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
}

/** Logs of attempts, behind one interface: files now, chunks in the object store later. */
export interface LogStore {
  /** Adds text that starts at `offset` (bytes since the attempt began); a repeated piece changes nothing. */
  append(of: LogOf, offset: number, text: string): Promise<void>;
  /** Reads up to `limit` bytes from `offset`; what is older than the kept part is skipped. */
  read(of: LogOf, offset: number, limit: number): Promise<{ readonly text: string; readonly next: number }>;
}

/** Bytes of a character in UTF-8 at most. */
const LONGEST_CHARACTER = 4;

/** The last so many bytes of an attempt's log are kept. */
export const LOG_KEPT_BYTES = 1_048_576;

/**
 * One file per attempt, with the offset of its first byte in a sibling file once the beginning was cut off. File names
 * are hashes of our own: nothing a user named becomes a path.
 */
export class LogFiles implements LogStore {
  readonly #dir: string;
  /** One writer per file at a time: pieces of one attempt arrive in order and must not overtake each other. */
  readonly #queues = new Map<string, Promise<void>>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  append(of: LogOf, offset: number, text: string): Promise<void> {
    const path = this.#path(of);
    const before = this.#queues.get(path) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(() => this.#write(path, offset, Buffer.from(text)));
    const queued = mine.finally(() => { if (this.#queues.get(path) === queued) this.#queues.delete(path); });
    this.#queues.set(path, queued);
    return queued;
  }

  async read(of: LogOf, offset: number, limit: number): Promise<{ text: string; next: number }> {
    const path = this.#path(of);
    await this.#queues.get(path);
    const start = await firstOffset(path);
    const from = Math.max(offset, start);
    const file = await open(path, 'r').catch(notThere);
    if (file === undefined) return { text: '', next: offset };
    try {
      const buffer = Buffer.alloc(Math.max(limit, LONGEST_CHARACTER));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, from - start);
      const whole = wholeCharacters(buffer.subarray(0, bytesRead), limit);
      return { text: whole.toString('utf8'), next: from + whole.length };
    } finally {
      await file.close();
    }
  }

  #path(of: LogOf): string {
    const name = createHash('sha256').update(`${of.node}/${of.item}/${of.attempt}`).digest('hex').slice(0, 32);
    const run = createHash('sha256').update(of.run).digest('hex').slice(0, 32);
    return join(this.#dir, run.slice(0, 2), run, name);
  }

  async #write(path: string, offset: number, piece: Buffer): Promise<void> {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    const start = await firstOffset(path);
    const size = (await stat(path).catch(notThere))?.size ?? 0;
    const end = start + size;
    const fresh = piece.subarray(Math.max(0, end - offset));
    if (fresh.length === 0) return;
    // What came before went to the run's former owner: say that it is not here, or every later offset would be wrong.
    if (size === 0 && offset > start) await writeOffset(path, offset);
    const file = await open(path, 'a', 0o600);
    try {
      await file.write(fresh);
    } finally {
      await file.close();
    }
    if (size + fresh.length > 2 * LOG_KEPT_BYTES) await cut(path, start);
  }
}

/** Keeps the last part. The offset is written first: after a crash between the two a reader sees a gap, never wrong text. */
async function cut(path: string, start: number): Promise<void> {
  const whole = await readFile(path);
  const kept = whole.subarray(whole.length - LOG_KEPT_BYTES);
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  await file.write(kept);
  await file.close();
  await writeOffset(path, start + whole.length - kept.length);
  await rename(temporary, path);
}

async function writeOffset(path: string, offset: number): Promise<void> {
  const file = await open(`${path}.offset`, 'w', 0o600);
  await file.write(String(offset));
  await file.close();
}

async function firstOffset(path: string): Promise<number> {
  const text = await readFile(`${path}.offset`, 'utf8').catch(notThere);
  return text === undefined ? 0 : Number(text);
}

/** The first `limit` bytes. A read may end in the middle of a character: its first bytes are left for the next read, unless it is all there is. */
function wholeCharacters(bytes: Buffer, limit: number): Buffer {
  const read = bytes.subarray(0, limit);
  for (let back = 1; back <= Math.min(LONGEST_CHARACTER, read.length); back++) {
    const byte = read[read.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const need = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    if (need <= back) return read;
    return read.length > back ? read.subarray(0, read.length - back) : bytes.subarray(0, need);
  }
  return read;
}

/** What fits into one message of NATS beside its envelope. */
const MOST_REPLY_BYTES = 1_000_000;

/**
 * A read whose answer fits into a message: a program may print bytes that take six times their length as JSON. Less than
 * `limit` comes then, and the reader goes on from `next`.
 */
export async function readFitting(logs: Pick<LogStore, 'read'>, of: LogOf, offset: number, limit: number): Promise<{ readonly text: string; readonly next: number }> {
  for (let most = limit; ; most = Math.ceil(most / 2)) {
    const part = await logs.read(of, offset, most);
    if (most === 1 || Buffer.byteLength(JSON.stringify(part.text)) <= MOST_REPLY_BYTES) return part;
  }
}

function notThere(error: unknown): undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}

/** Deletes the logs of a run. */
export async function removeLogs(dir: string, run: string): Promise<void> {
  const name = createHash('sha256').update(run).digest('hex').slice(0, 32);
  await rm(join(dir, name.slice(0, 2), name), { recursive: true, force: true });
}
