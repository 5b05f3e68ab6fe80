import { Buffer } from 'node:buffer';
import type { NodeSpec } from '../../crds/node.ts';
import type { CancelMode } from '../../crds/workflow-run.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import { attemptInFlight, counts, placementOf, nodeRow, nodeSpecOf, runRow } from '../../engine/index.ts';
import type { RunEvent } from '../../engine/types.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { errorMessage, UnavailableError } from '../../platform/errors/index.ts';
import { logSchema, logsRequestSchema, type ChangedNotice, type LogsReply } from '../../platform/messages/payloads.ts';
import { changedSubject, commandSubject, logsSubject, ownerSubject, REPLICAS_SUBJECT, shardOf } from '../../platform/messages/subjects.ts';
import { Beats } from './beats.ts';
import { takeCommand, type CommandParts } from './commands.ts';
import { Definitions } from './definitions.ts';
import type { AgentAccess, HttpAllow } from './dispatch-message.ts';
import { Dispatcher, type Capacity } from './dispatcher.ts';
import { openMessage, type DeadLetters } from './door.ts';
import type { Draft } from './draft.ts';
import { hindranceOf, type HindranceParts } from './hindrance.ts';
import { Leases, placeKey } from './leases.ts';
import { rests, type LiveRun } from './live-run.ts';
import { LiveRuns } from './live-runs.ts';
import { readFitting, type LogStore } from './log-files.ts';
import { RunLoop, type LoopMetrics } from './loop.ts';
import { runPersistence, type StoreFunctions, type Suspicion } from './persistence.ts';
import type { RunPersistence } from './ports.ts';
import { takeFetch, type FetchParts } from './fetch.ts';
import { AttemptPods, type PodPort, type RunnerSpecOf } from './pods.ts';
import type { PodOwner } from './pod-template.ts';
import { Relay, type DispatchBus } from './relay.ts';
import { takeResult, type ResultParts } from './results.ts';
import type { AttemptSecrets } from './secrets.ts';
import { ShardKeeper, type OwnedShard, type ShardStore } from './shards.ts';
import { Sweeper, type StreamProgress } from './sweeper.ts';
import { TimerWheel } from './wheel.ts';
import { Takeover, type TakeoverStore } from './takeover.ts';

/** NATS, as far as runs go. Handlers must not throw; what they return is the reply. */
export interface RunBus extends DispatchBus {
  respond(subject: string, handler: (subject: string, payload: Uint8Array) => Promise<Uint8Array>): { stop(): void };
  listen(subject: string, handler: (subject: string, payload: Uint8Array) => void): { stop(): void };
  /** How far the runners of a pool are with its dispatches; undefined without a consumer. */
  progress(namespace: string, pool: string): Promise<StreamProgress | undefined>;
}

/** What the room tells the outside. */
export interface RunObserver {
  /** A run changed and that is durable. */
  changed(live: LiveRun, draft: Draft, finished: boolean): void;
  /** A run may have changed without anybody being told: its commit's answer was lost. */
  reread(live: LiveRun): void;
  dispatched(seconds: number): void;
  /** Shards were taken, their live runs are in memory: objects that were passed over before are ours now. */
  gained(shards: readonly number[]): void;
  /** Shards are another replica's now: what was remembered for their objects may be old when they come back. */
  lost(shards: readonly number[]): void;
  /** Replicas came or went; this one is the first of the names. */
  peers(names: readonly string[]): void;
  deadLetter(subject: string, reason: string, payload: Uint8Array): void;
}

/** Everything the run room needs from outside. */
export interface RoomParts {
  readonly clock: Clock;
  readonly owner: string;
  readonly store: StoreFunctions & TakeoverStore;
  readonly shardStore: ShardStore;
  readonly bus: RunBus;
  readonly podPort: PodPort;
  readonly secrets: AttemptSecrets;
  readonly logs: LogStore;
  readonly capacity: Capacity;
  readonly podOwner: (live: LiveRun, pool: string) => PodOwner | undefined;
  readonly runnerSpec: RunnerSpecOf;
  /** Labels that a pool gives the pods of its attempts. */
  readonly podLabels: (namespace: string, pool: string) => Readonly<Record<string, string>>;
  /** What keeps a pool from having its pods. */
  readonly poolHindrance: HindranceParts['pool'];
  readonly httpAllow: HttpAllow;
  readonly agentAccess: AgentAccess;
  readonly suspicion: Suspicion;
  readonly commands: Pick<CommandParts, 'workflow' | 'startedBefore' | 'exists' | 'watched'>;
  readonly observer: RunObserver;
  readonly metrics: LoopMetrics;
  readonly log: { info(facts: object, message: string): void; warn(facts: object, message: string): void; error(facts: object, message: string): void };
}

