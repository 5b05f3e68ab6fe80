import { Buffer } from 'node:buffer';
import type { WorkflowRunSpec, RunPhase } from '../../crds/workflow-run.ts';
import type { WorkflowSpec } from '../../crds/workflow.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import { EMPTY } from '../../engine/index.ts';
import type { Compiled } from '../../engine/index.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { Json, NodeError, RunEvent } from '../../engine/types.ts';
import { shardOf } from '../../platform/messages/subjects.ts';
import { withSpan } from '../../platform/tracing/index.ts';
import { doubtful } from './ahead.ts';
import type { Definitions } from './definitions.ts';
import { creation, NO_DEFINITION, refusal, type Acceptance } from './new-run.ts';
import { rests, type CrRef, type LiveRun } from './live-run.ts';
import type { Work } from './ports.ts';
import type { Settled } from './draft.ts';
import { decision, seenOf, wishes, type Seen } from './steering.ts';

/** A WorkflowRun as the cache holds it, parsed; `problems` when it cannot be. */
export interface RunCr {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly createdAt: number;
  readonly spec?: WorkflowRunSpec;
  readonly problem?: string;
  readonly phase?: RunPhase | undefined;
  readonly observedGeneration?: number | undefined;
  /** Its status says that it waits for a person. */
  readonly needsReview?: boolean;
}

/** A Workflow as the API server has it now. */
export interface WorkflowCr {
  readonly spec: WorkflowSpec;
  readonly labels: Readonly<Record<string, string>>;
}

/** What intake needs of the rest of the room. */
export interface IntakeParts {
  readonly clock: Clock;
  readonly owns: (shard: number) => boolean;
  readonly live: (run: string) => LiveRun | undefined;
  readonly submit: (work: Work) => void;
  readonly definitions: Definitions;
  readonly cached: (key: string) => RunCr | undefined;
  /** Quorum read, not the cache: what is pinned must be what the user applied last. */
  readonly workflow: (namespace: string, name: string) => Promise<WorkflowCr | undefined>;
  /** Phase of a run's row, wherever it is. */
  readonly phaseOf: (run: string) => Promise<RunPhase | undefined>;
  /** When this database was last restored, epoch milliseconds; undefined when it never was. */
  readonly restoredAt: () => Promise<number | undefined>;
  readonly project: (run: string, cr: CrRef, phase: RunPhase) => void;
}

/** What the work queue does next with the key. */
export type Outcome = 'done' | { readonly afterMs: number; readonly reason: string };

/** A run whose workflow does not exist (yet) waits so long: manifests of one commit arrive in any order. */
export const WORKFLOW_WAIT_MS = 60_000;

/** Turns WorkflowRun objects into runs and their changes into events. The run's id is the object's uid. */
export class Intake {
  readonly #p: IntakeParts;
  readonly #seen = new Map<string, Seen>();
  /** Keys of runs that wait for a workflow, by `namespace/workflow`. */
  readonly #waiting = new Map<string, Set<string>>();

  constructor(parts: IntakeParts) {
    this.#p = parts;
  }

