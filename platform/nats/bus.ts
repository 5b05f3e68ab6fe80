import { Buffer } from 'node:buffer';
import {
  AckPolicy, DiscardPolicy, jetstream, jetstreamManager, JetStreamApiError, RetentionPolicy, StorageType,
  type JetStreamClient, type JetStreamManager, type JsMsg,
} from '@nats-io/jetstream';
import { connect, credsAuthenticator, nanos, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { z } from 'zod';
import { systemClock, type Clock } from '../clock/index.ts';
import { errorMessage, isBug, UnavailableError } from '../errors/index.ts';
import { DISPATCH_STREAM, DISPATCH_SUBJECTS, dispatchConsumer, dispatchSubject } from '../messages/subjects.ts';
import { Puller } from './puller.ts';
import { Requests } from './requests.ts';
import { TurnQueue } from './turn.ts';

/** How to reach NATS. */
export interface BusOptions {
  readonly url: string;
  /** Text of a credentials file, read again at every reconnect: it rotates. */
  readonly creds: () => string;
  readonly name: string;
  readonly inboxPrefix?: string;
  readonly log: { info(facts: object, message: string): void; warn(facts: object, message: string): void; error(facts: object, message: string): void };
  readonly onReconnect?: () => void;
  readonly clock?: Clock;
}

/** Something that can be stopped. */
export interface Stoppable {
  stop(): void;
}

/** A delivered dispatch. */
export interface Delivery {
  readonly data: Uint8Array;
  /** 1 for the first delivery; more for a redelivery. */
  readonly count: number;
  ack(): void;
}

/** How far the runners of a pool are with what the stream has, or had, for them. */
export interface DispatchProgress {
  /** Dispatches that wait, or were delivered and not acknowledged; of all controllers. */
  readonly waiting: number;
  /** Up to this number in the stream all are acknowledged. */
  readonly acknowledged: number;
  /** The last number the stream has given. */
  readonly last: number;
}

/** Where a runner gets its work: one standing request per free slot, so nothing is fetched that cannot start. */
export interface Dispatches {
  /** The next dispatch, or undefined when none came within `expiresMs`. */
  next(expiresMs: number): Promise<Delivery | undefined>;
}

const PUBLISH_MS = 5_000;
/** Answer of the stream to a publish. */
const ackSchema = z.object({ seq: z.number().optional(), error: z.object({ code: z.number(), err_code: z.number().optional(), description: z.string() }).optional() });
const decoder = new TextDecoder();
const STREAM_REPLICAS = 1;
const DEDUPE_MS = 600_000;
/** Runners acknowledge on receipt, so a delivery that is not acknowledged by then went into a connection that broke. */
const ACK_WAIT_MS = 5_000;

/** Connects; keeps reconnecting for ever. Throws UnavailableError when the first connection fails. */
export async function connectBus(options: BusOptions): Promise<Bus> {
  try {
    const connection = await connect({
      servers: options.url, name: options.name, noEcho: true, maxReconnectAttempts: -1, reconnectTimeWait: 250, reconnectJitter: 250,
      pingInterval: 10_000, maxPingOut: 2, ignoreAuthErrorAbort: true,
      // The parser wants the line break after the last line.
      authenticator: credsAuthenticator(() => Buffer.from(`${options.creds()}\n`)),
      ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
    });
    return new Bus(connection, options);
  } catch (error) {
    throw new UnavailableError(`NATS at ${options.url}`, error);
  }
}

/** The few verbs of NATS that RamBo uses. */
export class Bus {
  readonly #nc: NatsConnection;
  readonly #js: JetStreamClient;
  readonly #options: BusOptions;
  readonly #turn = new TurnQueue();
  readonly #requests: Requests;
  #jsm: Promise<JetStreamManager> | undefined;
  #connected = true;

  constructor(connection: NatsConnection, options: BusOptions) {
    this.#nc = connection;
    this.#js = jetstream(connection);
    this.#options = options;
    this.#requests = new Requests(connection, options.clock ?? systemClock, options.inboxPrefix);
    void this.#followStatus();
  }

  /** Whether the connection stands right now. */
  get connected(): boolean { return this.#connected && !this.#nc.isClosed(); }

  /** Sends and forgets; with everything else of this turn of the event loop. */
  publish(subject: string, payload: Uint8Array): void {
    this.#turn.add(() => { if (!this.#nc.isClosed()) this.#nc.publish(subject, payload); }, (error) => { this.#failed(subject, error); });
  }

  /** Asks and waits for one answer. Throws UnavailableError on timeout or when nobody listens. */
  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return this.#send(subject, payload, timeoutMs);
  }

  /** Hears every message; what the handler throws is logged. */
  listen(subject: string, handler: (subject: string, payload: Uint8Array) => void): Stoppable {
    const subscription = this.#subscribe(subject, (message) => { handler(message.subject, message.data); });
    return { stop: () => { subscription.unsubscribe(); } };
  }

  /** Answers every message with what the handler returns; of those in one `queue`, one answers. Once stopped, requests that are on their way here are still answered. */
  respond(subject: string, handler: (subject: string, payload: Uint8Array) => Promise<Uint8Array>, queue?: string): Stoppable {
    const subscription = this.#subscribe(subject, (message) => {
      const failed = (error: unknown): void => { this.#failed(subject, error); };
      handler(message.subject, message.data).then((reply) => { this.#turn.add(() => { message.respond(reply); }, failed); }, failed);
    }, queue);
    // Dropped without a word, each would cost whoever asked its whole patience.
    return { stop: () => { subscription.drain().catch(() => undefined); } };
  }

  /** Puts a dispatch into the stream; resolves to its number there once the stream has it. Throws UnavailableError when it has not, or may not have. */
  async publishDispatch(subject: string, payload: Uint8Array, messageId: string): Promise<number> {
    const answer = await this.#send(subject, payload, PUBLISH_MS, messageId);
    const { error, seq } = ackSchema.parse(JSON.parse(decoder.decode(answer)));
    if (error !== undefined) throw new UnavailableError(`the stream of ${subject}`, new Error(`${error.description} (${error.err_code ?? error.code})`));
    return seq ?? 0;
  }

  /** Declares the dispatch stream. Returns its creation time: another one than before means that its content was lost. */
  async ensureDispatchStream(): Promise<string> {
    const jsm = await this.#manager();
    const config = {
      name: DISPATCH_STREAM, subjects: [DISPATCH_SUBJECTS], retention: RetentionPolicy.Workqueue, storage: StorageType.Memory,
      num_replicas: STREAM_REPLICAS, discard: DiscardPolicy.New, duplicate_window: nanos(DEDUPE_MS), deny_purge: true, max_bytes: 512 * 1_048_576,
    };
    try {
      return (await jsm.streams.info(DISPATCH_STREAM)).created;
    } catch (error) {
      if (!notFound(error)) throw error;
      return (await jsm.streams.add(config)).created;
    }
  }

  /** Declares the consumer of a pool. */
  async ensureConsumer(namespace: string, pool: string, maxInFlight: number): Promise<void> {
    const jsm = await this.#manager();
    const name = dispatchConsumer(namespace, pool);
    const limits = { ack_wait: nanos(ACK_WAIT_MS), max_ack_pending: maxInFlight, filter_subject: dispatchSubject(namespace, pool) };
    try {
      await jsm.consumers.info(DISPATCH_STREAM, name);
      await jsm.consumers.update(DISPATCH_STREAM, name, limits);
    } catch (error) {
      if (!notFound(error)) throw error;
      await jsm.consumers.add(DISPATCH_STREAM, { ...limits, durable_name: name, ack_policy: AckPolicy.Explicit });
    }
  }

  /** Removes the consumer of a pool that is gone. */
  async removeConsumer(namespace: string, pool: string): Promise<void> {
    const jsm = await this.#manager();
    await jsm.consumers.delete(DISPATCH_STREAM, dispatchConsumer(namespace, pool)).catch((error: unknown) => { if (!notFound(error)) throw error; });
  }

  /** How far the runners of a pool are with its dispatches; undefined when there is no consumer. */
  async progress(namespace: string, pool: string): Promise<DispatchProgress | undefined> {
    const jsm = await this.#manager();
    try {
      // The stream first: what came in between the two is then beyond `last`.
      const stream = await jsm.streams.info(DISPATCH_STREAM);
      const consumer = await jsm.consumers.info(DISPATCH_STREAM, dispatchConsumer(namespace, pool));
      return { waiting: consumer.num_pending + consumer.num_ack_pending, acknowledged: consumer.ack_floor.stream_seq, last: stream.state.last_seq };
    } catch (error) {
      if (notFound(error)) return undefined;
      throw error;
    }
  }

  /** The dispatches of a pool, as a runner of it takes them. */
  async dispatches(namespace: string, pool: string): Promise<Dispatches> {
    const consumer = await this.#js.consumers.get(DISPATCH_STREAM, dispatchConsumer(namespace, pool));
    const puller = new Puller<JsMsg>((count, expires) => consumer.fetch({ max_messages: count, expires }));
    return {
      next: async (expiresMs) => {
        const message = await puller.next(expiresMs);
        return message === undefined ? undefined : { data: message.data, count: message.info.deliveryCount, ack: () => { this.#ack(message); } };
      },
    };
  }

  /** Flushes what was published. */
  async flush(): Promise<void> {
    this.#turn.flush();
    await this.#nc.flush();
  }

  async close(): Promise<void> {
    this.#turn.flush();
    this.#requests.close();
    await this.#nc.drain().catch(() => undefined);
  }

  #send(subject: string, payload: Uint8Array, timeoutMs: number, messageId?: string): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#turn.add(() => { this.#requests.send(subject, payload, timeoutMs, messageId).then(resolve, reject); }, reject);
    });
  }

  #ack(message: JsMsg): void {
    this.#turn.add(() => { message.ack(); }, (error) => { this.#failed(message.subject, error); });
  }

  #manager(): Promise<JetStreamManager> {
    this.#jsm ??= jetstreamManager(this.#nc, { checkAPI: false, timeout: 5_000 });
    return this.#jsm;
  }

  #subscribe(subject: string, handle: (message: Msg) => void, queue?: string): Subscription {
    return this.#nc.subscribe(subject, { ...(queue === undefined ? {} : { queue }), callback: (error, message) => {
      if (error !== null) {
        this.#failed(subject, error);
        return;
      }
      try {
        handle(message);
      } catch (thrown) {
        this.#failed(subject, thrown);
      }
    } });
  }

  #failed(subject: string, error: unknown): void {
    if (isBug(error)) this.#options.log.error({ subject, err: error }, 'a message could not be handled by a fault of ours');
    else this.#options.log.warn({ subject, err: errorMessage(error) }, 'a message could not be handled');
  }

  async #followStatus(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (status.type === 'disconnect') {
        this.#connected = false;
        this.#options.log.warn({ name: this.#options.name }, 'lost NATS; reconnecting');
      }
      if (status.type === 'reconnect') {
        this.#connected = true;
        this.#options.log.info({ name: this.#options.name }, 'NATS is back');
        this.#options.onReconnect?.();
      }
    }
  }
}

function notFound(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.status === 404;
}
