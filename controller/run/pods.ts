import type { NodeSpec, RunnerSpec } from '../../crds/node.ts';
import { LABELS } from '../../crds/names.ts';
import { redispatch } from '../../engine/index.ts';
import { doubling, type Clock } from '../../platform/clock/index.ts';
import { errorMessage, UnavailableError } from '../../platform/errors/index.ts';
import type { Leases } from './leases.ts';
import type { LiveRun } from './live-run.ts';
import type { LogStore } from './log-files.ts';
import { attemptPodName } from './pod-name.ts';
import { podGone, podOutcome, type PodOutcome, type PodView } from './pod-outcome.ts';
import { attemptPod, containerPod, deadlineSeconds, MAIN_CONTAINER, type Manifest, type PodOwner, type PodRequest } from './pod-template.ts';
import type { Outgoing, Work } from './ports.ts';
import type { AttemptSecrets } from './secrets.ts';
import { StrayPods, type PodAttempt, type StrayParts } from './stray-pods.ts';

/** A pod as the watch shows it. */
export interface PodObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly view: PodView;
}

/** The API server, as far as attempt pods go. */
export interface PodPort {
  /** Creates it; `Exists` counts as success when it is ours. `Refused`: the API server will never take it. */
  create(pod: Manifest): Promise<{ readonly kind: 'Created' | 'Exists' } | { readonly kind: 'Refused'; readonly message: string }>;
  /** Deletes exactly this pod; a pod that is gone is deleted. */
  remove(namespace: string, name: string, uid: string | undefined, graceSeconds: number): Promise<void>;
  get(namespace: string, name: string): Promise<PodObject | undefined>;
  logs(namespace: string, name: string, container: string, limitBytes: number): Promise<string>;
  cached(namespace: string, name: string): PodObject | undefined;
}

/** What the pool room makes of an attempt that wants a runner pod of its own; undefined while the pool does not exist. */
export type RunnerSpecOf = (namespace: string, pool: string, attempt: {
  readonly runner: RunnerSpec; readonly env: Readonly<Record<string, string>>; readonly activeDeadlineSeconds?: number;
}) => Manifest | undefined;

/** What the pods of attempts need. */
export interface PodParts {
  readonly clock: Clock;
  readonly port: PodPort;
  readonly leases: Leases;
  readonly logs: LogStore;
  readonly submit: (work: Work) => void;
  readonly owns: (run: string) => boolean;
  readonly owner: (live: LiveRun, pool: string) => PodOwner | undefined;
  readonly nodeSpec: (live: LiveRun, node: string) => NodeSpec | undefined;
  readonly runnerSpec: RunnerSpecOf;
  /** Labels that a pool gives the pods of its attempts. */
  readonly labels: (namespace: string, pool: string) => Readonly<Record<string, string>>;
  readonly secrets: AttemptSecrets;
  readonly current: StrayParts['current'];
  readonly log: { warn(facts: object, message: string): void };
}

/** After so long the pod of an ended attempt is removed again that could not be removed: the API server was away. Doubles each time. */
const CLEAN_AGAIN_MS = 2_000;
const CLEAN_AGAIN_MAX_MS = 60_000;

/** The attempt a pod stands for, from its labels; undefined when they are not ours or its name is not the derived one. */
export function attemptOf(pod: PodObject): PodAttempt | undefined {
  const run = pod.labels[LABELS.runId];
  const node = pod.labels[LABELS.node];
  const place = /^(x|[0-9]+)\.([0-9]+)$/.exec(pod.labels[LABELS.attempt] ?? '');
  if (run === undefined || node === undefined || place === null) return undefined;
  const item = place[1] === 'x' ? -1 : Number(place[1]);
  const attempt = Number(place[2]);
  return attemptPodName(run, node, item, attempt) === pod.name ? { run, node, item, attempt } : undefined;
}

/** Pods of single attempts: made after the commit, read from the watch, removed once their end is recorded. */
export class AttemptPods {
  readonly #p: PodParts;
  /** Pods whose end was handed in and waits for its commit. */
  readonly #ending = new Set<string>();
  readonly #strays: StrayPods;

