import type { AgentUsage } from '../../crds/agent.ts';
import { usdOfNano } from '../../crds/money.ts';
import type { Clock } from '../../platform/clock/index.ts';

/** Totals of some runs. */
export interface Totals extends Omit<AgentUsage, 'costUsd'> {
  readonly nano: bigint;
}

/** What the roll-up of usage needs. */
export interface UsageParts {
  readonly clock: Clock;
  /** Every Agent there is, `namespace/name`. */
  readonly agents: () => Iterable<string>;
  readonly store: {
    /** Which of these Agents a run booked something for since a time. */
    spentSince(keys: readonly string[], day: string, since: number): Promise<readonly string[]>;
    /** Totals of the runs an Agent began since a time and that ended above `from`, at `to` at the latest. */
    settled(namespace: string, name: string, span: { readonly since: number; readonly from: number; readonly to: number }): Promise<Totals>;
    /** Totals of the runs an Agent began since a time and that are open, or ended above `from`. */
    open(namespace: string, name: string, span: { readonly since: number; readonly from: number }): Promise<Totals>;
  };
  /** The totals of an Agent differ from those told before. */
  readonly changed: (key: string) => void;
}

/** Totals of the runs of a month that ended until a moment: they are not read again. */
interface Settled {
  readonly month: number;
  readonly to: number;
  readonly totals: Totals;
}

/** A run that ended so long ago is in the table for certain, and whatever was under way for it has been charged. */
const SETTLED_MS = 120_000;

/**
 * Totals of the current month (UTC) of the agents that spent something: asked for at most once a minute, of those alone, so that an
 * idle installation reads next to nothing and writes nothing. Runs that ended are read once: a look costs what is open and what ended lately,
 * however many runs the month has.
 */
export class UsageRollUp {
  readonly #p: UsageParts;
  readonly #totals = new Map<string, AgentUsage>();
  readonly #settled = new Map<string, Settled>();
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
    this.#settled.clear();
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
    const settled = await this.#settle(key, namespace, name, month);
    const { nano, ...counts } = sum(settled.totals, await this.#p.store.open(namespace, name, { since: month, from: settled.to }));
    const total: AgentUsage = { ...counts, costUsd: usdOfNano(nano) };
    if (JSON.stringify(this.#totals.get(key)) === JSON.stringify(total)) return;
    this.#totals.set(key, total);
    this.#p.changed(key);
  }

  /** A run begun this month ends in it or later: the first look reads from the begin of the month. */
  async #settle(key: string, namespace: string, name: string, month: number): Promise<Settled> {
    const known = this.#settled.get(key);
    const before = known?.month === month ? known : { month, to: month, totals: NOTHING };
    const to = Math.max(before.to, this.#p.clock.now() - SETTLED_MS);
    const settled = { month, to, totals: sum(before.totals, await this.#p.store.settled(namespace, name, { since: month, from: before.to, to })) };
    this.#settled.set(key, settled);
    return settled;
  }
}

const NOTHING: Totals = { runs: 0, input: 0, output: 0, modelCalls: 0, toolCalls: 0, nano: 0n };

function sum(a: Totals, b: Totals): Totals {
  return {
    runs: a.runs + b.runs, input: a.input + b.input, output: a.output + b.output, modelCalls: a.modelCalls + b.modelCalls, toolCalls: a.toolCalls + b.toolCalls, nano: a.nano + b.nano,
  };
}
