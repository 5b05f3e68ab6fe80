import { Reflector, type KubeObject, type ReflectorHandler, type ReflectorParts } from './reflector.ts';

/** A kept copy of all objects of one kind, from one watch or several. */
export interface Watched {
  /** An object by `namespace/name`, as last seen; frozen. */
  get(key: string): KubeObject | undefined;
  values(): IterableIterator<KubeObject>;
  /** Resolves after the first list. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What is watched, wherever it is. */
export type WatchedParts = Omit<ReflectorParts, 'path'>;

/** Watches one kind: everywhere with one reflector, or with one for each of `namespaces`. */
export function watch(parts: WatchedParts, path: (namespace?: string) => string, namespaces: readonly string[]): Watched {
  if (namespaces.length === 0) return new Reflector({ ...parts, path: path() });
  return new NamespacedReflectors(parts, path, namespaces);
}

/**
 * One reflector for each namespace, seen as one. `synced` says that everything that exists has been told, so it is told
 * when the last of them has listed, and again after every relist of any.
 */
class NamespacedReflectors implements Watched {
  readonly #reflectors = new Map<string, Reflector>();

  constructor(parts: WatchedParts, path: (namespace: string) => string, namespaces: readonly string[]) {
    const listed = new Set<string>();
    for (const namespace of new Set(namespaces)) {
      const handler: ReflectorHandler = {
        ...parts.handler,
        synced: () => {
          listed.add(namespace);
          if (listed.size === this.#reflectors.size) parts.handler.synced();
        },
      };
      this.#reflectors.set(namespace, new Reflector({ ...parts, handler, path: path(namespace) }));
    }
  }

  get(key: string): KubeObject | undefined {
    return this.#reflectors.get(key.slice(0, key.indexOf('/')))?.get(key);
  }

  *values(): IterableIterator<KubeObject> {
    for (const reflector of this.#reflectors.values()) yield* reflector.values();
  }

  async start(): Promise<void> {
    await Promise.all([...this.#reflectors.values()].map((reflector) => reflector.start()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#reflectors.values()].map((reflector) => reflector.stop()));
  }
}
