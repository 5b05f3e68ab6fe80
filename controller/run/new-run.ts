import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createRun } from '../../engine/index.ts';
import type { Compiled } from '../../engine/index.ts';
import { validateInput } from '../../engine/index.ts';
import type { Json, NodeError, RunEvent } from '../../engine/types.ts';
import type { NewRunRecord } from './draft.ts';
import { definitionHash, problemsError, type Definition } from './definitions.ts';
import type { CrRef, LiveRun, RunSource } from './live-run.ts';
import type { Work } from './ports.ts';

/** Everything known of a run at its acceptance. */
export interface Acceptance {
  readonly id: string;
  readonly shard: number;
  readonly namespace: string;
  readonly name: string;
  readonly source: RunSource;
  readonly cr?: CrRef;
  readonly principal: string;
  readonly workflowName?: string;
  readonly workflowLabels?: Readonly<Record<string, string>>;
  /** JSON of the Workflow spec, pinned as it is now. */
  readonly definition: Uint8Array;
  readonly input: Json;
  readonly priority: number;
  readonly suspended: boolean;
  /** Why it waits for a person before it starts: it may have run already. */
  readonly hold?: string;
  readonly idempotency?: { readonly key: string; readonly bodyHash: string };
  readonly traceparent?: string;
}

/** What is stored as the definition of a run whose own could not even be read. */
export const NO_DEFINITION = Buffer.from('null');

/** Problems of definition or input, or undefined when the run may start. */
export function refusal(definition: Definition, input: Json): NodeError | undefined {
  if (!definition.ok) return problemsError(definition.problems);
  const problems = validateInput(definition.compiled, input);
  return problems.length === 0 ? undefined : problemsError(problems);
}

/** The works that make a run exist: its creation with Start, or with Reject when it is refused; Suspend before Start. */
export function creation(accepted: Acceptance, compiled: Compiled, refused: NodeError | undefined, settle: Work['settle']): readonly Work[] {
  const create = { live: newLive(accepted, compiled), record: record(accepted) };
  const first: RunEvent = refused !== undefined ? { type: 'Reject', error: refused } : accepted.hold === undefined ? { type: 'Start' } : { type: 'Hold', why: accepted.hold };
  const told = settle === undefined ? {} : { settle };
  if (!accepted.suspended || refused !== undefined || accepted.hold !== undefined) return [{ run: accepted.id, event: first, create, ...told }];
  return [{ run: accepted.id, event: { type: 'Suspend' }, create }, { run: accepted.id, event: first, ...told }];
}

function newLive(accepted: Acceptance, compiled: Compiled): LiveRun {
  const meta = {
    id: accepted.id, name: accepted.name, namespace: accepted.namespace, input: accepted.input, priority: accepted.priority,
    ...(accepted.workflowName === undefined ? {} : { workflowName: accepted.workflowName }),
    ...(accepted.workflowLabels === undefined ? {} : { workflowLabels: accepted.workflowLabels }),
  };
  return {
    id: accepted.id, shard: accepted.shard, meta, compiled, state: createRun(compiled, meta), source: accepted.source,
    version: 0, sends: new Map(),
    ...(accepted.cr === undefined ? {} : { cr: accepted.cr }),
    ...(accepted.traceparent === undefined ? {} : { traceparent: accepted.traceparent }),
  };
}

function record(accepted: Acceptance): NewRunRecord {
  const input = Buffer.from(JSON.stringify(accepted.input));
  return {
    definition: accepted.definition,
    definitionHash: definitionHash(accepted.definition),
    specHash: createHash('sha256').update(accepted.definition).update(input).digest('hex'),
    input,
    principal: accepted.principal,
    ...(accepted.idempotency === undefined ? {} : { idempotency: accepted.idempotency }),
  };
}