/** How often pods of attempts are looked for that no watch reported. */
const POD_SWEEP_MS = 5_000;
const POD_AGE_MS = 10_000;

/** The room's parts, wired: messages in, events through the loop, effects out. */
export class RunRoom {
  readonly leases: Leases;
  readonly dispatcher: Dispatcher;
  readonly runs: LiveRuns;
  readonly loop: RunLoop;
  readonly shards: ShardKeeper;
  readonly definitions = new Definitions();
  readonly pods: AttemptPods;
  readonly relay: Relay;
  readonly #p: RoomParts;
  readonly #beats: Beats;
  readonly #sweeper: Sweeper;
  readonly #wheel: TimerWheel;
  readonly #takeover: Takeover;
  readonly #persistence: RunPersistence;
  readonly #subscriptions = new Map<number, readonly { stop(): void }[]>();
  #notices: { stop(): void } | undefined;
  #stream: string | undefined;
  #podSweep: { cancel(): void } | undefined;
  #stopped = false;

  constructor(parts: RoomParts) {
    this.#p = parts;
    const submit = (work: Parameters<RunLoop['submit']>[0]): void => { this.loop.submit(work); };
    this.#wheel = new TimerWheel(parts.clock, (run, timer) => { submit({ run, event: this.#fired(run, timer) }); });
    this.leases = new Leases(parts.clock);
    this.dispatcher = new Dispatcher(this.leases, parts.capacity);
    this.runs = new LiveRuns(this.#wheel, this.leases, this.dispatcher, (run) => { this.#hold(run); });
    this.shards = new ShardKeeper({
      store: parts.shardStore, listener: this, clock: parts.clock, owner: parts.owner, log: parts.log,
      notify: () => { parts.bus.publish(REPLICAS_SUBJECT, json({ v: 1 })); },
    });
    this.#persistence = runPersistence({
      store: parts.store, owner: parts.owner, epoch: (shard) => this.shards.epoch(shard), clock: parts.clock, definitions: this.definitions,
      suspicion: parts.suspicion, log: parts.log,
    });
    this.pods = new AttemptPods({
      clock: parts.clock, port: parts.podPort, leases: this.leases, logs: parts.logs, submit, owner: parts.podOwner, log: parts.log,
      secrets: parts.secrets, runnerSpec: parts.runnerSpec, labels: parts.podLabels, owns: (run) => this.owns(run), current: (run, node, item) => this.#storedAttempt(run, node, item),
      nodeSpec: (live, node): NodeSpec | undefined => nodeSpecOf(live.state, node),
    });
    this.relay = new Relay({
      clock: parts.clock, bus: parts.bus, pods: this.pods, secrets: parts.secrets, httpAllow: parts.httpAllow, agentAccess: parts.agentAccess, log: parts.log,
      current: (live) => this.runs.get(live.id) === live, owns: (live) => this.shards.owns(live.shard),
      wanted: ({ live, node, item, send }) => live.sends.get(placeKey('', node, item)) === send && this.leases.get(live.id, node, item)?.taken !== true,
      sent: ({ run, node, item, attempt, secret }) => {
        const lease = this.leases.get(run, node, item);
        if (lease?.attempt === attempt) lease.secret = secret;
      },
      stored: ({ live, node, item, attempt }, seq) => {
        const lease = this.leases.get(live.id, node, item);
        if (lease?.attempt === attempt) Object.assign(lease, { seq, stream: this.#stream });
      },
    });
    this.loop = this.#makeLoop();
    this.#beats = this.#makeBeats(submit);
    this.#sweeper = new Sweeper({
      clock: parts.clock, leases: this.leases, submit, log: parts.log, progress: (ns, pool) => parts.bus.progress(ns, pool), stream: () => this.#stream,
      resend: (run, node, item, attempt) => { this.resend(run, node, item, attempt); },
    });
    this.#takeover = new Takeover({ store: parts.store, runs: this.runs, relay: this.relay, loop: this.loop, definitions: this.definitions, suspicion: parts.suspicion, log: parts.log });
  }

  #fired(run: string, timer: string): RunEvent {
    const { podPort, poolHindrance } = this.#p;
    const hindrance = hindranceOf({ live: (id) => this.runs.get(id), pod: (namespace, name) => podPort.cached(namespace, name), pool: poolHindrance }, run, timer);
    return { type: 'Timer', timer, ...(hindrance === undefined ? {} : { hindrance }) };
  }

  /** Takes shards, loads their runs, and begins to listen. */
  async start(): Promise<void> {
    this.#notices = this.#p.bus.listen(REPLICAS_SUBJECT, () => { void this.shards.look(); });
    await this.shards.start();
    this.#sweeper.start();
    this.#sweepPods();
  }

  /** Finishes what was handed in, then gives the shards back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#notices?.stop();
    this.#podSweep?.cancel();
    this.#sweeper.stop();
    this.#beats.stop();
    for (const subscriptions of this.#subscriptions.values()) for (const subscription of subscriptions) subscription.stop();
    await this.loop.stop();
    this.#wheel.stop();
    await this.shards.stop();
  }

  /** Whether this replica may act for a run. */
  owns(run: string): boolean {
    return this.shards.owns(shardOf(run));
  }

  /** Which dispatch stream there is (its time of creation), or that this is not known since the connection broke. */
  streamIs(created: string | undefined): void {
    this.#stream = created;
  }

  /** The dispatch stream was found to be a new one: what was in the former has to be sent again. */
  streamLost(): Promise<void> {
    return this.#sweeper.streamLost();
  }

  /** Sends an attempt once more under a new send number, if it is still the current one and nobody has it. */
  resend(run: string, node: string, item: number, attempt: number): void {
    const live = this.runs.get(run);
    const row = live === undefined ? undefined : nodeRow(live.state, node, item);
    if (live === undefined || row?.attempt !== attempt || row.status !== 'Queued') return;
    this.loop.requestResend(run, node, item, attempt);
  }

  /** The attempt of a place that is on its way or running, by its row; undefined when there is none. */
  async #storedAttempt(run: string, node: string, item: number): Promise<number | undefined> {
    const [live] = await this.#persistence.load([run]);
    return live === undefined ? undefined : attemptInFlight(live.state, node, item);
  }

  /** Cancels a run; used when its object vanished. */
  cancel(run: string, mode: CancelMode): void {
    this.loop.submit({ run, event: { type: 'Cancel', mode } });
  }

  /** Its object says more than its rows: makes that durable. Until it is, the run rests all the same. */
  #hold(run: string): void {
    const why = this.runs.get(run)?.suspect ?? '';
    this.#p.log.warn({ run, reason: why }, 'a run waits for a person: the database is older than its object');
    this.loop.submit({ run, event: { type: 'Hold', why } });
  }

  /** Live runs that wait for a person, for metrics. */
  get held(): number {
    let n = 0;
    for (const live of this.runs.values()) if (rests(live)) n++;
    return n;
  }

  /** ShardListener: load the runs of new shards, then listen for them. */
  async gained(shards: readonly OwnedShard[], held: (shard: number) => boolean): Promise<void> {
    await this.#takeover.load(shards.map((shard) => shard.id), held);
    const ours = shards.map((shard) => shard.id).filter(held);
    for (const id of ours) this.#subscribe(id);
    this.#p.observer.gained(ours);
  }

  /** ShardListener: another replica speaks for these now, or will. */
  lost(shards: readonly number[]): void {
    for (const id of shards) {
      for (const subscription of this.#subscriptions.get(id) ?? []) subscription.stop();
      this.#subscriptions.delete(id);
    }
    this.runs.dropShards(new Set(shards));
    this.#p.observer.lost(shards);
  }

  /** ShardListener: the commit under way may carry runs that have just been dropped. */
  settled(): Promise<void> {
    return this.loop.roundEnded();
  }

  /** ShardListener. */
  peers(names: readonly string[]): void {
    this.#p.observer.peers(names);
  }

  #makeLoop(): RunLoop {
    const { clock, metrics, log } = this.#p;
    return new RunLoop({
      clock, metrics, log, runs: this.runs, leases: this.leases, dispatcher: this.dispatcher, wheel: this.#wheel,
      owns: (shard) => this.shards.owns(shard), shardOf,
      sendAgain: (row) => { this.#takeover.send(row); },
      lost: (shards) => { this.shards.forget(shards); },
      persistence: this.#persistence,
      after: {
        send: (outgoing, done) => { this.relay.send(outgoing, done); },
        cancel: (live, node, item, attempt, graceMs) => { this.relay.cancel(live, placementOf(live.state, node), node, item, attempt, graceMs); },
        changed: (draft, finished) => { this.#changed(draft, finished); },
        reread: (live) => {
          this.#notify(live);
          this.#p.observer.reread(live);
        },
      },
    });
  }

  #makeBeats(submit: (work: Parameters<RunLoop['submit']>[0]) => void): Beats {
    return new Beats({
      clock: this.#p.clock, leases: this.leases, secrets: this.#p.secrets, dead: this.#dead, submit,
      resend: (run, node, item, attempt) => { this.resend(run, node, item, attempt); },
      cancel: (namespace, pool, run, node, item, attempt) => { this.relay.cancelOn(namespace, pool, run, node, item, attempt, 0); },
      dispatched: (seconds) => { this.#p.observer.dispatched(seconds); },
    });
  }

  readonly #dead: DeadLetters = (letter) => {
    this.#p.log.warn({ subject: letter.subject, reason: letter.reason, bytes: letter.payload.byteLength }, 'message put aside');
    this.#p.observer.deadLetter(letter.subject, letter.reason, letter.payload);
  };

  #subscribe(shard: number): void {
    if (this.#subscriptions.has(shard) || this.#stopped) return;
    const { bus } = this.#p;
    const results: ResultParts = {
      leases: this.leases, dispatched: (seconds) => { this.#p.observer.dispatched(seconds); }, submit: (work) => { this.loop.submit(work); }, secrets: this.#p.secrets, dead: this.#dead, live: (run) => this.runs.get(run),
    };
    const fetches: FetchParts = { secrets: results.secrets, httpAllow: this.#p.httpAllow, agentAccess: this.#p.agentAccess, dead: this.#dead, live: results.live };
    const commands: CommandParts = { ...this.#p.commands, owns: (s) => this.shards.owns(s), submit: results.submit, definitions: this.definitions, dead: this.#dead };
    this.#subscriptions.set(shard, [
      bus.respond(ownerSubject('result', shard), async (subject, payload) => json(await takeResult(results, subject, payload))),
      // Refused means for ever: whoever is not the owner any more must not say it.
      bus.respond(ownerSubject('fetch', shard), async (subject, payload) => (this.shards.owns(shard) ? json(await takeFetch(fetches, subject, payload)) : Promise.reject(new UnavailableError(`the owner of shard ${shard}`)))),
      bus.respond(commandSubject(shard), async (subject, payload) => json(await takeCommand(commands, subject, payload))),
      bus.respond(logsSubject(shard), async (subject, payload) => json(await this.#readLog(subject, payload))),
      bus.listen(ownerSubject('beat', shard), (subject, payload) => { this.#beats.take(subject, payload); }),
      bus.listen(ownerSubject('log', shard), (subject, payload) => { this.#takeLog(subject, payload); }),
    ]);
  }

  #takeLog(subject: string, payload: Uint8Array): void {
    const message = openMessage(logSchema, subject, payload, this.#dead);
    if (message === undefined || !this.#p.secrets.verify(message.run, message.node, message.item, message.attempt, message.secret)) return;
    this.#p.logs.append(message, message.offset, message.text).catch((error: unknown) => {
      this.#p.log.warn({ run: message.run, node: message.node, err: errorMessage(error) }, 'could not store a piece of a log');
    });
  }

  async #readLog(subject: string, payload: Uint8Array): Promise<LogsReply> {
    const request = openMessage(logsRequestSchema, subject, payload, this.#dead);
    if (request === undefined) return { v: 1, text: '', next: 0, end: true };
    try {
      const { text, next } = await readFitting(this.#p.logs, request, request.offset, request.limit);
      const live = this.runs.get(request.run);
      const row = live === undefined ? undefined : nodeRow(live.state, request.node, request.item);
      const end = text === '' && this.owns(request.run) && (row?.attempt !== request.attempt || row.finishedAt !== undefined);
      return { v: 1, text, next, end };
    } catch (error) {
      this.#p.log.warn({ run: request.run, err: errorMessage(error) }, 'could not read a log');
      return { v: 1, text: '', next: request.offset, end: false };
    }
  }

  #changed(draft: Draft, finished: boolean): void {
    this.#notify(draft.live);
    this.#p.observer.changed(draft.live, draft, finished);
  }

  #notify(live: LiveRun): void {
    const notice: ChangedNotice = { v: 1, run: live.id, namespace: live.meta.namespace, version: live.version, phase: runRow(live.state).phase };
    this.#p.bus.publish(changedSubject(live.meta.namespace, live.id), Buffer.from(JSON.stringify(notice)));
  }

  #sweepPods(): void {
    this.#podSweep = this.#p.clock.after(POD_SWEEP_MS, () => {
      this.pods.sweep(POD_AGE_MS).catch((error: unknown) => {
        this.#p.log.warn({ err: errorMessage(error) }, 'could not look for lost pods');
      }).finally(() => { if (!this.#stopped) this.#sweepPods(); });
    });
  }

  /** Live runs by phase, for metrics. */
  phases(): ReadonlyMap<string, number> {
    const out = new Map<string, number>();
    for (const live of this.runs.values()) {
      const { phase } = runRow(live.state);
      if (!FINAL_PHASES.includes(phase)) out.set(phase, (out.get(phase) ?? 0) + 1);
    }
    return out;
  }

  /** Progress of a live run, or undefined when it is not in memory. */
  progress(run: string): { done: number; total: number } | undefined {
    const live = this.runs.get(run);
    return live === undefined ? undefined : counts(live.state);
  }
}

function json(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
