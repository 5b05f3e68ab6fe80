import type { AttemptRecord, Command, HistoryEntry, NodeRow, RunRow, Step } from '../../engine/types.ts';
import type { LiveRun } from './live-run.ts';
import { placeKey } from './leases.ts';

/** Facts of a new run that are stored once. */
export interface NewRunRecord {
  readonly definition: Uint8Array;
  readonly definitionHash: string;
  readonly specHash: string;
  readonly input: Uint8Array;
  readonly principal: string;
  readonly idempotency?: { readonly key: string; readonly bodyHash: string };
}

/** One dispatch that has to be published, or pod that has to be made, after the commit. */
export interface OutboxEntry {
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly send: number;
}

/** How a piece of work ended, told to whoever submitted it after the commit. */
export type Settled =
  /** Something changed and is durable. */
  | { readonly status: 'Committed'; readonly version: number }
  /** The run exists but the event changed nothing: repeated, late or fenced. */
  | { readonly status: 'Unchanged' }
  /** There is no such run, or it has ended long ago and left memory. */
  | { readonly status: 'Unknown' }
  /** Not the owner (`moved`: another replica is, or will be), or the database is away: try again. */
  | { readonly status: 'Retry'; readonly message: string; readonly moved?: boolean }
  /** This run cannot be written at all. */
  | { readonly status: 'Poisoned'; readonly message: string };

/** Everything one run writes in one commit: the steps of several events, merged. */
export class Draft {
  readonly live: LiveRun;
  readonly created: NewRunRecord | undefined;
  readonly nodes = new Map<string, NodeRow>();
  readonly attempts: AttemptRecord[] = [];
  readonly history: HistoryEntry[] = [];
  readonly commands: Command[] = [];
  readonly outbox: OutboxEntry[] = [];
  readonly settles: ((settled: Settled) => void)[] = [];
  /** Names of the runner pods that had attempts which ended, by place and attempt; for the record only. */
  readonly runners = new Map<string, string>();
  run: RunRow | undefined;

  constructor(live: LiveRun, created?: NewRunRecord) {
    this.live = live;
    this.created = created;
  }

  /** Whether there is anything to write. */
  get dirty(): boolean {
    return this.created !== undefined || this.run !== undefined || this.nodes.size > 0 || this.history.length > 0 || this.outbox.length > 0;
  }

  /** Adds what an event did. A later row of the same place replaces the earlier one. */
  add(step: Step): boolean {
    if (step.run !== undefined) this.run = step.run;
    for (const row of step.nodes) this.nodes.set(placeKey('', row.node, row.item), row);
    this.attempts.push(...step.attempts);
    this.history.push(...step.history);
    this.commands.push(...step.commands);
    return step.run !== undefined || step.nodes.length > 0 || step.history.length > 0;
  }

  settle(settled: Settled): void {
    for (const tell of this.settles) tell(settled);
  }
}
