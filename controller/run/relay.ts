import { Buffer } from 'node:buffer';
import { redispatch } from '../../engine/index.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { CancelMessage, DispatchMessage } from '../../platform/messages/payloads.ts';
import { cancelSubject, dispatchSubject } from '../../platform/messages/subjects.ts';
import { withSpan } from '../../platform/tracing/index.ts';
import { dispatchMessage, withAgentAccess, type AgentAccess, type HttpAllow } from './dispatch-message.ts';
import type { LiveRun } from './live-run.ts';
import type { AttemptPods } from './pods.ts';
import type { Outgoing } from './ports.ts';
import type { AttemptSecrets } from './secrets.ts';

/** Where dispatches and cancels go. */
export interface DispatchBus {
  /** Resolves to the message's number once the stream has it; a message id seen before counts as sent. */
  publishDispatch(subject: string, payload: Uint8Array, messageId: string): Promise<number>;
  publish(subject: string, payload: Uint8Array): void;
}

/** What the relay is made of. */
export interface RelayParts {
  readonly clock: Clock;
  readonly bus: DispatchBus;
  readonly pods: Pick<AttemptPods, 'create' | 'cancel'>;
  readonly secrets: AttemptSecrets;
  readonly httpAllow: HttpAllow;
  readonly agentAccess: AgentAccess;
  /** A dispatch is about to leave, with its secret. */
  readonly sent: (message: DispatchMessage) => void;
  /** The stream has a dispatch, under this number. */
  readonly stored: (out: Outgoing, seq: number) => void;
  /** Whether a sending is the last one of its attempt, and no runner has shown that it has it. */
  readonly wanted: (out: Outgoing) => boolean;
  /** Whether this is still the run in memory. */
  readonly current: (live: LiveRun) => boolean;
  /** Whether this replica still speaks for the run; else its outbox row is the next owner's. */
  readonly owns: (live: LiveRun) => boolean;
  readonly log: { warn(facts: object, message: string): void };
}

const RETRY_MS = [100, 200, 500, 1_000, 2_000];

/**
 * Carries committed dispatches out: to the pool's stream, or as a pod. A dispatch is repeated until it has certainly
 * left; a crash in between leaves its outbox row, and the next owner sends it under the same message id.
 */
export class Relay {
  readonly #p: RelayParts;
  /** Since when each is on its way, the oldest first. */
  readonly #leaving = new Set<{ readonly since: number }>();

  constructor(parts: RelayParts) {
    this.#p = parts;
  }

  /** Dispatches that have not certainly left. */
  get pending(): number { return this.#leaving.size; }

  /** How long the oldest of them has been on its way; 0 without any. */
  get oldestMs(): number {
    const [oldest] = this.#leaving;
    return oldest === undefined ? 0 : this.#p.clock.monotonic() - oldest.since;
  }

  /** Sends one; `done` is called once it has left, or has become pointless. */
  send(out: Outgoing, done: () => void): void {
    const leaving = { since: this.#p.clock.monotonic() };
    this.#leaving.add(leaving);
    void this.#attempt(out, 0).then((finished) => {
      this.#leaving.delete(leaving);
      if (finished) done();
    });
  }

  /** Tells whoever runs an attempt that it no longer counts. */
  cancel(live: LiveRun, pool: { readonly mode: string; readonly pool?: string }, node: string, item: number, attempt: number, graceMs: number): void {
    if (pool.mode === 'pod') {
      void this.#p.pods.cancel(live.meta.namespace, live.id, node, item, attempt, graceMs);
    }
    // A runner in a pod of its own hears it here before the kubelet's signal: it then knows why it stops.
    if (pool.pool !== undefined) this.cancelOn(live.meta.namespace, pool.pool, live.id, node, item, attempt, graceMs);
  }

  /** As `cancel`, for attempts whose run is not in memory. */
  cancelOn(namespace: string, pool: string, run: string, node: string, item: number, attempt: number, graceMs: number): void {
    const message: CancelMessage = { v: 1, attempts: [{ run, node, item, attempt, graceMs }] };
    this.#p.bus.publish(cancelSubject(namespace, pool), Buffer.from(JSON.stringify(message)));
  }

  /** Resolves to whether its outbox row may go: it has left, or is pointless; not where the run has another owner now. */
  async #attempt(out: Outgoing, tries: number): Promise<boolean> {
    const { live: { id: run, traceparent }, node, item, attempt } = out;
    try {
      // Most runs are not traced: they pay for no span.
      await (traceparent === undefined ? this.#once(out) : withSpan('rambo.dispatch', traceparent, { run, node, item, attempt }, () => this.#once(out)));
      return true;
    } catch (error) {
      if (tries > 3) this.#p.log.warn({ run: out.live.id, node: out.node, item: out.item, attempt: out.attempt, err: errorMessage(error) }, 'a dispatch has not left yet');
      await new Promise<void>((resolve) => { this.#p.clock.after(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)] ?? 2_000, resolve); });
      if (!this.#p.owns(out.live)) return false;
      return this.#p.current(out.live) ? this.#attempt(out, tries + 1) : true;
    }
  }

  async #once(out: Outgoing): Promise<void> {
    const dispatch = redispatch(out.live.state, out.node, out.item);
    if (dispatch?.attempt !== out.attempt) return;
    if (dispatch.mode === 'pod') {
      await this.#p.pods.create(out);
      return;
    }
    // Superseded by a later sending, or known to have arrived: once more would only run it twice.
    if (!this.#p.wanted(out)) return;
    const { meta } = out.live;
    const plain = dispatchMessage(out.live, dispatch, out.send, this.#p);
    const message = plain.type === 'agent' ? await withAgentAccess(plain, this.#p.agentAccess) : plain;
    this.#p.sent(message);
    const id = `${out.live.id}/${out.node}/${out.item}/${out.attempt}/${out.send}`;
    this.#p.stored(out, await this.#p.bus.publishDispatch(dispatchSubject(meta.namespace, dispatch.pool), Buffer.from(JSON.stringify(message)), id));
  }
}
