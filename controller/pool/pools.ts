import { parseDuration } from '../../crds/duration.ts';
import { LABELS } from '../../crds/names.ts';
import type { RunnerPoolStatus } from '../../crds/runner-pool.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { FailingPods } from './failing.ts';
import { poolStatus, sameConditions } from './status.ts';
import type { Wanted } from './demand.ts';
import { podsNeeded, poolCapacity, sizePool, type RunnerPod } from './sizing.ts';
import { credsSecretName, runnerPod, runnerPodSpec, TEMPLATE_LABEL, templateHash, type AttemptRunner, type PoolObject, type RunnerSettings } from './runner-pod.ts';

/** A runner pod as the watch shows it. */
export interface RunnerPodObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly phase: string;
  readonly ready: boolean;
  readonly deleting: boolean;
  readonly createdAt: number;
  /** Why it ended or does not start, in its own words. */
  readonly problem?: string | undefined;
}

/** What the pools need of the API server and of NATS. */
export interface PoolPort {
  /** Creates a runner pod. `Refused`: the API server will not take it (quota, admission), with its reason. */
  createPod(pod: Readonly<Record<string, unknown>>): Promise<{ readonly kind: 'Created' } | { readonly kind: 'Refused'; readonly message: string }>;
  deletePod(namespace: string, name: string, uid: string): Promise<void>;
  /** Writes the Secret with the pool's credentials (server-side apply), owned by the pool. */
  applyCreds(pool: PoolObject, secretName: string, creds: string): Promise<void>;
  signPoolUser(namespace: string, pool: string, seconds: number): Promise<string>;
  ensureConsumer(namespace: string, pool: string, maxInFlight: number): Promise<void>;
  removeConsumer(namespace: string, pool: string): Promise<void>;
  /** Makes the `default` pool of a namespace that has none, with minReady 0. */
  createDefaultPool(namespace: string): Promise<void>;
  patchStatus(pool: PoolObject, status: RunnerPoolStatus): Promise<void>;
  /** Mirrors the definition into Postgres; an older generation changes nothing. */
  mirror(pool: PoolObject): Promise<void>;
  /** Removes the mirror of exactly that object. */
  unmirror(namespace: string, name: string, uid: string): Promise<void>;
}

/** What the pools need of their neighbours. */
export interface PoolParts {
  readonly clock: Clock;
  readonly port: PoolPort;
  readonly settings: RunnerSettings;
  readonly pool: (key: string) => PoolObject | undefined;
  readonly pods: (namespace: string, pool: string) => readonly RunnerPodObject[];
  readonly busy: (namespace: string, pool: string, pod: string) => number;
  readonly demand: (namespace: string, pool: string) => Wanted;
  /** A pool has more room than before: look at what waits. */
  readonly grown: (namespace: string, pool: string) => void;
  /** When the database was last restored, epoch milliseconds; undefined when it never was. */
  readonly restoredAt: () => Promise<number | undefined>;
  /** Brings the NetworkPolicy of a pool to what its spec says. */
  readonly isolate: (pool: PoolObject) => Promise<void>;
  readonly suffix: () => string;
  readonly log: { warn(facts: object, message: string): void };
}

/** What the queue does next with the key. */
export type PoolOutcome = 'done' | { readonly afterMs: number; readonly reason: string };

/** Credentials live for a day and are renewed at half of it. */
const CREDS_SECONDS = 86_400;
/** Status is a slow summary. */
const STATUS_MS = 60_000;
/** A created pod counts until the watch has shown it, at most so long. */
const EXPECT_MS = 30_000;

interface Memory {
  credsUntil: number;
  credsFor: string;
  consumer: number;
  neededUntil: number;
  /** Pods that were created and not yet seen. */
  readonly expected: Map<string, number>;
  status: { readonly at: number; readonly value: RunnerPoolStatus } | undefined;
  readonly failing: FailingPods;
  /** Ended pods whose removal was asked for and that the watch still shows. */
  readonly removed: Set<string>;
  /** Which version of the definition the mirror has: uid and resourceVersion. */
  mirrored: { readonly uid: string; readonly version: string } | undefined;
}

