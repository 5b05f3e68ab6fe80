import { modelSpecSchema, type ModelSpec } from '../../crds/model.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { modelsByName, type Executor } from '../../prisma/store/index.ts';
import { priceOf, type Price } from './price.ts';

/** A Model as it is called. */
export interface Candidate {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly price: Price | undefined;
}

interface Known {
  readonly until: number;
  readonly candidate: Candidate | undefined;
}

/** How long a Model is known before its mirror is read again: a new price or key counts within this time. */
const KNOWN_MS = 2_000;
const MOST = 1_000;

/** Models by namespace and name, from their mirrors. */
export class ModelCatalog {
  readonly #db: Executor;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();

  constructor(db: Executor, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Those of the Models that there are, in the order asked for. */
  async find(namespace: string, names: readonly string[]): Promise<readonly Candidate[]> {
    const now = this.#clock.monotonic();
    const missing = names.filter((name) => (this.#known.get(`${namespace}/${name}`)?.until ?? 0) <= now);
    if (missing.length > 0) await this.#read(namespace, missing, now);
    return names.map((name) => this.#known.get(`${namespace}/${name}`)?.candidate).filter((candidate) => candidate !== undefined);
  }

  async #read(namespace: string, names: readonly string[], now: number): Promise<void> {
    if (this.#known.size > MOST) this.#known.clear();
    const found = new Map((await modelsByName(this.#db, namespace, names)).map(({ name, spec }) => [name, spec]));
    for (const name of names) {
      const bytes = found.get(name);
      const parsed = bytes === undefined ? undefined : modelSpecSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
      const candidate = parsed?.success === true ? { name, spec: parsed.data, price: priceOf(parsed.data) } : undefined;
      this.#known.set(`${namespace}/${name}`, { until: now + KNOWN_MS, candidate });
    }
  }
}