  /** One pass over one object. */
  async reconcile(key: string): Promise<Outcome> {
    const cr = this.#p.cached(key);
    if (cr === undefined || !this.#p.owns(shardOf(cr.uid))) return 'done';
    const live = this.#p.live(cr.uid);
    // A final object of a run that lives outlived its database: a person may still decide about the run through it.
    if (cr.phase !== undefined && FINAL_PHASES.includes(cr.phase) && live === undefined) {
      if (cr.generation !== cr.observedGeneration) this.#p.project(cr.uid, ref(cr), cr.phase);
      return 'done';
    }
    const phase = await this.#p.phaseOf(cr.uid);
    if (phase === undefined) return withSpan('rambo.run.accept', undefined, { run: cr.uid, namespace: cr.namespace }, (traceparent) => this.#accept(key, cr, traceparent));
    const held = live !== undefined && rests(live);
    const steered = await this.#steer(cr, held);
    if (steered !== undefined) return steered;
    if (phase !== cr.phase || cr.generation !== cr.observedGeneration || held !== (cr.needsReview ?? false)) this.#p.project(cr.uid, ref(cr), phase);
    return 'done';
  }

  /** The object is gone: its run, if it still lives, is cancelled at once. */
  deleted(uid: string): void {
    this.#seen.delete(uid);
    if (this.#p.owns(shardOf(uid))) this.#p.submit({ run: uid, event: { type: 'Cancel', mode: 'Now' } });
  }

  /** Shards went to another replica: what their objects asked for meanwhile is not known here when they return. */
  forget(shards: ReadonlySet<number>): void {
    for (const uid of this.#seen.keys()) if (shards.has(shardOf(uid))) this.#seen.delete(uid);
  }

  /** A workflow appeared: keys of runs that waited for it. */
  workflowAppeared(namespace: string, name: string): readonly string[] {
    const keys = [...(this.#waiting.get(`${namespace}/${name}`) ?? [])];
    this.#waiting.delete(`${namespace}/${name}`);
    return keys;
  }

  async #accept(key: string, cr: RunCr, traceparent: string | undefined): Promise<Outcome> {
    const spec = cr.spec;
    if (spec === undefined) return this.#refuse(cr, NO_DEFINITION, invalid(cr.problem ?? 'the object cannot be read'));
    if (spec.retryFrom !== undefined) return this.#refuse(cr, NO_DEFINITION, { ...invalid('spec.retryFrom is not supported yet'), reason: 'UnsupportedType' });
    const workflow = await this.#definition(key, cr, spec);
    if ('afterMs' in workflow) return workflow;
    if ('error' in workflow) return this.#refuse(cr, NO_DEFINITION, workflow.error);
    const bytes = Buffer.from(JSON.stringify(workflow.spec));
    const definition = await this.#p.definitions.get(bytes);
    const refused = refusal(definition, json(spec.input));
    if (refused !== undefined || !definition.ok) return this.#refuse(cr, bytes, refused ?? invalid('the workflow is invalid'), spec);
    const hold = doubtful(cr, await this.#p.restoredAt());
    const accepted = { ...acceptance(cr, bytes, spec), ...(hold === undefined ? {} : { hold }), priority: spec.priority ?? workflow.spec.priority ?? 0, workflowLabels: workflow.labels, ...(traceparent === undefined ? {} : { traceparent }) };
    const settled = await this.#create({ ...accepted, suspended: spec.suspend === true || workflow.spec.suspend === true }, definition.compiled, undefined);
    if (settled.status === 'Retry') return { afterMs: 200, reason: settled.message };
    this.#remember(cr);
    if (spec.cancel !== undefined && hold === undefined) await this.#submit(cr.uid, { type: 'Cancel', mode: spec.cancel });
    return 'done';
  }

  async #definition(key: string, cr: RunCr, spec: WorkflowRunSpec): Promise<WorkflowCr | { error: NodeError } | Exclude<Outcome, 'done'>> {
    if (spec.workflow !== undefined) return { spec: spec.workflow, labels: {} };
    const name = spec.workflowRef?.name;
    if (name === undefined) return { error: invalid('spec: give exactly one of workflowRef and workflow') };
    // Registered before the read: a workflow that appears in between is not missed.
    const place = `${cr.namespace}/${name}`;
    this.#waiting.set(place, (this.#waiting.get(place) ?? new Set()).add(key));
    const found = await this.#p.workflow(cr.namespace, name);
    if (found !== undefined) {
      this.#waiting.get(place)?.delete(key);
      return found;
    }
    const left = cr.createdAt + WORKFLOW_WAIT_MS - this.#p.clock.now();
    if (left > 0) return { afterMs: left, reason: `workflow ${name} does not exist yet` };
    this.#waiting.get(place)?.delete(key);
    const message = `spec.workflowRef.name: workflow ${name} does not exist in namespace ${cr.namespace}`;
    return { error: { class: 'Invalid', reason: 'WorkflowNotFound', message } };
  }

  async #refuse(cr: RunCr, definition: Uint8Array, error: NodeError, spec?: WorkflowRunSpec): Promise<Outcome> {
    const settled = await this.#create({ ...acceptance(cr, definition, spec), suspended: false }, EMPTY, error);
    return settled.status === 'Retry' ? { afterMs: 200, reason: settled.message } : 'done';
  }

  #create(accepted: Acceptance, compiled: Compiled, refused: NodeError | undefined): Promise<Settled> {
    return new Promise((resolve) => {
      for (const work of creation(accepted, compiled, refused, resolve)) this.#p.submit(work);
    });
  }

  /** After a restart the observed generation tells whether the spec was heeded. */
  async #steer(cr: RunCr, held: boolean): Promise<Outcome | undefined> {
    const seen = this.#seen.get(cr.uid);
    if (cr.spec === undefined || seen?.generation === cr.generation) return undefined;
    if (seen === undefined && cr.observedGeneration === cr.generation) {
      this.#remember(cr);
      return undefined;
    }
    for (const event of held ? decision(cr, seen) : wishes(cr, seen)) {
      const settled = await this.#submit(cr.uid, event);
      if (settled.status === 'Retry') return { afterMs: 200, reason: settled.message };
    }
    this.#remember(cr);
    return undefined;
  }

  #remember(cr: RunCr): void {
    this.#seen.set(cr.uid, seenOf(cr));
  }

  #submit(run: string, event: RunEvent): Promise<Settled> {
    return new Promise((resolve) => { this.#p.submit({ run, event, settle: resolve }); });
  }
}

function ref(cr: RunCr): CrRef {
  return { namespace: cr.namespace, name: cr.name, uid: cr.uid };
}

function acceptance(cr: RunCr, definition: Uint8Array, spec: WorkflowRunSpec | undefined): Omit<Acceptance, 'suspended'> {
  const workflowName = spec?.workflowRef?.name;
  return {
    id: cr.uid, shard: shardOf(cr.uid), namespace: cr.namespace, name: cr.name, source: 'cr', cr: ref(cr),
    principal: `workflowrun:${cr.namespace}/${cr.name}`, definition, input: json(spec?.input), priority: spec?.priority ?? 0,
    ...(workflowName === undefined ? {} : { workflowName }),
  };
}

function json(value: unknown): Json {
  const parsed: Json = value === undefined ? {} : JSON.parse(JSON.stringify(value));
  return parsed;
}

function invalid(message: string): NodeError {
  return { class: 'Invalid', reason: 'Invalid', message };
}
