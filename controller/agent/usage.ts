import type { AgentUsage } from '../../crds/agent.ts';
import type { Clock } from '../../platform/clock/index.ts';

/** What the roll-up of usage needs. */
export interface UsageParts {
  readonly clock: Clock;
  /** Every Agent there is, `namespace/name`. */
  readonly agents: () => Iterable<string>;
  readonly store: {
    /** Which of these Agents a run booked something for since a time. */
    spentSince(keys: readonly string[], day: string, since: number): Promise<readonly string[]>;
    /** Totals of the runs an Agent began since a time. */
    usage(namespace: string, name: string, since: number): Promise<AgentUsage>;
  };
  /** The totals of an Agent differ from those told before. */
  readonly changed: (key: string) => void;
}

/**
 * Totals of the current month (UTC) of the agents that spent something: asked for at most once a minute, of those alone, so that an
 * idle installation reads next to nothing and writes nothing.
 */
export class UsageRollUp {
  readonly #p: UsageParts;
  readonly #totals = new Map<string, AgentUsage>();
  #since: number | undefined;

  constructor(parts: UsageParts) {
    this.#p = parts;
  }

  /** Totals of an Agent; undefined while it has spent nothing that was seen. */
  of(key: string): AgentUsage | undefined {
    return this.#totals.get(key);
  }

  /** Another replica counts from now on. */
  forget(): void {
    this.#totals.clear();
    this.#since = undefined;
  }

  /** One look: the first goes back to the begin of the day, later ones to the look before, a little overlapping. */
  async look(): Promise<void> {
    const now = this.#p.clock.now();
    const date = new Date(now);
    const today = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
    const month = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
    const keys = [...this.#p.agents()];
    const since = this.#since ?? today;
    const spent = new Set<string>();
    // What was booked on yesterday's account just before midnight is seen by the first look after it.
    for (const day of since < today ? [today - 86_400_000, today] : [today]) {
      for (const key of await this.#p.store.spentSince(keys, new Date(day).toISOString().slice(0, 10), since)) spent.add(key);
    }
    for (const key of spent) await this.#total(key, month);
    this.#since = now - 5_000;
  }

  async #total(key: string, month: number): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    const total = await this.#p.store.usage(namespace, name, month);
    if (JSON.stringify(this.#totals.get(key)) === JSON.stringify(total)) return;
    this.#totals.set(key, total);
    this.#p.changed(key);
  }
}
