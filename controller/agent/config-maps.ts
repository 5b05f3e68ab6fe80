/** A watch of one object. */
export interface NamedWatch {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What watching ConfigMaps needs. */
export interface ConfigMapParts {
  /** A watch of exactly this one; `told` on every change, its deletion too. */
  readonly watch: (namespace: string, name: string, told: () => void) => NamedWatch;
  /** An agent whose ConfigMap changed. */
  readonly changed: (agent: string) => void;
  /** Watches at most: each is a connection. */
  readonly most: number;
}

interface Watching {
  readonly watch: NamedWatch;
  readonly agents: Set<string>;
}

/**
 * The ConfigMaps that Agents take their instructions from, each watched by its name and no others: what is not named is neither read nor kept.
 * Beyond `most` none is watched any more, and whoever asks has to look again by himself.
 */
export class ConfigMaps {
  readonly #p: ConfigMapParts;
  readonly #watched = new Map<string, Watching>();
  readonly #of = new Map<string, string>();

  constructor(parts: ConfigMapParts) {
    this.#p = parts;
  }

  get size(): number { return this.#watched.size; }

  /** An agent (by its key) takes its instructions from this ConfigMap, or from none. Whether its changes are told. */
  follow(agent: string, namespace: string, name: string | undefined): boolean {
    const key = name === undefined ? undefined : `${namespace}/${name}`;
    const before = this.#of.get(agent);
    if (before !== undefined && before !== key) this.#leave(agent, before);
    if (name === undefined || key === undefined) return false;
    const watching = this.#watched.get(key) ?? this.#begin(namespace, name, key);
    if (watching === undefined) return false;
    watching.agents.add(agent);
    this.#of.set(agent, key);
    return true;
  }

  /** Another replica follows them from now on. */
  async forget(): Promise<void> {
    const all = [...this.#watched.values()];
    this.#watched.clear();
    this.#of.clear();
    await Promise.all(all.map(({ watch }) => watch.stop()));
  }

  #begin(namespace: string, name: string, key: string): Watching | undefined {
    if (this.#watched.size >= this.#p.most) return undefined;
    const agents = new Set<string>();
    const watch = this.#p.watch(namespace, name, () => { for (const agent of agents) this.#p.changed(agent); });
    const watching = { watch, agents };
    this.#watched.set(key, watching);
    void watch.start();
    return watching;
  }

  #leave(agent: string, key: string): void {
    this.#of.delete(agent);
    const watching = this.#watched.get(key);
    watching?.agents.delete(agent);
    if (watching === undefined || watching.agents.size > 0) return;
    this.#watched.delete(key);
    void watching.watch.stop();
  }
}
