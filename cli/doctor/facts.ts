import type { AppliedMigration, DatabaseFacts } from '../../prisma/backup/index.ts';

/** Something that could not be looked at, and why. */
export interface Unseen { readonly unseen: string }

/** A condition as an object has it. */
export interface ConditionFact { readonly type: string; readonly status: string; readonly reason?: string | undefined; readonly message?: string | undefined }

/** One of our objects: its name and how it is, never its spec, its input or its outputs. */
export interface ObjectFact {
  readonly namespace: string;
  readonly name: string;
  readonly generation?: number | undefined;
  readonly phase?: string | undefined;
  readonly progress?: string | undefined;
  readonly ready?: number | undefined;
  readonly minReady?: number | undefined;
  readonly conditions: readonly ConditionFact[];
}

/** A container of a pod. */
export interface ContainerFact {
  readonly name: string;
  readonly image: string;
  readonly ready: boolean;
  readonly restarts: number;
  /** `running`, `waiting: ImagePullBackOff`, `terminated: OOMKilled`. */
  readonly state: string;
  readonly message?: string | undefined;
  /** Names of its environment; values only of RamBo's own plain settings. */
  readonly env: Readonly<Record<string, string>>;
}

/** A pod of ours. */
export interface PodFact {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  readonly ready: boolean;
  readonly pool?: string | undefined;
  readonly run?: string | undefined;
  readonly component?: string | undefined;
  /** Port of /readyz and /metrics, by its name in the pod. */
  readonly healthPort?: number | undefined;
  readonly message?: string | undefined;
  readonly containers: readonly ContainerFact[];
}

/** A definition of a kind. */
export interface CrdFact {
  readonly name: string;
  readonly present: boolean;
  readonly established: boolean;
  readonly versions: readonly string[];
  /** Fields of the spec that this release knows and the served one lacks: an old definition prunes them. */
  readonly missingFields: readonly string[];
}

/** A warning the cluster noted. */
export interface EventFact { readonly namespace: string; readonly kind: string; readonly name: string; readonly reason: string; readonly message: string; readonly count: number; readonly at: string }

/** What the API server tells. */
export interface ClusterFacts {
  readonly version: string;
  readonly crds: readonly CrdFact[];
  readonly workflows: readonly ObjectFact[];
  readonly pools: readonly ObjectFact[];
  /** Runs by phase. */
  readonly runs: Readonly<Record<string, number>>;
  /** Runs that are stalled, at most 100, those that wait for a person first. */
  readonly stalled: readonly ObjectFact[];
  readonly pods: readonly PodFact[];
  readonly events: readonly EventFact[];
  readonly unanswered: readonly string[];
}

/** A process whose health port was asked. */
export interface ProcessFact {
  readonly name: string;
  /** Answer of /readyz: `ready`, or what is missing; undefined when it did not answer. */
  readonly ready: boolean | undefined;
  readonly says: string;
  /** Text of /metrics. */
  readonly metrics?: string;
}

/** Everything doctor looked at. */
export interface Facts {
  readonly at: number;
  readonly version: string;
  readonly known: readonly AppliedMigration[];
  readonly database: DatabaseFacts | Unseen;
  readonly cluster: ClusterFacts | Unseen;
  readonly processes: readonly ProcessFact[];
}
