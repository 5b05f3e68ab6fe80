import { API_VERSION, LABELS, MANAGED_BY } from '../../crds/names.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { PoolObject } from './runner-pod.ts';

/** A rule of a NetworkPolicy's `egress`, as Kubernetes has it. */
export type EgressRule = Readonly<Record<string, unknown>>;

/** A NetworkPolicy of ours as the watch shows it. */
export interface SeenPolicy {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly spec: unknown;
}

/** What the policies of pools need. */
export interface PoolNetworkParts {
  readonly clock: Clock;
  /** What every runner has to reach, whatever its pool lists: DNS, NATS. */
  readonly base: readonly EgressRule[];
  readonly seen: (namespace: string, name: string) => SeenPolicy | undefined;
  /** Server-side apply of a whole NetworkPolicy. */
  readonly apply: (policy: NetworkPolicy) => Promise<void>;
  /** Deletes exactly that object; one that is gone is deleted. */
  readonly remove: (namespace: string, name: string, uid: string) => Promise<void>;
}

/** A NetworkPolicy of a pool, every default written out, so that it can be compared with what the API server keeps. */
export interface NetworkPolicy {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: Readonly<Record<string, string>>; readonly ownerReferences: readonly object[] };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** A policy that was written counts until the watch has shown it, at most so long. */
const EXPECT_MS = 30_000;

/** Name of the NetworkPolicy of a pool. */
export function networkPolicyName(pool: string): string {
  return `rambo-pool-${pool}`;
}

/**
 * Label of pods whose pool lists what they may reach, warm ones and those of single attempts. The chart's policy for
 * runners, which opens public addresses, leaves them out: policies add up, so with it a list would forbid nothing.
 */
export function egressLabels(pool: PoolObject | undefined): Readonly<Record<string, string>> {
  return pool?.spec.networkPolicy === undefined ? {} : { [LABELS.egress]: pool.name };
}

/** The policy of a pool that lists what its pods reach: nobody calls them, they call the base and the list. Undefined for others. */
export function networkPolicy(pool: PoolObject, base: readonly EgressRule[]): NetworkPolicy | undefined {
  const { networkPolicy: wanted } = pool.spec;
  if (wanted === undefined) return undefined;
  const listed = (wanted.egress ?? []).map(({ cidr, ports }) => ({
    ...(ports === undefined || ports.length === 0 ? {} : { ports: ports.map((port) => ({ port, protocol: 'TCP' })) }),
    to: [{ ipBlock: { cidr } }],
  }));
  return {
    apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy',
    metadata: {
      name: networkPolicyName(pool.name), namespace: pool.namespace, labels: { [LABELS.managedBy]: MANAGED_BY, [LABELS.pool]: pool.name },
      ownerReferences: [{ apiVersion: API_VERSION, kind: 'RunnerPool', name: pool.name, uid: pool.uid, controller: true, blockOwnerDeletion: false }],
    },
    spec: { podSelector: { matchLabels: { [LABELS.egress]: pool.name } }, policyTypes: ['Ingress', 'Egress'], egress: [...base, ...listed] },
  };
}

/** Keeps one NetworkPolicy for each pool that lists what its pods may reach. */
export class PoolNetworks {
  readonly #p: PoolNetworkParts;
  /** What was written last, over which version: an answer that differs for ever must not be written for ever. */
  readonly #tried = new Map<string, { readonly what: string; readonly at: number }>();

  constructor(parts: PoolNetworkParts) {
    this.#p = parts;
  }

  /** Brings the policy of a pool to what its spec says. To be called before its pods are made. */
  async reconcile(pool: PoolObject): Promise<void> {
    const { namespace } = pool;
    const name = networkPolicyName(pool.name);
    const key = `${namespace}/${name}`;
    const seen = this.#p.seen(namespace, name);
    const wanted = networkPolicy(pool, this.#p.base);
    if (wanted === undefined) {
      this.#tried.delete(key);
      if (seen !== undefined) await this.#p.remove(namespace, name, seen.uid);
      return;
    }
    const spec = canonical(wanted.spec);
    if (seen !== undefined && canonical(seen.spec) === spec) {
      this.#tried.delete(key);
      return;
    }
    const what = `${pool.uid} ${seen?.resourceVersion ?? ''} ${spec}`;
    const now = this.#p.clock.now();
    const tried = this.#tried.get(key);
    if (tried?.what === what && (seen !== undefined || now - tried.at < EXPECT_MS)) return;
    await this.#p.apply(wanted);
    this.#tried.set(key, { what, at: now });
  }
}

/** JSON with the fields of objects in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) => (field !== null && typeof field === 'object' && !Array.isArray(field)
    ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
    : field));
}
