import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { doubling, sleep, type Clock, type TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage, RamboError } from '../../platform/errors/index.ts';
import { isGone } from '../../platform/kube/errors.ts';
import type { KubeRequest } from '../../platform/kube/client.ts';
import { lines } from './lines.ts';

/** The metadata every object has. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** An object of the API server, not looked into beyond its metadata. */
export interface KubeObject {
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** Told of every change in order. What a handler throws is logged with the object's name, and the next object goes on. */
export interface ReflectorHandler {
  changed(object: KubeObject, before: KubeObject | undefined): void;
  deleted(last: KubeObject): void;
  /** Everything that exists has been told; again after every relist. */
  synced(): void;
}

/** The API server, as far as the reflector goes. */
export interface WatchClient {
  json(request: KubeRequest): Promise<unknown>;
  stream(request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage>;
}

/** What a reflector is made of. */
export interface ReflectorParts {
  readonly client: WatchClient;
  readonly path: string;
  readonly resource: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly handler: ReflectorHandler;
  readonly clock: Clock;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
  readonly log: { info(facts: object, message: string): void; warn(facts: object, message: string): void; error(facts: object, message: string): void };
  readonly observe?: { event(): void; relist(): void; stall(): void };
  /** Without any event or bookmark for so long the watch is opened anew, from where it was. */
  readonly stallMs?: number;
  /** The list is read anew after so long, give or take a fifth: what a watch lost on its way comes to light then. */
  readonly resyncMs?: number;
}

const metaSchema = z.object({
  name: z.string(), namespace: z.string().optional(), uid: z.string().default(''), resourceVersion: z.string(),
}).loose();
const objectSchema = z.object({ metadata: metaSchema }).loose();
const eventSchema = z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']), object: z.record(z.string(), z.unknown()) });
const listSchema = z.object({ metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }), items: z.array(objectSchema) });

const PAGE = '500';
/** Below a minute, although bookmarks come once a minute: a watch that is open and dead is noticed by then, and asking again is cheap. */
const STALL_MS = 55_000;
const RESYNC_MS = 600_000;
/** Watches begin at most so often: a server that takes each and ends it at once must not keep us busy. */
const SHORT_MS = 1_000;
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5_000;

/** The list has to be read again: the server forgot our version, or sent something that cannot be read. */
class Relist extends RamboError {}

/**
 * Keeps a copy of all objects of one kind and tells of every change.
 *
 *   list (pages of 500) -> watch from its version -> reconnect from the last version seen (bookmarks move it)
 *        ^                                               |
 *        +---- 410 Gone, unreadable line, 10 minutes ----+
 *
 * A relist compares uids: an object that was deleted and made anew in between is told as deleted, then as new.
 */
