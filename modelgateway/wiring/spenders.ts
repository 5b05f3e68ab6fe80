/** Agents that get series of their own, and after them namespaces: what comes later is counted together. */
const MOST_AGENTS = 300;
const MOST_NAMESPACES = 300;

/** Whose name stands on the metrics of spending, so that there are never more than so many series. */
export class Spenders {
  readonly #agents = new Set<string>();
  readonly #namespaces = new Set<string>();

  /** Labels of an agent; `inline` for one without a name, `other` where there are too many. */
  labels(namespace: string, agent: string): { readonly namespace: string; readonly agent: string } {
    if (!room(this.#namespaces, namespace, MOST_NAMESPACES)) return { namespace: 'other', agent: 'other' };
    const name = agent === '' ? 'inline' : agent;
    return { namespace, agent: room(this.#agents, `${namespace}/${name}`, MOST_AGENTS) ? name : 'other' };
  }
}

function room(known: Set<string>, key: string, most: number): boolean {
  if (known.has(key)) return true;
  if (known.size >= most) return false;
  known.add(key);
  return true;
}
