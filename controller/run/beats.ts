import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { beatSchema, type AttemptRef, type BeatMessage } from '../../platform/messages/payloads.ts';
import { openMessage, subjectPool, type DeadLetters } from './door.ts';
import { firstSign, type Lease, type Leases } from './leases.ts';
import type { Work } from './ports.ts';
import type { AttemptSecrets } from './secrets.ts';

/** A node shows as Running only when it runs for longer than this: quick nodes save a commit. */
const SHOW_RUNNING_MS = 50;

/** What beats need of the rest of the room. */
export interface BeatParts {
  readonly clock: Clock;
  readonly leases: Leases;
  readonly secrets: AttemptSecrets;
  readonly dead: DeadLetters;
  readonly submit: (work: Work) => void;
  /** Sends an attempt that was handed back unstarted once more. */
  readonly resend: (run: string, node: string, item: number, attempt: number) => void;
  /** Tells the pool that an attempt does not count any more. */
  readonly cancel: (namespace: string, pool: string, run: string, node: string, item: number, attempt: number) => void;
  /** Queued to taken, in seconds. */
  readonly dispatched: (seconds: number) => void;
}

interface Taken {
  readonly lease: Lease;
  readonly at: number;
}

/** Signs of life of runners: they renew leases in memory and cost no database write. */
export class Beats {
  readonly #p: BeatParts;
  #taken: Taken[] = [];
  #timer: TimerHandle | undefined;

  constructor(parts: BeatParts) {
    this.#p = parts;
  }

  /** Takes one beat message. */
  take(subject: string, payload: Uint8Array): void {
    const message = openMessage(beatSchema, subject, payload, this.#p.dead);
    if (message === undefined) return;
    const { namespace, pool } = subjectPool(subject);
    for (const ref of message.attempts) this.#alive(message, ref, namespace, pool);
    for (const ref of message.refused ?? []) this.#refused(ref);
    for (const ref of message.returned ?? []) {
      if (this.#genuine(ref)) this.#p.resend(ref.run, ref.node, ref.item, ref.attempt);
    }
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #genuine(ref: AttemptRef): boolean {
    return this.#p.secrets.verify(ref.run, ref.node, ref.item, ref.attempt, ref.secret);
  }

  #alive(message: BeatMessage, ref: BeatMessage['attempts'][number], namespace: string, pool: string): void {
    if (!this.#genuine(ref)) return;
    const lease = this.#p.leases.beat(ref.run, ref.node, ref.item, ref.attempt, message.runner);
    if (lease === undefined) {
      this.#stale(ref, namespace, pool);
      return;
    }
    lease.beaten = lease.seen;
    const waited = firstSign(lease, ref.startedAt);
    if (waited === undefined) return;
    this.#p.dispatched(waited);
    this.#taken.push({ lease, at: ref.startedAt });
    this.#timer ??= this.#p.clock.after(SHOW_RUNNING_MS, () => { this.#show(); });
  }

  /** An attempt of a place that another attempt holds now, was fenced: it may stop. Places we know nothing of may be other owners'. */
  #stale(ref: AttemptRef, namespace: string, pool: string): void {
    const holder = this.#p.leases.get(ref.run, ref.node, ref.item);
    if (holder !== undefined && holder.attempt > ref.attempt) this.#p.cancel(namespace, pool, ref.run, ref.node, ref.item, ref.attempt);
  }

  #show(): void {
    const taken = this.#taken;
    this.#taken = [];
    this.#timer = undefined;
    for (const { lease, at } of taken) {
      if (this.#p.leases.get(lease.run, lease.node, lease.item) !== lease) continue;
      this.#p.submit({ run: lease.run, event: { type: 'Taken', node: lease.node, item: lease.item, attempt: lease.attempt, at } });
    }
  }

  /** Delivered a second time and not run: if nobody shows signs of life, whoever had it first is gone. */
  #refused(ref: AttemptRef): void {
    if (!this.#genuine(ref)) return;
    const lease = this.#p.leases.get(ref.run, ref.node, ref.item);
    if (lease?.attempt !== ref.attempt || lease.taken) return;
    this.#p.submit({ run: ref.run, event: {
      type: 'Failed', node: ref.node, item: ref.item, attempt: ref.attempt,
      error: { class: 'Infra', reason: 'Redelivered', message: 'the dispatch was delivered twice; a new attempt takes its place' },
    } });
  }
}
