import { Buffer } from 'node:buffer';
import type { Condition } from '../../crds/parts.ts';
import type { WorkflowSpec, WorkflowStatus } from '../../crds/workflow.ts';
import { compile } from '../../engine/index.ts';
import type { Problem } from '../../engine/types.ts';
import type { Clock } from '../../platform/clock/index.ts';

/** A Workflow as the cache holds it, parsed; `problem` when it cannot be. */
export interface WorkflowObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec?: WorkflowSpec;
  readonly problem?: string;
  readonly status?: WorkflowStatus | undefined;
}

/** A definition as it is mirrored into Postgres. */
export interface WorkflowMirror {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly phase: 'Ready' | 'Invalid';
  readonly spec: Uint8Array;
  readonly problems: readonly Problem[];
  readonly nodes: readonly { readonly name: string; readonly type: string; readonly config: Uint8Array }[];
}

/** What mirroring needs. */
export interface MirrorParts {
  readonly clock: Clock;
  readonly cached: (key: string) => WorkflowObject | undefined;
  /** Only the owner of the singleton shard writes. */
  readonly owns: () => boolean;
  readonly store: {
    upsert(mirror: WorkflowMirror): Promise<void>;
    /** Removes the mirror of exactly that object. */
    remove(namespace: string, name: string, uid: string): Promise<void>;
  };
  readonly patchStatus: (object: WorkflowObject, status: WorkflowStatus) => Promise<void>;
}

/** Mirrors definitions into Postgres and says in their status whether they can run. Keys are `namespace/name`. */
export class WorkflowMirrors {
  readonly #p: MirrorParts;
  readonly #deleted = new Map<string, readonly string[]>();

  constructor(parts: MirrorParts) {
    this.#p = parts;
  }

  /** The watch showed a deletion: the next pass removes the mirror of that object. */
  deleted(key: string, uid: string): void {
    this.#deleted.set(key, [...(this.#deleted.get(key) ?? []), uid]);
  }

  /** One pass over one Workflow. Writes only what differs, so a second pass writes nothing. */
  async reconcile(key: string): Promise<'done'> {
    if (!this.#p.owns()) return 'done';
    const [namespace = '', name = ''] = key.split('/');
    const object = this.#p.cached(key);
    if (object === undefined) {
      for (const uid of this.#deleted.get(key) ?? []) await this.#p.store.remove(namespace, name, uid);
      this.#deleted.delete(key);
      return 'done';
    }
    const problems = problemsOf(object);
    await this.#p.store.upsert(mirrorOf(object, problems));
    const status = workflowStatus(object, problems, this.#p.clock.now());
    if (!sameStatus(object.status, status)) await this.#p.patchStatus(object, status);
    return 'done';
  }
}

function problemsOf(object: WorkflowObject): readonly Problem[] {
  if (object.spec === undefined) return [{ field: 'spec', reason: 'Invalid', message: object.problem ?? 'the object cannot be read' }];
  const compiled = compile(object.spec);
  return compiled.ok ? [] : compiled.problems;
}

function mirrorOf(object: WorkflowObject, problems: readonly Problem[]): WorkflowMirror {
  const { namespace, name, uid, generation, resourceVersion, labels, spec } = object;
  const nodes = [...(spec?.nodes ?? []), ...(spec?.onExit ?? [])];
  return {
    namespace, name, uid, generation, resourceVersion, labels, problems,
    phase: problems.length === 0 ? 'Ready' : 'Invalid',
    spec: Buffer.from(JSON.stringify(spec ?? null)),
    nodes: nodes.map((node) => ({ name: node.name, type: node.type, config: Buffer.from(JSON.stringify(node)) })),
  };
}

/** The status a Workflow should have. */
export function workflowStatus(object: WorkflowObject, problems: readonly Problem[], now: number): WorkflowStatus {
  const ready = problems.length === 0;
  const nodeCount = (object.spec?.nodes.length ?? 0) + (object.spec?.onExit?.length ?? 0);
  const before = object.status?.conditions ?? [];
  const reason = ready ? 'Valid' : 'Invalid';
  const message = ready ? 'the workflow can run' : describe(problems);
  const make = (type: string, on: boolean): Condition => {
    const status = on ? 'True' : 'False';
    const old = before.find((c) => c.type === type);
    const lastTransitionTime = old?.status === status ? old.lastTransitionTime : new Date(now).toISOString();
    return { type, status, observedGeneration: object.generation, lastTransitionTime, reason, message };
  };
  return {
    observedGeneration: object.generation,
    phase: ready ? 'Ready' : 'Invalid',
    nodeCount,
    conditions: [make('Ready', ready), make('Reconciling', false), make('Stalled', !ready)],
  };
}

function describe(problems: readonly Problem[]): string {
  const shown = problems.slice(0, 5).map((p) => `${p.node === undefined ? '' : `node ${p.node}: `}${p.field}: ${p.message}`);
  const more = problems.length > shown.length ? ` (and ${problems.length - shown.length} more)` : '';
  return (shown.join('; ') + more).slice(0, 4_096);
}

function sameStatus(a: WorkflowStatus | undefined, b: WorkflowStatus): boolean {
  const pick = (s: WorkflowStatus | undefined): string => JSON.stringify([s?.observedGeneration, s?.phase, s?.nodeCount,
    s?.conditions?.map((c) => [c.type, c.status, c.reason, c.message, c.observedGeneration])]);
  return pick(a) === pick(b);
}
