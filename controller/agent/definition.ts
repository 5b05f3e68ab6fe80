import type { AgentSpec, AgentStatus } from '../../crds/agent.ts';
import type { ModelSpec, ModelStatus } from '../../crds/model.ts';
import type { Condition } from '../../crds/parts.ts';
import type { ToolServerSpec, ToolServerStatus } from '../../crds/tool-server.ts';

/** A definition as the cache holds it, parsed; `problem` says why it could not be. */
export interface Definition<Spec, Status> {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec?: Spec;
  readonly problem?: string;
  readonly status?: Status | undefined;
}
/** An Agent of the cache. */
export type AgentObject = Definition<AgentSpec, AgentStatus>;
/** A Model of the cache. */
export type ModelObject = Definition<ModelSpec, ModelStatus>;
/** A ToolServer of the cache. */
export type ToolServerObject = Definition<ToolServerSpec, ToolServerStatus>;

/** What every one of these statuses holds. */
export interface AnyStatus {
  readonly observedGeneration?: number | undefined;
  readonly conditions?: readonly Condition[] | undefined;
}

/** What is common to the mirrors: the facts of the object, and whether it is ready. */
export interface MirrorFacts extends Pick<Definition<unknown, unknown>, 'namespace' | 'name' | 'uid' | 'generation' | 'resourceVersion' | 'labels'> {
  /** JSON with defaults; null where it cannot be read. */
  readonly spec: unknown;
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
}

/** The mirror of a definition, given what its status says. */
export function mirrorFacts(object: Definition<unknown, unknown>, status: AnyStatus): MirrorFacts {
  const ready = status.conditions?.find((condition) => condition.type === 'Ready');
  const { namespace, name, uid, generation, resourceVersion, labels, spec } = object;
  return {
    namespace, name, uid, generation, resourceVersion, labels, spec: spec ?? null,
    ready: ready?.status === 'True', reason: ready?.reason ?? 'Pending', message: ready?.message ?? '',
  };
}

/** Whether the status that stands is the one that should. Clocks in it do not count: the same answer again changes nothing. */
export function sameStatus(before: AnyStatus | undefined, after: AnyStatus, clocks: readonly string[] = []): boolean {
  const plain = (status: AnyStatus | undefined): string => JSON.stringify(status, (key: string, value: unknown) => {
    if (clocks.includes(key) || key === 'lastTransitionTime') return undefined;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  });
  return plain(before) === plain(after);
}

/** A merge patch that takes away what the status no longer has. */
export function statusPatch(before: AnyStatus | undefined, after: AnyStatus): Readonly<Record<string, unknown>> {
  const gone = Object.keys(before ?? {}).filter((key) => !Object.hasOwn(after, key));
  return { ...Object.fromEntries(gone.map((key) => [key, null])), ...after };
}
