import type { ModelSpec } from '../../crds/model.ts';
import { guardedFetch, type GuardedFetch } from '../../platform/net/fetch.ts';

/** How requests leave, for models and tools: one set of connections per namespace (and per TLS settings), because each may reach its own Services. */
export class Outgoing {
  readonly #allow: readonly string[];
  readonly #known = new Map<string, GuardedFetch>();

  constructor(allow: readonly string[]) {
    this.#allow = allow;
  }

  /** The `fetch` of a namespace. */
  for(namespace: string, tls?: ModelSpec['tls']): GuardedFetch {
    const key = JSON.stringify([namespace, tls]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = guardedFetch({ allow: this.#allow, serviceNamespace: namespace, ...(tls === undefined ? {} : { tls }) });
    this.#known.set(key, made);
    return made;
  }

  close(): void {
    for (const one of this.#known.values()) one.close();
  }
}