/** Sizes runner pools and gives them their NATS credentials. Keys are `namespace/name`. */
export class Pools {
  readonly #p: PoolParts;
  readonly #memory = new Map<string, Memory>();
  /** Ready runners by pool, as the watch shows them. */
  readonly #ready = new Map<string, number>();

  constructor(parts: PoolParts) {
    this.#p = parts;
  }

  /** How many attempts of a pool may be in flight; also for pools that are only about to exist. */
  capacity(namespace: string, name: string): number {
    return poolCapacity(this.#ready.get(`${namespace}/${name}`) ?? 0, slotsOf(this.#p.pool(`${namespace}/${name}`)?.spec));
  }

  /** Pods that what is asked of a pool needs now. */
  needed(namespace: string, name: string): number {
    const spec = this.#p.pool(`${namespace}/${name}`)?.spec;
    return podsNeeded(this.#p.demand(namespace, name), slotsOf(spec), spec?.reuse ?? 'Run');
  }

  /** In every replica: runners that are ready decide how much may be in flight, whoever sizes the pool. */
  observe(key: string): void {
    const [namespace = '', name = ''] = key.split('/');
    const before = this.#ready.get(key) ?? 0;
    const { ready } = this.counts(namespace, name);
    if (ready === 0) this.#ready.delete(key);
    else this.#ready.set(key, ready);
    if (ready > before) this.#p.grown(namespace, name);
  }

  /** Another replica sizes the pools now: what was remembered of them is not true any more when they come back. */
  forget(): void {
    this.#memory.clear();
  }

  /** NATS lost its consumers: the next pass declares them again. */
  forgetConsumers(): void {
    for (const memory of this.#memory.values()) memory.consumer = 0;
  }

  /** The watch showed a deletion: the next pass takes back what stands for that object. */
  deleted(key: string, uid: string): void {
    this.#remember(key).mirrored = { uid, version: '' };
  }

  /** Ready runners that have work; for metrics. */
  busy(namespace: string, name: string): number {
    return this.#p.pods(namespace, name).filter((pod) => pod.ready && !leaving(pod) && this.#p.busy(namespace, name, pod.name) > 0).length;
  }

  /** Most pods a pool may have; for metrics. */
  max(namespace: string, name: string): number {
    const spec = this.#p.pool(`${namespace}/${name}`)?.spec;
    return spec === undefined ? 0 : Math.max(spec.max, spec.minReady);
  }

  /** Why a pool does not get its pods, by the reason of its condition; undefined when nothing is wrong, or another replica sizes it. */
  trouble(namespace: string, name: string): string | undefined {
    return this.#memory.get(`${namespace}/${name}`)?.failing.trouble?.reason;
  }

  /** Pods the pool has, for metrics. */
  counts(namespace: string, name: string): { ready: number; starting: number } {
    const pods = this.#p.pods(namespace, name).filter((pod) => !leaving(pod));
    const ready = pods.filter((pod) => pod.ready).length;
    return { ready, starting: pods.length - ready };
  }

  /**
   * Spec of a pod for one attempt that asked for its own. Undefined while there is no such pool: `default` is then on its
   * way, any other is the user's to make, and the attempt waits for it until its `pendingTimeout`.
   */
  attemptSpec(namespace: string, name: string, attempt: AttemptRunner): Readonly<Record<string, unknown>> | undefined {
    const pool = this.#p.pool(`${namespace}/${name}`);
    if (pool !== undefined) return runnerPodSpec(pool, this.#p.settings, attempt);
    if (name === 'default') this.#p.port.createDefaultPool(namespace).catch((error: unknown) => { this.#p.log.warn({ namespace, err: errorMessage(error) }, 'could not make the default pool'); });
    return undefined;
  }

  /** One pass over one pool. */
  async reconcile(key: string): Promise<PoolOutcome> {
    const [namespace = '', name = ''] = key.split('/');
    const pool = this.#p.pool(key);
    if (pool === undefined) return this.#missing(namespace, name);
    const memory = this.#remember(key);
    await this.#mirror(pool, memory);
    await this.#connect(pool, memory);
    await this.#p.isolate(pool);
    await this.#removeOutlived(pool, memory);
    const again = await this.#size(pool, memory);
    const report = await this.#report(pool, memory);
    const renew = memory.credsUntil - this.#p.clock.now();
    return { afterMs: Math.max(1_000, Math.min(renew, again ?? renew, report ?? renew)), reason: 'idle pods, status, credentials' };
  }

  async #missing(namespace: string, name: string): Promise<PoolOutcome> {
    if (this.#p.demand(namespace, name).attempts > 0 && name === 'default') await this.#p.port.createDefaultPool(namespace);
    const memory = this.#memory.get(`${namespace}/${name}`);
    if (memory !== undefined) await this.#p.port.removeConsumer(namespace, name);
    if (memory?.mirrored !== undefined) await this.#p.port.unmirror(namespace, name, memory.mirrored.uid);
    this.#memory.delete(`${namespace}/${name}`);
    return 'done';
  }

  #remember(key: string): Memory {
    let memory = this.#memory.get(key);
    if (memory === undefined) {
      memory = { credsUntil: 0, credsFor: '', consumer: 0, neededUntil: this.#p.clock.now(), expected: new Map(), status: undefined, failing: new FailingPods(), removed: new Set(), mirrored: undefined };
      this.#memory.set(key, memory);
    }
    return memory;
  }

  /** The status is no part of the definition, so its version alone may move without a write: the generation decides in Postgres. */
  async #mirror(pool: PoolObject, memory: Memory): Promise<void> {
    const version = `${pool.generation}/${JSON.stringify(pool.labels)}`;
    if (memory.mirrored?.uid === pool.uid && memory.mirrored.version === version) return;
    await this.#p.port.mirror(pool);
    memory.mirrored = { uid: pool.uid, version };
  }

  /** Consumer first, then the credentials that may use it, then pods that need both. */
  async #connect(pool: PoolObject, memory: Memory): Promise<void> {
    const inFlight = 4 * pool.spec.max * pool.spec.slots;
    if (memory.consumer !== inFlight) {
      await this.#p.port.ensureConsumer(pool.namespace, pool.name, inFlight);
      memory.consumer = inFlight;
    }
    if (memory.credsUntil > this.#p.clock.now() && memory.credsFor === pool.uid) return;
    const creds = await this.#p.port.signPoolUser(pool.namespace, pool.name, CREDS_SECONDS);
    await this.#p.port.applyCreds(pool, credsSecretName(pool.name), creds);
    memory.credsUntil = this.#p.clock.now() + (CREDS_SECONDS / 2) * 1_000;
    memory.credsFor = pool.uid;
  }

  async #size(pool: PoolObject, memory: Memory): Promise<number | undefined> {
    const { namespace, name, spec } = pool;
    const template = templateHash(pool, this.#p.settings);
    const now = this.#p.clock.now();
    await this.#removeEnded(pool, memory, now);
    const pods = this.#pods(pool, memory, now);
    const needed = this.needed(namespace, name);
    const alive = pods.filter((pod) => !pod.leaving).length;
    if (needed >= alive) memory.neededUntil = now;
    const plan = sizePool({
      minReady: spec.minReady, max: Math.max(spec.max, spec.minReady), needed, idleMs: parseDuration(spec.idleTTL) ?? 300_000,
      pods, template, neededUntil: memory.neededUntil, now,
    });
    for (let i = 0; i < plan.create && memory.failing.wait(now) === 0; i++) await this.#create(pool, memory, now);
    for (const pod of plan.remove) await this.#p.port.deletePod(namespace, pod.name, pod.uid);
    if (plan.create === 0 && alive === 0) memory.failing.rest(now);
    const wait = plan.create > 0 ? memory.failing.wait(now) : 0;
    return wait > 0 ? Math.min(wait, plan.againMs ?? wait) : plan.againMs;
  }

  /**
   * Runners that outlived their database remember attempts which it does not know: they would take new attempts of the
   * same number for repeats, and not run them. Creation times are whole seconds.
   */
  async #removeOutlived(pool: PoolObject, memory: Memory): Promise<void> {
    const restored = await this.#p.restoredAt();
    if (restored === undefined) return;
    const outlived = this.#p.pods(pool.namespace, pool.name).filter((pod) => !leaving(pod) && pod.createdAt < Math.floor(restored / 1_000) * 1_000 && !memory.removed.has(pod.uid));
    for (const pod of outlived) {
      memory.removed.add(pod.uid);
      await this.#p.port.deletePod(pool.namespace, pod.name, pod.uid);
    }
  }

  /** A runner pod ends when it drains, after its one node, or because something is wrong: nobody needs it any more. */
  async #removeEnded(pool: PoolObject, memory: Memory, now: number): Promise<void> {
    const seen = this.#p.pods(pool.namespace, pool.name);
    // Pods of an older definition prove nothing: with them a broken new one would be started in a hot loop, and in silence.
    memory.failing.alive(this.#currentPods(pool));
    const ended = seen.filter((pod) => leaving(pod) && !pod.deleting && !memory.removed.has(pod.uid));
    memory.failing.ended(ended.map((pod) => ({ name: pod.name, failed: pod.phase === 'Failed', problem: pod.problem })), now);
    for (const pod of ended) {
      memory.removed.add(pod.uid);
      await this.#p.port.deletePod(pool.namespace, pod.name, pod.uid);
    }
    for (const uid of memory.removed) if (!seen.some((pod) => pod.uid === uid)) memory.removed.delete(uid);
  }

  async #create(pool: PoolObject, memory: Memory, now: number): Promise<void> {
    const suffix = this.#p.suffix();
    const name = `${pool.name.slice(0, 50)}-${suffix}`;
    memory.expected.set(name, now);
    const result = await this.#p.port.createPod(runnerPod(pool, this.#p.settings, suffix));
    if (result.kind === 'Created') return;
    memory.expected.delete(name);
    memory.failing.refused(result.message, now);
  }

  /** Pods that are there and were made from the pool as it is now. */
  #currentPods(pool: PoolObject): readonly RunnerPodObject[] {
    const template = templateHash(pool, this.#p.settings);
    return this.#p.pods(pool.namespace, pool.name).filter((pod) => !leaving(pod) && pod.labels[TEMPLATE_LABEL] === template);
  }

  /** Pods of the watch, and those it has not shown yet: a stale cache must not make the pool grow twice. */
  #pods(pool: PoolObject, memory: Memory, now: number): readonly RunnerPod[] {
    const template = templateHash(pool, this.#p.settings);
    const seen = this.#p.pods(pool.namespace, pool.name);
    for (const pod of seen) memory.expected.delete(pod.name);
    for (const [name, at] of memory.expected) if (now - at > EXPECT_MS) memory.expected.delete(name);
    const known = seen.map((pod) => ({
      name: pod.name, uid: pod.uid, ready: pod.ready, leaving: leaving(pod), createdAt: pod.createdAt,
      busy: this.#p.busy(pool.namespace, pool.name, pod.name), template: pod.labels[TEMPLATE_LABEL] ?? '',
    }));
    const expected = [...memory.expected].map(([name, at]) => ({ name, uid: '', ready: false, leaving: false, createdAt: at, busy: 0, template }));
    return [...known, ...expected];
  }

  /** Conditions are told at once, numbers alone at most once a minute. Returns when to look again where they have to wait. */
  async #report(pool: PoolObject, memory: Memory): Promise<number | undefined> {
    const { ready, starting } = this.counts(pool.namespace, pool.name);
    const current = this.#currentPods(pool).filter((pod) => pod.ready).length;
    const now = this.#p.clock.now();
    const last = memory.status;
    const before = last?.value.conditions ?? pool.conditions;
    const status = poolStatus({ generation: pool.generation, minReady: pool.spec.minReady, ready, starting, current, trouble: memory.failing.trouble }, before, now);
    const news = last === undefined || !sameConditions(before, status.conditions ?? []);
    if (!news && last.value.ready === ready && last.value.starting === starting) return undefined;
    if (!news && now - last.at < STATUS_MS) return last.at + STATUS_MS - now;
    memory.status = { at: now, value: status };
    await this.#p.port.patchStatus(pool, status);
    return undefined;
  }
}

/** Labels by which runner pods are found. */
export const RUNNER_POD_SELECTOR = LABELS.pool;

/** Attempts that one runner takes at once; of a pool that is only about to exist, the default. */
function slotsOf(spec: PoolObject['spec'] | undefined): number {
  if (spec === undefined) return 8;
  return spec.reuse === 'Never' ? 1 : spec.slots;
}

function leaving(pod: RunnerPodObject): boolean {
  return pod.deleting || pod.phase === 'Succeeded' || pod.phase === 'Failed';
}