export class Reflector {
  readonly #p: ReflectorParts;
  readonly #objects = new Map<string, KubeObject>();
  #version = '';
  #failures = 0;
  #resyncAt = 0;
  #opened = -SHORT_MS;
  #abort: AbortController | undefined;
  #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(parts: ReflectorParts) {
    this.#p = parts;
  }

  /** An object by `namespace/name` (or `name`), as last seen; frozen. */
  get(key: string): KubeObject | undefined { return this.#objects.get(key); }
  values(): IterableIterator<KubeObject> { return this.#objects.values(); }
  get size(): number { return this.#objects.size; }

  /** Starts; resolves after the first list. Errors before it are retried like all others. */
  start(): Promise<void> {
    return new Promise((resolve) => { this.#running = this.#run(resolve); });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#abort?.abort();
    await this.#running;
  }

  async #run(firstSync: () => void): Promise<void> {
    let listed = false;
    while (!this.#stopping.signal.aborted) {
      try {
        if (!listed) await this.#list();
        listed = true;
        firstSync();
        await this.#watch();
        await this.#spaced(0);
      } catch (error) {
        if (this.#stopping.signal.aborted) break;
        if (error instanceof Relist || isGone(error)) listed = false;
        await this.#backOff(error);
      }
      if (this.#p.clock.monotonic() >= this.#resyncAt) listed = false;
    }
    firstSync();
  }

  async #backOff(error: unknown): Promise<void> {
    this.#failures++;
    const ceiling = doubling(BACKOFF_MIN_MS, BACKOFF_MAX_MS, this.#failures - 1);
    if (this.#failures > 1) this.#p.log.warn({ resource: this.#p.resource, err: errorMessage(error), failures: this.#failures }, 'watch interrupted');
    await this.#spaced(ceiling / 2 + (ceiling / 2) * this.#p.random());
  }

  /** Waits for so long, and until it is time for another watch. */
  async #spaced(ms: number): Promise<void> {
    const wait = Math.max(ms, this.#opened + SHORT_MS - this.#p.clock.monotonic());
    if (wait > 0) await sleep(this.#p.clock, wait, this.#stopping.signal);
  }

  async #list(): Promise<void> {
    if (this.#version !== '') this.#p.observe?.relist();
    const found = new Map<string, KubeObject>();
    let page = '';
    let version = '';
    do {
      const query = { limit: PAGE, ...this.#selector(), ...(page === '' ? {} : { continue: page }) };
      const list = listSchema.parse(await this.#p.client.json({ verb: 'list', resource: this.#p.resource, path: this.#p.path, query }));
      for (const object of list.items) found.set(keyOf(object), object);
      page = list.metadata.continue ?? '';
      version = list.metadata.resourceVersion;
    } while (page !== '' && !this.#stopping.signal.aborted);
    this.#version = version;
    this.#resyncAt = this.#p.clock.monotonic() + (this.#p.resyncMs ?? RESYNC_MS) * (0.8 + 0.4 * this.#p.random());
    this.#replace(found);
  }

  #replace(found: ReadonlyMap<string, KubeObject>): void {
    for (const [key, before] of [...this.#objects]) {
      const now = found.get(key);
      if (now === undefined || now.metadata.uid !== before.metadata.uid) this.#delete(key, before);
    }
    for (const [key, object] of found) {
      if (this.#objects.get(key)?.metadata.resourceVersion !== object.metadata.resourceVersion) this.#upsert(key, object);
    }
    this.#guard(undefined, () => { this.#p.handler.synced(); });
  }

  async #watch(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const timeout = Math.round(300 + 300 * this.#p.random());
    const query = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion: this.#version, timeoutSeconds: String(timeout), ...this.#selector() };
    const resync = this.#p.clock.after(this.#resyncAt - this.#p.clock.monotonic(), () => { abort.abort(); });
    let stall = this.#armStall(abort);
    try {
      const response = await this.#p.client.stream({ verb: 'watch', resource: this.#p.resource, path: this.#p.path, query }, abort.signal);
      this.#failures = 0;
      this.#opened = this.#p.clock.monotonic();
      for await (const line of lines(response)) {
        stall.cancel();
        stall = this.#armStall(abort);
        this.#line(line);
      }
      if (!response.complete) throw new RamboError('WatchCut', 'the watch was cut');
    } finally {
      stall.cancel();
      resync.cancel();
      abort.abort();
    }
  }

  #armStall(abort: AbortController): TimerHandle {
    return this.#p.clock.after(this.#p.stallMs ?? STALL_MS, () => {
      this.#p.observe?.stall();
      abort.abort();
    });
  }

  #line(line: string): void {
    if (line.trim() === '') return;
    const event = readEvent(line);
    if (event.type === 'ERROR') throw new Relist('WatchError', `the watch of ${this.#p.resource} ended: ${JSON.stringify(event.object).slice(0, 200)}`);
    const parsed = objectSchema.safeParse(event.object);
    if (!parsed.success && event.type === 'BOOKMARK') {
      const version = z.object({ metadata: z.object({ resourceVersion: z.string() }) }).safeParse(event.object);
      if (version.success) this.#version = version.data.metadata.resourceVersion;
      return;
    }
    if (!parsed.success) throw new Relist('WatchUnreadable', `the watch of ${this.#p.resource} sent an object without metadata`);
    const object = parsed.data;
    this.#version = object.metadata.resourceVersion;
    if (event.type === 'BOOKMARK') return;
    this.#p.observe?.event();
    this.#apply(event.type, object);
  }

  #apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (type === 'DELETED') {
      if (before !== undefined) this.#delete(key, object);
      return;
    }
    if (before !== undefined && before.metadata.uid !== object.metadata.uid) this.#delete(key, before);
    this.#upsert(key, object);
  }

  #upsert(key: string, object: KubeObject): void {
    const before = this.#objects.get(key);
    const frozen = Object.freeze(object);
    this.#objects.set(key, frozen);
    this.#guard(key, () => { this.#p.handler.changed(frozen, before); });
  }

  #delete(key: string, last: KubeObject): void {
    this.#objects.delete(key);
    this.#guard(key, () => { this.#p.handler.deleted(last); });
  }

  #guard(key: string | undefined, tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#p.log.error({ resource: this.#p.resource, key, err: error }, 'a handler failed on an object');
    }
  }

  #selector(): Record<string, string> {
    const { labelSelector, fieldSelector } = this.#p;
    return { ...(labelSelector === undefined ? {} : { labelSelector }), ...(fieldSelector === undefined ? {} : { fieldSelector }) };
  }
}

function readEvent(line: string): z.infer<typeof eventSchema> {
  try {
    return eventSchema.parse(JSON.parse(line));
  } catch (error) {
    throw new Relist('WatchUnreadable', 'the watch sent a line that cannot be read', { cause: error });
  }
}

/** `namespace/name`, or the name of a cluster-scoped object. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}