  constructor(parts: PodParts) {
    this.#p = parts;
    this.#strays = new StrayPods(parts);
  }

  /** Makes the pod of an attempt. Throws when it is not certain that it exists: only then the outbox row stays. */
  async create(out: Outgoing): Promise<void> {
    const dispatch = redispatch(out.live.state, out.node, out.item);
    const node = this.#p.nodeSpec(out.live, out.node);
    if (dispatch?.attempt !== out.attempt || node === undefined) return;
    const owner = this.#p.owner(out.live, dispatch.pool);
    const workflow = out.live.meta.workflowName;
    const { traceparent } = out.live;
    const labels = this.#p.labels(out.live.meta.namespace, dispatch.pool);
    const request = { labels, run: { ...out.live.meta, ...(traceparent === undefined ? {} : { traceparent }) }, node, dispatch, ...(owner === undefined ? {} : { owner }), ...(workflow === undefined ? {} : { workflow }) };
    const result = await this.#p.port.create(dispatch.type === 'container' ? containerPod(request) : this.#runnerPod(out.live, request));
    if (result.kind === 'Refused') {
      this.#p.submit({ run: out.live.id, event: {
        type: 'Failed', node: out.node, item: out.item, attempt: out.attempt,
        error: { class: 'Invalid', reason: 'PodRefused', message: result.message },
      } });
    }
  }

  /** A runner that asks for exactly this attempt. Throws while its pool does not exist: the dispatch is then tried again. */
  #runnerPod(live: LiveRun, request: PodRequest): Manifest {
    const { node, dispatch, run } = request;
    const deadline = deadlineSeconds(dispatch);
    const spec = this.#p.runnerSpec(run.namespace, dispatch.pool, {
      runner: node.runner ?? {},
      env: {
        RAMBO_FETCH: JSON.stringify({ run: run.id, node: dispatch.node, item: dispatch.item, attempt: dispatch.attempt, shard: live.shard }),
        RAMBO_FETCH_SECRET: this.#p.secrets.of(run.id, dispatch.node, dispatch.item, dispatch.attempt),
      },
      ...(deadline === undefined ? {} : { activeDeadlineSeconds: deadline }),
    });
    if (spec === undefined) throw new UnavailableError(`runner pool ${run.namespace}/${dispatch.pool}`);
    return attemptPod(request, spec);
  }

  /** The watch showed a pod. */
  seen(pod: PodObject): void {
    const of = attemptOf(pod);
    if (of === undefined || !this.#p.owns(of.run)) return;
    const outcome = podOutcome(pod.view);
    if (outcome.kind === 'Pending' || outcome.kind === 'Running') this.#strays.look(of, pod);
    if (outcome.kind === 'Pending') return;
    if (outcome.kind === 'Running') {
      // A runner says itself when it has its attempt: a container that runs may be no runner at all.
      if (pod.view.runner !== true) this.#running(of, pod, outcome.startedAt);
      return;
    }
    this.#ended(of, pod, outcome);
  }

  /** The watch showed that a pod is gone. */
  gone(pod: PodObject): void {
    const of = attemptOf(pod);
    if (of === undefined || !this.#p.owns(of.run) || this.#ending.has(pod.uid)) return;
    const outcome = podGone(pod.name);
    if (outcome.kind === 'Failed') this.#p.submit({ run: of.run, event: { type: 'Failed', node: of.node, item: of.item, attempt: of.attempt, error: outcome.error } });
  }

  /** Stops the pod of an attempt that no longer counts; where the API server does not answer, again and again. */
  async cancel(namespace: string, run: string, node: string, item: number, attempt: number, graceMs: number, tries = 0): Promise<void> {
    const name = attemptPodName(run, node, item, attempt);
    try {
      await this.#p.port.remove(namespace, name, undefined, Math.ceil(graceMs / 1_000));
    } catch (error) {
      this.#p.log.warn({ run, pod: name, err: errorMessage(error) }, 'could not remove the pod of a cancelled attempt; trying again');
      this.#p.clock.after(doubling(CLEAN_AGAIN_MS, CLEAN_AGAIN_MAX_MS, tries), () => { if (this.#p.owns(run)) void this.cancel(namespace, run, node, item, attempt, graceMs, tries + 1); });
    }
  }

  /** Finds attempts whose pod nobody will ever report: it vanished while no controller watched. */
  async sweep(ageMs: number): Promise<void> {
    const oldest = this.#p.clock.monotonic() - ageMs;
    for (const lease of this.#p.leases.all()) {
      if (lease.mode !== 'pod' || lease.seen > oldest) continue;
      const name = attemptPodName(lease.run, lease.node, lease.item, lease.attempt);
      lease.seen = this.#p.clock.monotonic();
      const pod = this.#p.port.cached(lease.namespace, name) ?? await this.#p.port.get(lease.namespace, name);
      if (pod !== undefined) this.seen(pod);
      else this.gone({ namespace: lease.namespace, name, uid: '', view: {}, labels: labelsOf(lease) });
    }
  }

  #running(of: PodAttempt, pod: PodObject, startedAt: number | undefined): void {
    const lease = this.#p.leases.beat(of.run, of.node, of.item, of.attempt, pod.name);
    if (lease === undefined || lease.taken) return;
    lease.taken = true;
    this.#p.submit({ run: of.run, event: { type: 'Taken', ...place(of), at: startedAt ?? this.#p.clock.now() } });
  }

  #ended(of: PodAttempt, pod: PodObject, outcome: Exclude<PodOutcome, { kind: 'Pending' | 'Running' }>): void {
    if (this.#ending.has(pod.uid)) return;
    this.#ending.add(pod.uid);
    const startedAt = outcome.startedAt === undefined ? {} : { startedAt: outcome.startedAt };
    const event = outcome.kind === 'Succeeded'
      ? { type: 'Succeeded' as const, ...place(of), output: outcome.output, ...startedAt }
      : { type: 'Failed' as const, ...place(of), error: outcome.error, ...startedAt };
    this.#p.submit({ run: of.run, event, settle: (settled) => {
      if (settled.status === 'Retry') {
        // Not recorded: the next look at the pod hands it in again.
        this.#ending.delete(pod.uid);
        this.#p.clock.after(500, () => { this.seen(pod); });
        return;
      }
      void this.#cleanUp(of, pod);
    } });
  }

  /** The result is durable: keep the log, then remove the pod. Both may be lost to a crash; the pod's owner collects it then. */
  async #cleanUp(of: PodAttempt, pod: PodObject, tries = 0): Promise<void> {
    try {
      // A runner sends its log as it comes; a user's container leaves it with the kubelet.
      const text = pod.view.runner === true ? '' : await this.#p.port.logs(pod.namespace, pod.name, MAIN_CONTAINER, 1_048_576).catch(() => '');
      if (text !== '') await this.#p.logs.append(of, 0, text);
      await this.#p.port.remove(pod.namespace, pod.name, pod.uid, 0);
      this.#ending.delete(pod.uid);
    } catch (error) {
      this.#p.log.warn({ run: of.run, pod: pod.name, err: errorMessage(error) }, 'could not remove the pod of an ended attempt; trying again');
      // The cache is not asked: a watch that is silent may never have shown the pod. Another owner sees to it by its own list.
      this.#p.clock.after(doubling(CLEAN_AGAIN_MS, CLEAN_AGAIN_MAX_MS, tries), () => {
        if (this.#p.owns(of.run)) void this.#cleanUp(of, pod, tries + 1);
        else this.#ending.delete(pod.uid);
      });
    }
  }
}

function place(of: { node: string; item: number; attempt: number }): { node: string; item: number; attempt: number } {
  return { node: of.node, item: of.item, attempt: of.attempt };
}

function labelsOf(lease: PodAttempt): Record<string, string> {
  return { [LABELS.runId]: lease.run, [LABELS.node]: lease.node, [LABELS.attempt]: `${lease.item < 0 ? 'x' : lease.item}.${lease.attempt}` };
}
