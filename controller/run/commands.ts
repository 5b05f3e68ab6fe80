import { Buffer } from 'node:buffer';
import { errorMessage } from '../../platform/errors/index.ts';
import { runCommandSchema, type CommandReply, type RunCommand } from '../../platform/messages/payloads.ts';
import { shardOf } from '../../platform/messages/subjects.ts';
import { withSpan } from '../../platform/tracing/index.ts';
import type { Json, RunEvent } from '../../engine/types.ts';
import type { Definitions } from './definitions.ts';
import { openMessage, type DeadLetters } from './door.ts';
import type { Settled } from './draft.ts';
import { creation, refusal } from './new-run.ts';
import type { Work } from './ports.ts';

type Start = Extract<RunCommand, { verb: 'start' }>;

/** A definition as the controller knows it. */
export interface KnownWorkflow {
  readonly spec: Uint8Array;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
}

/** A run that an idempotency key stands for already. */
export interface StartedBefore {
  readonly runId: string;
  readonly bodyHash: string;
}

/** What commands need of the rest of the room. */
export interface CommandParts {
  readonly owns: (shard: number) => boolean;
  readonly submit: (work: Work) => void;
  readonly definitions: Definitions;
  readonly workflow: (namespace: string, name: string) => Promise<KnownWorkflow | undefined>;
  readonly startedBefore: (namespace: string, principal: string, key: string) => Promise<StartedBefore | undefined>;
  readonly exists: (run: string) => Promise<boolean>;
  /** Namespaces whose runs are taken; all when empty. */
  readonly watched: readonly string[];
  readonly dead: DeadLetters;
}

/** Takes a command of the API. Answered after the commit; every verb may be repeated. */
export async function takeCommand(parts: CommandParts, subject: string, payload: Uint8Array): Promise<CommandReply> {
  const command = openMessage(runCommandSchema, subject, payload, parts.dead);
  if (command === undefined) return refuse('Invalid', 'the command cannot be read');
  if (!parts.owns(shardOf(command.runId))) return refuse('NotOwner', 'this controller does not own the run');
  try {
    if (command.verb === 'start') {
      const { runId: run, namespace, traceparent } = command;
      return await withSpan('rambo.run.start', traceparent, { run, namespace }, (own) => start(parts, own === undefined ? command : { ...command, traceparent: own }));
    }
    return await steer(parts, command.runId, steering(command));
  } catch (error) {
    return refuse('Unavailable', errorMessage(error));
  }
}

function steering(command: Exclude<RunCommand, Start>): RunEvent {
  switch (command.verb) {
    case 'cancel': return { type: 'Cancel', mode: command.mode };
    case 'suspend': return { type: 'Suspend' };
    case 'resume': return { type: 'Resume' };
    case 'wake': return { type: 'Wake', node: command.node, item: command.item };
  }
}

function steer(parts: CommandParts, run: string, event: RunEvent): Promise<CommandReply> {
  return new Promise((resolve) => {
    parts.submit({ run, event, settle: (settled) => {
      // A run that has ended left memory: cancelling it again is no error, cancelling nothing is one.
      if (settled.status !== 'Unknown') resolve(reply(run, settled));
      else parts.exists(run).then((known) => { resolve(known ? reply(run, { status: 'Unchanged' }) : refuse('NotFound', `run ${run} does not exist`)); },
        (error: unknown) => { resolve(refuse('Unavailable', errorMessage(error))); });
    } });
  });
}

async function start(parts: CommandParts, command: Start): Promise<CommandReply> {
  const reply = await startOnce(parts, command);
  // The insert of a run that is there already is a conflict, told as `Unavailable`: only then its row is looked for.
  return reply.code === 'Unavailable' && await parts.exists(command.runId) ? { v: 1, ok: true, runId: command.runId, repeated: true } : reply;
}

async function startOnce(parts: CommandParts, command: Start): Promise<CommandReply> {
  const { watched } = parts;
  if (watched.length > 0 && !watched.includes(command.namespace)) {
    return refuse('Invalid', `namespace ${command.namespace} is not one this installation runs workflows of (${watched.join(', ')}): start it there, or add the namespace to watchNamespaces of the chart`);
  }
  const before = await repeated(parts, command);
  if (before !== undefined) return before;
  if (command.retryFrom !== undefined) return refuse('Invalid', 'retryFrom is not supported yet');
  const workflow = await workflowOf(parts, command);
  if (!('spec' in workflow)) return workflow;
  const definition = await parts.definitions.get(workflow.spec);
  const input: Json = JSON.parse(command.input);
  const refused = refusal(definition, input);
  if (refused !== undefined || !definition.ok) return refuse('Invalid', refused?.message ?? 'the definition is invalid');
  const { idempotencyKey, bodyHash } = command;
  return new Promise((resolve) => {
    const works = creation({
      id: command.runId, shard: shardOf(command.runId), namespace: command.namespace, name: command.name, source: 'api',
      principal: command.principal, definition: workflow.spec, input, priority: command.priority ?? workflow.priority, suspended: false,
      workflowLabels: workflow.labels,
      ...(command.workflow === undefined ? {} : { workflowName: command.workflow }),
      ...(idempotencyKey === undefined || bodyHash === undefined ? {} : { idempotency: { key: idempotencyKey, bodyHash } }),
      ...(command.traceparent === undefined ? {} : { traceparent: command.traceparent }),
    }, definition.compiled, undefined, (settled) => { resolve(reply(command.runId, settled)); });
    for (const work of works) parts.submit(work);
  });
}

/** The id of a run with a key is derived from the key: where the key has expired, the run may still be there. */
async function repeated(parts: CommandParts, command: Start): Promise<CommandReply | undefined> {
  if (command.idempotencyKey === undefined) return undefined;
  const before = await parts.startedBefore(command.namespace, command.principal, command.idempotencyKey);
  if (before !== undefined && before.bodyHash !== command.bodyHash) return refuse('Conflict', `idempotency key ${command.idempotencyKey} was used for another request`);
  if (before !== undefined) return { v: 1, ok: true, runId: before.runId, repeated: true };
  return await parts.exists(command.runId) ? { v: 1, ok: true, runId: command.runId, repeated: true } : undefined;
}

async function workflowOf(parts: CommandParts, command: Start): Promise<KnownWorkflow | CommandReply> {
  if (command.inline !== undefined && command.workflow === undefined) return { spec: Buffer.from(command.inline), labels: {}, priority: 0 };
  if (command.workflow === undefined || command.inline !== undefined) return refuse('Invalid', 'give exactly one of workflow and inline');
  const known = await parts.workflow(command.namespace, command.workflow);
  return known ?? refuse('NotFound', `workflow ${command.namespace}/${command.workflow} does not exist`);
}

function reply(runId: string, settled: Settled): CommandReply {
  switch (settled.status) {
    case 'Committed': return { v: 1, ok: true, runId, version: settled.version };
    case 'Unchanged': return { v: 1, ok: true, runId, repeated: true };
    case 'Unknown': return refuse('NotFound', `run ${runId} does not exist`);
    case 'Retry': return refuse(settled.moved === true ? 'NotOwner' : 'Unavailable', settled.message);
    case 'Poisoned': return refuse('Invalid', `the run cannot be stored: ${settled.message}`);
  }
}

function refuse(code: NonNullable<CommandReply['code']>, message: string): CommandReply {
  return { v: 1, ok: false, code, message };
}
