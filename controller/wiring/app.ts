import { LABELS, MANAGED_BY } from '../../crds/names.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import { runRow } from '../../engine/index.ts';
import type { AttemptRecord } from '../../engine/types.ts';
import { sleep, systemClock } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { HealthServer } from '../../platform/health/index.ts';
import { systemIds } from '../../platform/ids/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import { isConflict } from '../../platform/kube/errors.ts';
import type { Log } from '../../platform/log/index.ts';
import { shardOf, SINGLETON_SHARD } from '../../platform/messages/subjects.ts';
import type { QUEUES } from '../../platform/metrics/index.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import { ping, type Db } from '../../prisma/store/index.ts';
import type { Pools } from '../pool/pools.ts';
import { ahead } from '../run/ahead.ts';
import { projectReview, projectStatus } from '../run/projection.ts';
import { Intake } from '../run/intake.ts';
import { LogFiles } from '../run/log-files.ts';
import { rests, type LiveRun } from '../run/live-run.ts';
import { RunRoom } from '../run/room.ts';
import { shownOf } from '../run/shown.ts';
import { AttemptSecrets } from '../run/secrets.ts';
import { StatusWriter, type RunObject } from '../run/status-writer.ts';
import { keyOf, type KubeObject, type ReflectorHandler } from '../runtime/reflector.ts';
import { WorkQueue, type Outcome } from '../runtime/queue.ts';
import { watch, type Watched, type WatchedParts } from '../runtime/watched.ts';
import { WorkflowMirrors } from '../workflow/mirror.ts';
import { AgentRoom } from './agents.ts';
import { chaosBus, chaosClock, chaosDb, chaosKube } from './chaos.ts';
import { agentAccess } from './agent-access.ts';
import type { ControllerConfig } from './config.ts';
import { connectOutside, type Outside } from './connect.ts';
import { corePath, crPath, networkPath, patchWorkflowStatus, podPort, readWorkflow, statusPort } from './kube-ports.ts';
import { SharedPools } from './demand.ts';
import type { ControllerMetrics } from './metrics.ts';
import { egressLabels, networkPolicyName } from '../pool/network.ts';
import { poolHindrance } from '../pool/status.ts';
import { toAttemptPod, toKnownWorkflow, toPool, toRunCr, toRunnerPod, toStatusSays, toWorkflow } from './objects.ts';
import { Orphans } from './orphans.ts';
import { wirePools } from './pool-wiring.ts';
import { commandStore, keepDeadLetter, mirrorStore, phaseOfRow, removeOrphanMirrors, restoredAt, runStore, shardStore } from './store-ports.ts';
import { projectRow } from './project-row.ts';

/** How often gauges are read and the demand of pools is looked at although nothing woke it. */
const GAUGES_MS = 5_000;
/** A replica that joins knows the objects first; but without the API server the runs of the API go on all the same. */
const CACHES_MS = 3_000;
/** After a change, demand is looked at once for all that change meanwhile. */
const WAKE_MS = 20;

interface Reflectors {
  readonly runs: Watched;
  readonly workflows: Watched;
  readonly pools: Watched;
  readonly runners: Watched;
  readonly pods: Watched;
  readonly policies: Watched;
}

/** The controller process: everything wired, nothing decided here. */
export class ControllerApp {
  readonly #config: ControllerConfig;
  readonly #log: Log;
  readonly #clock = globalThis.RAMBO_CHAOS === true ? chaosClock(systemClock) : systemClock;
  readonly #outside: Outside;
  readonly #db: Db;
  readonly #restoredAt: () => Promise<number | undefined>;
  readonly #client: KubeClient;
  readonly #bus: Bus;
  readonly #metrics: ControllerMetrics;
  readonly #room: RunRoom;
  readonly #status: StatusWriter;
  readonly #intake: Intake;
  readonly #mirrors: WorkflowMirrors;
  readonly #pools: Pools;
  readonly #shared: SharedPools;
  readonly #agentRoom: AgentRoom;
  readonly #orphans: Orphans;
  readonly #queues: { runs: WorkQueue; workflows: WorkQueue; pools: WorkQueue };
  readonly #reflectors: Reflectors;
  readonly #health: HealthServer;
  #stream = '';
  #ticking: { cancel(): void } | undefined;
  #started = false;

