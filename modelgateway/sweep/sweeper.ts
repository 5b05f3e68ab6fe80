import { sleep } from '../../platform/clock/index.ts';
import { isBug } from '../../platform/errors/index.ts';
import {
  appendToAgentRun, forgetModelLimits, lookAtOpenAgentRuns, openAgentRunsOf, orphanedReservations, overdueAgentRuns, unheardAgentRuns, type ReservationRow,
} from '../../prisma/store/index.ts';
import { chargeLost } from '../chat/lost.ts';
import { overdue } from '../chat/begin.ts';
import { endRun } from '../run/end-run.ts';
import { REASONS } from '../run/ending.ts';
import { tellAppended, wake } from '../run/notices.ts';
import type { Parts } from '../parts.ts';

/** What sweeping needs beside the common parts. */
export interface SweepParts extends Parts {
  /** Ends what is under way here for an agent run that ended. */
  readonly stop: (agentRun: string) => void;
  /** The tools' own sweep. */
  readonly sweepTools: () => Promise<void>;
}

/** How often it is looked for what was left behind. However many agent runs are open, a pass costs a handful of small statements. */
const SWEEP_MS = 2_000;
/** A workflow run or node that ended so long ago has no attempt that still says how its agent run ended. */
const SETTLED_MS = 5_000;
/** For so long a node is told again that its agent run has ended. */
const UNHEARD_MS = 3_600_000;
/** A node whose agent run may go on, and that nobody opened for so long, is woken again: a wake may come too often, never too seldom. */
const PATIENCE_MS = 4_000;
/** How often it is looked for what nobody has used for long. */
const FORGET_MS = 3_600_000;
const MOST = 50;
/** Open agent runs that one pass looks at; the next one goes on behind them. Notices find what ended at once: this is for those that were lost. */
const SLICE = 500;

/**
 * Finds what nobody works on any more, whatever messages were lost: calls whose gateway is gone are charged, agent runs whose workflow run
 * or deadline is over end, nodes that wait although their agent run has ended or may go on are woken.
 */
export class Sweeper {
  readonly #parts: SweepParts;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  /** Where the look at the open agent runs goes on; undefined: from the first. */
  #after: string | undefined;
  #forgotAt = 0;

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** One pass. Several gateways may do it at once: each change is decided under the row's lock. */
  async sweep(): Promise<void> {
    const { db, clock } = this.#parts;
    const now = clock.now();
    for (const orphan of await orphanedReservations(db, now, MOST)) await this.#charge(orphan);
    await this.#lookAtOpen(now);
    for (const id of await overdueAgentRuns(db, now, MOST)) await this.#end(id, overdue());
    for (const run of await unheardAgentRuns(db, now - UNHEARD_MS, now - PATIENCE_MS, MOST)) await wake(this.#parts.bus, run);
    await this.#parts.sweepTools();
    if (now - this.#forgotAt < FORGET_MS) return;
    this.#forgotAt = now;
    await forgetModelLimits(db);
  }

  /** A workflow run has ended: its agent runs end with it, and what is under way for them is given up. */
  async runEnded(runId: string, phase: string): Promise<void> {
    for (const { id } of await openAgentRunsOf(this.#parts.db, runId)) await this.#abandon(id, phase);
  }

  /** What nobody was told of: runs that ended around an agent run, nodes that wait for one that may go on and was never said to be parked. */
  async #lookAtOpen(now: number): Promise<void> {
    const { needy, next } = await lookAtOpenAgentRuns(this.#parts.db, { after: this.#after, size: SLICE, before: now - SETTLED_MS, still: now - PATIENCE_MS });
    this.#after = next;
    for (const run of needy) {
      if (run.abandoned) await this.#abandon(run.id, run.runPhase);
      else await wake(this.#parts.bus, run);
    }
  }

  async #abandon(agentRun: string, runPhase: string | null): Promise<void> {
    await this.#end(agentRun, { phase: 'Cancelled', reason: REASONS.gone, message: runPhase === null ? 'its workflow run is gone' : `its node has ended; the workflow run is ${runPhase}` });
  }

  async #end(agentRun: string, end: Parameters<typeof endRun>[2]): Promise<void> {
    await endRun(this.#parts, agentRun, end);
    this.#parts.stop(agentRun);
  }

  async #charge(orphan: ReservationRow): Promise<void> {
    const appended = await appendToAgentRun(this.#parts.db, orphan.agentRun, this.#parts.clock.now(), async (run, tx) => ({ ...await chargeLost(tx, run, orphan), result: undefined }));
    if (appended === undefined || appended.events.length === 0) return;
    this.#parts.counters.failed('unknown', 'Lost');
    this.#parts.log.warn({ agentRun: orphan.agentRun, step: orphan.step, model: orphan.model }, 'charged a model call whose gateway is gone at its estimate');
    tellAppended(this.#parts.bus, appended);
  }

  async #run(): Promise<void> {
    const { clock, ids, log } = this.#parts;
    while (!this.#stop.signal.aborted) {
      await sleep(clock, SWEEP_MS * (0.75 + ids.random() / 2), this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      try {
        await this.sweep();
      } catch (error) {
        if (isBug(error)) log.error({ err: error }, 'the sweep of agent runs failed by a fault of ours');
        else log.warn({ err: error }, 'the sweep of agent runs could not be finished; it comes again');
      }
    }
  }
}
