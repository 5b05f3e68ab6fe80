import { createInbox, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import type { Clock, TimerHandle } from '../clock/index.ts';
import { UnavailableError } from '../errors/index.ts';

interface Waiting {
  readonly subject: string;
  readonly deadline: number;
  readonly resolve: (data: Uint8Array) => void;
  readonly reject: (error: UnavailableError) => void;
}

/** How exactly deadlines are kept. */
const SWEEP_MS = 100;
const NO_RESPONDERS = 503;

/**
 * Requests over one inbox. The client's own `request` prepares two errors with their stack traces for each request,
 * whether they are needed or not; at thousands of requests a second that was a tenth of the controller and of the runner.
 */
export class Requests {
  readonly #nc: NatsConnection;
  readonly #clock: Clock;
  readonly #inbox: string;
  readonly #waiting = new Map<string, Waiting>();
  #last = 0;
  #listening = false;
  #timer: TimerHandle | undefined;

  constructor(nc: NatsConnection, clock: Clock, inboxPrefix: string | undefined) {
    this.#nc = nc;
    this.#clock = clock;
    this.#inbox = createInbox(inboxPrefix);
  }

  /** Sends a request and resolves with the answer's payload. Rejects with UnavailableError after `timeoutMs`, or at once when nobody listens. */
  send(subject: string, payload: Uint8Array, timeoutMs: number, messageId?: string): Promise<Uint8Array> {
    this.#listen();
    const reply = `${this.#inbox}.${(++this.#last).toString(36)}`;
    return new Promise((resolve, reject) => {
      this.#waiting.set(reply, { subject, deadline: this.#clock.monotonic() + timeoutMs, resolve, reject });
      this.#timer ??= this.#clock.after(SWEEP_MS, () => { this.#sweep(); });
      try {
        this.#nc.publish(subject, payload, { reply, ...(messageId === undefined ? {} : { headers: idHeader(messageId) }) });
      } catch (error) {
        this.#waiting.delete(reply);
        reject(new UnavailableError(`an answer on ${subject}`, error));
      }
    });
  }

  /** Nobody will answer any more. */
  close(): void {
    this.#timer?.cancel();
    for (const waiting of this.#waiting.values()) waiting.reject(new UnavailableError(`an answer on ${waiting.subject}`, new Error('the connection is closed')));
    this.#waiting.clear();
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#nc.subscribe(`${this.#inbox}.*`, { callback: (error, message) => { if (error === null) this.#answer(message); } });
  }

  #answer(message: Msg): void {
    const waiting = this.#waiting.get(message.subject);
    if (waiting === undefined) return;
    this.#waiting.delete(message.subject);
    if (message.data.length === 0 && message.headers?.code === NO_RESPONDERS) waiting.reject(new UnavailableError(`a listener on ${waiting.subject}`));
    else waiting.resolve(message.data);
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (const [reply, waiting] of this.#waiting) {
      if (waiting.deadline > now) continue;
      this.#waiting.delete(reply);
      waiting.reject(new UnavailableError(`an answer on ${waiting.subject}`, new Error('no answer in time')));
    }
    if (this.#waiting.size > 0) this.#timer = this.#clock.after(SWEEP_MS, () => { this.#sweep(); });
  }
}

function idHeader(messageId: string): ReturnType<typeof headers> {
  const out = headers();
  out.set('Nats-Msg-Id', messageId);
  return out;
}