  /** Waits, not ready, until everything outside is there; see connect.ts. */
  static async connect(config: ControllerConfig, log: Log, metrics: ControllerMetrics, signal: AbortSignal): Promise<ControllerApp> {
    const app: { it?: ControllerApp } = {};
    const outside = await connectOutside(config, log, signal, {
      reconnected: () => { if (app.it !== undefined) app.it.#reconnected(); },
      kube: (verb, resource, code) => { metrics.request(verb, resource, code); },
      metrics: (misses) => metrics.waiting(misses),
    });
    app.it = new ControllerApp(config, log, metrics, outside);
    return app.it;
  }

  private constructor(config: ControllerConfig, log: Log, metrics: ControllerMetrics, outside: Outside) {
    const { db, client, bus, seed } = outside;
    this.#config = config;
    this.#log = log;
    this.#outside = outside;
    this.#health = outside.health;
    this.#bus = globalThis.RAMBO_CHAOS === true ? chaosBus(bus) : bus;
    this.#metrics = metrics;
    this.#db = globalThis.RAMBO_CHAOS === true ? chaosDb(db) : db;
    this.#restoredAt = restoredAt(this.#db);
    this.#client = globalThis.RAMBO_CHAOS === true ? chaosKube(client) : client;
    this.#queues = {
      runs: this.#queue('runs', 16, (key) => this.#intake.reconcile(key)),
      workflows: this.#queue('workflows', 4, (key) => this.#mirrors.reconcile(key)),
      pools: this.#queue('pools', 4, (key) => this.#reconcilePool(key)),
    };
    this.#reflectors = this.#makeReflectors();
    this.#shared = new SharedPools({ clock: this.#clock, bus: this.#bus, room: () => this.#room, dead: (letter) => { this.#deadLetter(letter.subject, letter.reason, letter.payload); }, heard: () => { this.#wakePools(); } });
    this.#pools = this.#makePools(seed);
    this.#room = this.#makeRoom(seed);
    const statuses = statusPort(this.#client, this.#reflectors.runs, this.#clock, 'rambo-controller');
    this.#status = new StatusWriter({ clock: this.#clock, log, port: statuses, project: (run, object) => this.#project(run, object) });
    this.#orphans = new Orphans({
      clock: this.#clock, log, runs: this.#room.runs, cancel: (run) => { this.#room.cancel(run, 'Now'); },
      cached: (cr) => this.#reflectors.runs.get(`${cr.namespace}/${cr.name}`)?.metadata.uid, actual: async (cr) => (await statuses.read(cr, true))?.uid,
    });
    this.#intake = this.#makeIntake();
    this.#agentRoom = this.#makeAgents();
    this.#mirrors = new WorkflowMirrors({
      clock: this.#clock, store: mirrorStore(this.#db, this.#clock), owns: () => this.#room.shards.owns(SINGLETON_SHARD),
      cached: (key) => toWorkflow(this.#reflectors.workflows.get(key)),
      patchStatus: (object, status) => patchWorkflowStatus(this.#client, object, status),
    });
  }

  /** Starts in the order in which the parts need each other. Resolves when the controller works. */
  async start(): Promise<{ readonly port: number }> {
    this.#health.tell({
      checks: {
        started: () => (this.#started ? undefined : 'still starting'),
        nats: () => (this.#bus.connected ? undefined : `not connected to ${this.#config.RAMBO_NATS_URL}; trying again and again`),
        postgres: () => ping(this.#db),
        // A replica for which no shard is left is as ready as the others.
        shards: () => (this.#room.shards.current ? undefined : 'no lease is renewed'),
      },
      metrics: () => this.#metrics.page({ room: this.#room, pools: this.#pools, poolKeys: () => [...this.#reflectors.pools.values()].map(keyOf), db: this.#db, bus: this.#bus }),
    });
    this.#stream = await this.#bus.ensureDispatchStream();
    this.#room.streamIs(this.#stream);
    const { runs, workflows, pools, runners, pods, policies } = this.#reflectors;
    // Not waited for: a role of an older installation may lack it, and only pools with a policy of their own need it.
    void policies.start();
    const caches = Promise.all([workflows.start(), pools.start(), runners.start(), pods.start()]).then(() => runs.start());
    await Promise.race([caches, sleep(this.#clock, CACHES_MS)]);
    this.#shared.start();
    await this.#room.start();
    await Promise.all([caches, this.#agentRoom.start()]);
    this.#started = true;
    this.#tick();
    return { port: this.#health.port };
  }

  /** Unready at once; finishes what was handed in, gives shards back, closes. */
  async stop(): Promise<void> {
    this.#started = false;
    this.#ticking?.cancel();
    this.#wakeSoon?.cancel();
    const { runs, workflows, pools, runners, pods, policies } = this.#reflectors;
    await Promise.all([runs, workflows, pools, runners, pods, policies].map((reflector) => reflector.stop()));
    this.#shared.stop();
    await this.#agentRoom.stop();
    // Shards first: the others go on with the runs while what we were looking at ends.
    await this.#room.stop();
    await Promise.all([...Object.values(this.#queues), this.#orphans].map((queue) => queue.stop()));
    await this.#status.stop();
    await this.#bus.close();
    await this.#db.close();
    this.#client.close();
    await this.#health.close();
  }

  #queue(name: (typeof QUEUES)[number], concurrency: number, worker: (key: string) => Promise<Outcome>): WorkQueue {
    return new WorkQueue({
      name, concurrency, clock: this.#clock, log: this.#log, quiet: isConflict, worker, observe: this.#metrics.queue(name),
    });
  }

  #watch(resource: string, path: (plural: string, namespace?: string) => string, handler: ReflectorHandler, labelSelector?: string): Watched {
    return watch({ ...this.#watchParts(resource, handler), ...(labelSelector === undefined ? {} : { labelSelector }) }, (namespace) => path(resource, namespace), this.#config.RAMBO_WATCH_NAMESPACES);
  }

  #watchParts(resource: string, handler: ReflectorHandler): WatchedParts {
    return { client: this.#client, resource, handler, clock: this.#clock, log: this.#log, random: systemIds.random, observe: this.#metrics.reflector(resource) };
  }

  #makeReflectors(): Reflectors {
    const { runs, workflows, pools } = this.#queues;
    const nothing = (): void => undefined;
    const policyOf = (object: KubeObject): void => {
      const { metadata } = object;
      if (metadata.name.startsWith(networkPolicyName(''))) pools.add(`${metadata.namespace ?? ''}/${metadata.name.slice(networkPolicyName('').length)}`);
    };
    const poolOf = (object: KubeObject): void => {
      const pod = toRunnerPod(object);
      const name = pod?.labels[LABELS.pool];
      if (pod !== undefined && name !== undefined) pools.add(`${pod.namespace}/${name}`);
    };
    return {
      runs: this.#watch('workflowruns', crPath, {
        changed: (object) => { runs.add(keyOf(object)); },
        deleted: (object) => { this.#intake.deleted(object.metadata.uid); },
        synced: () => { this.#synced.add('runs'); this.#orphans.check(); },
      }),
      workflows: this.#watch('workflows', crPath, {
        changed: (object, before) => { this.#workflowChanged(object, before); },
        deleted: (object) => {
          this.#mirrors.deleted(keyOf(object), object.metadata.uid);
          workflows.add(keyOf(object));
          this.#agentRoom.workflowChanged(object.metadata.namespace ?? '', object.metadata.name);
        },
        synced: () => { this.#synced.add('workflows'); this.#removeOrphanMirrors('workflows'); },
      }),
      pools: this.#watch('runnerpools', crPath, {
        changed: (object) => { pools.add(keyOf(object)); },
        deleted: (object) => { this.#pools.deleted(keyOf(object), object.metadata.uid); pools.add(keyOf(object)); },
        synced: () => { this.#synced.add('runnerpools'); this.#removeOrphanMirrors('runnerpools'); },
      }),
      runners: this.#watch('pods', corePath, { changed: poolOf, deleted: (object) => { poolOf(object); this.#runnerGone(object); }, synced: nothing }, LABELS.pool),
      pods: this.#watch('pods', corePath, {
        changed: (object) => { const pod = toAttemptPod(object); if (pod !== undefined) this.#room.pods.seen(pod); },
        deleted: (object) => { const pod = toAttemptPod(object); if (pod !== undefined) this.#room.pods.gone(pod); },
        synced: nothing,
      }, LABELS.runId),
      policies: this.#watch('networkpolicies', networkPath, { changed: policyOf, deleted: policyOf, synced: nothing }, `${LABELS.managedBy}=${MANAGED_BY},${LABELS.pool}`),
    };
  }

  #workflowChanged(object: KubeObject, before: KubeObject | undefined): void {
    const key = keyOf(object);
    this.#queues.workflows.add(key);
    this.#agentRoom.workflowChanged(object.metadata.namespace ?? '', object.metadata.name);
    if (before !== undefined) return;
    for (const run of this.#intake.workflowAppeared(object.metadata.namespace ?? '', object.metadata.name)) this.#queues.runs.add(run);
  }

  /** A runner pod is gone for good: what it had need not wait for its lease to run out. */
  #runnerGone(object: KubeObject): void {
    for (const lease of this.#room.leases.ofRunner(object.metadata.namespace ?? '', object.metadata.name)) {
      this.#room.loop.submit({ run: lease.run, event: {
        type: 'Failed', node: lease.node, item: lease.item, attempt: lease.attempt,
        error: { class: 'Infra', reason: 'RunnerGone', message: `the pod of runner ${object.metadata.name} is gone` },
      } });
    }
  }

  /** Caches that have been complete once: what they lack may be gone. */
  readonly #synced = new Set<'runs' | 'workflows' | 'runnerpools'>();

  /** What the caches told of before these shards were ours was passed over. */
  #gained(shards: ReadonlySet<number>): void {
    this.#metrics.shardsMoved('gained', shards.size);
    const { runs, workflows, pools } = this.#reflectors;
    for (const object of runs.values()) if (shards.has(shardOf(object.metadata.uid))) this.#queues.runs.add(keyOf(object));
    for (const object of this.#reflectors.pods.values()) {
      const pod = toAttemptPod(object);
      if (pod !== undefined) this.#room.pods.seen(pod);
    }
    if (this.#synced.has('runs')) this.#orphans.check();
    this.#shared.changed();
    if (!shards.has(SINGLETON_SHARD)) return;
    this.#agentRoom.gained();
    for (const object of workflows.values()) this.#queues.workflows.add(keyOf(object));
    for (const object of pools.values()) this.#queues.pools.add(keyOf(object));
    for (const kind of ['workflows', 'runnerpools'] as const) if (this.#synced.has(kind)) this.#removeOrphanMirrors(kind);
    this.#wakePools();
  }

  /** Another replica acts for these from now on: what was remembered of them is not true any more when they return. */
  #lost(shards: ReadonlySet<number>): void {
    this.#metrics.shardsMoved('lost', shards.size);
    this.#intake.forget(shards);
    for (const live of this.#finishedStates.values()) if (shards.has(live.shard)) this.#finishedStates.delete(live.id);
    if (shards.has(SINGLETON_SHARD)) { this.#pools.forget(); this.#agentRoom.lost(); }
    this.#shared.changed();
  }

  /** Definitions deleted while nobody watched: their mirrors go, so that no run starts from one. */
  #removeOrphanMirrors(kind: 'workflows' | 'runnerpools'): void {
    if (!this.#room.shards.owns(SINGLETON_SHARD)) return;
    const uids = new Set([...(kind === 'workflows' ? this.#reflectors.workflows : this.#reflectors.pools).values()].map((object) => object.metadata.uid));
    removeOrphanMirrors(this.#db, kind, uids).then((removed) => {
      if (removed > 0) this.#log.info({ kind, removed }, 'removed mirrors of objects that are gone');
    }, (error: unknown) => { this.#log.warn({ kind, err: errorMessage(error) }, 'could not compare the mirrors; the next list does it again'); });
  }

  #makeAgents(): AgentRoom {
    return new AgentRoom({
      clock: this.#clock, client: this.#client, db: this.#db, bus: this.#bus, log: this.#log, bridgeImage: this.#config.RAMBO_RUNNER_IMAGE, egress: this.#outside.egress, namespace: this.#config.RAMBO_POD_NAMESPACE, workflows: this.#reflectors.workflows,
      owns: () => this.#room.shards.owns(SINGLETON_SHARD), watch: (plural, handler) => this.#watch(plural, crPath, handler), watchParts: (resource, handler) => this.#watchParts(resource, handler), queue: (name, concurrency, worker) => this.#queue(name, concurrency, worker),
    });
  }

  #makePools(seed: string): Pools {
    const grown = (namespace: string, pool: string): void => { if (this.#room.dispatcher.stir(namespace, pool)) this.#room.loop.kick(); };
    return wirePools({
      config: this.#config, clock: this.#clock, client: this.#client, db: this.#db, bus: this.#bus, reflectors: this.#reflectors, shared: this.#shared, seed, defaultPool: this.#outside.defaultPool, egress: this.#outside.egress, grown, restoredAt: this.#restoredAt, log: this.#log,
    });
  }

  async #reconcilePool(key: string): Promise<Outcome> {
    this.#pools.observe(key);
    return this.#room.shards.owns(SINGLETON_SHARD) ? this.#pools.reconcile(key) : 'done';
  }

  #makeRoom(seed: string): RunRoom {
    return new RunRoom({
      clock: this.#clock, owner: this.#outside.owner,
      store: runStore(this.#db), shardStore: shardStore(this.#db, this.#config.RAMBO_REPLICA), bus: this.#bus, podPort: podPort(this.#client, this.#reflectors.pods),
      secrets: new AttemptSecrets(seed), logs: new LogFiles(this.#config.RAMBO_LOGS_DIR),
      capacity: (namespace, pool, mode) => this.#shared.room(mode === 'pod' ? this.#config.RAMBO_PODS_IN_FLIGHT : this.#pools.capacity(namespace, pool), mode, namespace, pool),
      podOwner: (live, pool) => this.#podOwner(live, pool),
      runnerSpec: (namespace, pool, attempt) => this.#pools.attemptSpec(namespace, pool, attempt),
      podLabels: (namespace, pool) => egressLabels(toPool(this.#reflectors.pools.get(`${namespace}/${pool}`))),
      poolHindrance: (namespace, pool) => poolHindrance(toPool(this.#reflectors.pools.get(`${namespace}/${pool}`))),
      agentAccess: agentAccess(this.#outside.agentKey, this.#config.RAMBO_MODELGATEWAY_URL, this.#clock),
      httpAllow: (namespace, pool) => toPool(this.#reflectors.pools.get(`${namespace}/${pool}`))?.spec.http?.allow ?? [],
      suspicion: (run) => {
        const object = run.uid === null ? undefined : this.#reflectors.runs.get(`${run.namespace}/${run.name}`);
        return object?.metadata.uid === run.uid ? ahead(toStatusSays(object), run) : undefined;
      },
      commands: {
        ...commandStore(this.#db, (namespace, name) => Promise.resolve(toKnownWorkflow(this.#reflectors.workflows.get(`${namespace}/${name}`)))),
        watched: this.#config.RAMBO_WATCH_NAMESPACES,
      },
      metrics: this.#metrics.loop,
      log: this.#log,
      observer: {
        changed: (live, draft, finished) => { this.#runChanged(live, draft.attempts, finished); },
        reread: (live) => { if (live.cr !== undefined) this.#status.changed(live.id, live.cr, runRow(live.state).phase, rests(live)); },
        dispatched: (seconds) => { this.#metrics.dispatched(seconds); },
        gained: (shards) => { this.#gained(new Set(shards)); }, lost: (shards) => { this.#lost(new Set(shards)); },
        peers: (names) => { this.#shared.peers(names); },
        deadLetter: (subject, reason, payload) => { this.#deadLetter(subject, reason, payload); },
      },
    });
  }

  #podOwner(live: LiveRun, pool: string): ReturnType<ConstructorParameters<typeof RunRoom>[0]['podOwner']> {
    if (live.cr !== undefined) return { apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', name: live.cr.name, uid: live.cr.uid };
    const owner = toPool(this.#reflectors.pools.get(`${live.meta.namespace}/${pool}`));
    return owner === undefined ? undefined : { apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', name: owner.name, uid: owner.uid };
  }

  #makeIntake(): Intake {
    return new Intake({
      clock: this.#clock, definitions: this.#room.definitions,
      owns: (shard) => this.#room.shards.owns(shard), live: (run) => this.#room.runs.get(run), submit: (work) => { this.#room.loop.submit(work); },
      cached: (key) => toRunCr(this.#reflectors.runs.get(key)),
      workflow: (namespace, name) => readWorkflow(this.#client, namespace, name),
      phaseOf: async (run) => {
        const live = this.#room.runs.get(run);
        return live === undefined ? phaseOfRow(this.#db, run) : runRow(live.state).phase;
      },
      restoredAt: this.#restoredAt,
      project: (run, cr, phase) => { this.#status.changed(run, cr, phase, this.#held(run)); },
    });
  }

  #runChanged(live: LiveRun, attempts: readonly AttemptRecord[], finished: boolean): void {
    const { phase } = runRow(live.state);
    this.#metrics.changed(live, attempts, finished);
    if (live.cr !== undefined) {
      if (finished) this.#finishedStates.set(live.id, live);
      this.#status.changed(live.id, live.cr, phase, rests(live));
    }
    this.#wakeSoon ??= this.#clock.after(WAKE_MS, () => {
      this.#wakeSoon = undefined;
      this.#wakePools();
      this.#shared.changed();
    });
  }

  /** Whether a run waits for a person. */
  #held(run: string): boolean {
    const live = this.#room.runs.get(run);
    return live !== undefined && rests(live);
  }

  #wakeSoon: { cancel(): void } | undefined;

  /** Runs that just ended, until their status is written: saves reading their rows again. */
  readonly #finishedStates = new Map<string, LiveRun>();

  async #project(run: string, object: RunObject): ReturnType<ConstructorParameters<typeof StatusWriter>[0]['project']> {
    const live = this.#room.runs.get(run) ?? this.#finishedStates.get(run);
    this.#finishedStates.delete(run);
    if (!this.#room.owns(run)) return undefined;
    const facts = live === undefined ? await projectRow(this.#db, run) : live.shown ?? shownOf(live.state);
    if (facts === undefined) return undefined;
    const input = { runId: run, generation: object.generation, conditions: object.conditions, now: this.#clock.now(), ...facts };
    return object.phase !== undefined && FINAL_PHASES.includes(object.phase) ? projectReview(input) : projectStatus(input);
  }

  /** Pools are looked at when demand may exceed what they have; steady demand wakes nobody. */
  #wakePools(): void {
    if (!this.#room.shards.owns(SINGLETON_SHARD)) return;
    for (const { namespace, pool } of this.#shared.wanted()) {
      const { ready, starting } = this.#pools.counts(namespace, pool);
      if (this.#pools.needed(namespace, pool) > ready + starting) this.#queues.pools.addAfter(`${namespace}/${pool}`, 50);
    }
  }

  #deadLetter(subject: string, reason: string, payload: Uint8Array): void {
    this.#metrics.deadLetter(subject);
    keepDeadLetter(this.#db, subject, reason, payload).catch((error: unknown) => {
      this.#log.warn({ subject, err: errorMessage(error) }, 'could not keep a dead letter');
    });
  }

  #reconnected(): void {
    this.#metrics.reconnected();
    this.#room.streamIs(undefined);
    void this.#checkStream();
  }

  /** After a reconnection the stream may be another one: then everything it held is sent again. */
  async #checkStream(): Promise<void> {
    try {
      const created = await this.#bus.ensureDispatchStream();
      this.#room.streamIs(created);
      if (created === this.#stream) return;
      this.#stream = created;
      this.#log.warn({ created }, 'the dispatch stream is a new one; what it held is sent again');
      this.#pools.forgetConsumers();
      for (const object of this.#reflectors.pools.values()) this.#queues.pools.add(keyOf(object));
      await this.#room.streamLost();
    } catch (error) {
      this.#log.warn({ err: errorMessage(error) }, 'could not check the dispatch stream; trying again');
      this.#clock.after(500, () => { void this.#checkStream(); });
    }
  }

  #tick(): void {
    this.#ticking = this.#clock.after(GAUGES_MS, () => {
      this.#wakePools();
      this.#shared.refresh();
      this.#tick();
    });
  }
}
