import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson, tooDeepAt } from '../../crds/canonical.ts';
import { LIMITS } from '../../crds/names.ts';
import { objectNameSchema, subdomainSchema } from '../../crds/parts.ts';
import type { Json } from '../../engine/types.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { CommandReply, RunCommand } from '../../platform/messages/payloads.ts';
import { unavailable } from '../errors.ts';
import type { Principal, RunCommands } from '../ports.ts';
import { definitionProblems, definitionText } from './definition.ts';
import type { InputProblem } from './definition.ts';
import { derivedRunId } from './run-id.ts';

/** A start as a caller asks for it. */
export interface StartRequest {
  readonly namespace: string;
  readonly workflow?: string | null | undefined;
  readonly definition?: Json | undefined;
  readonly input?: Json | undefined;
  readonly name?: string | null | undefined;
  readonly priority?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/** What became of a command. Everything but `Done` is an answer, not a failure: repeating it gives the same. */
export type CommandOutcome =
  | { readonly kind: 'Done'; readonly runId: string; readonly repeated: boolean }
  | { readonly kind: 'NotFound'; readonly message: string }
  | { readonly kind: 'Conflict'; readonly message: string }
  | { readonly kind: 'Invalid'; readonly message: string; readonly problems: readonly InputProblem[] };

/** What a start needs. */
export interface StartParts {
  readonly commands: RunCommands;
  readonly ids: Ids;
}

const keySchema = z.string().min(1).max(256).regex(/^[\x20-\x7e]+$/);
const prioritySchema = z.int().min(-1_000_000).max(1_000_000);

/**
 * Starts a run: the id is made here, so that the command can be repeated. Answered after the owner's commit.
 * The caller's right to create runs in the namespace has been checked. Throws UnavailableError.
 */
export async function startRun(parts: StartParts, caller: Principal, request: StartRequest, traceparent: string | undefined): Promise<CommandOutcome> {
  const problems = requestProblems(request);
  if (problems.length > 0) return { kind: 'Invalid', message: summary(problems), problems };
  return outcome(await parts.commands.send(startCommand(parts.ids, caller, request, traceparent)), 'input');
}

/** Sends a command about an existing run, which the caller may change. Throws UnavailableError. */
export async function steerRun(commands: RunCommands, command: Exclude<RunCommand, { verb: 'start' }>): Promise<CommandOutcome> {
  return outcome(await commands.send(command), 'mode');
}

function startCommand(ids: Ids, caller: Principal, request: StartRequest, traceparent: string | undefined): RunCommand {
  const key = request.idempotencyKey ?? undefined;
  const runId = key === undefined ? ids.uuid() : derivedRunId(request.namespace, caller.name, key);
  const inline = request.definition === undefined ? undefined : definitionText(request.definition);
  return {
    v: 1, verb: 'start', runId, namespace: request.namespace, principal: caller.name,
    name: request.name ?? defaultName(request.workflow ?? 'run', runId),
    input: JSON.stringify(request.input ?? {}),
    ...(key === undefined ? {} : { idempotencyKey: key, bodyHash: bodyHash(request) }),
    ...(request.workflow == null ? {} : { workflow: request.workflow }),
    ...(inline === undefined ? {} : { inline }),
    ...(request.priority == null ? {} : { priority: request.priority }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** The last digits of an id are random, or a hash: no two runs of a workflow look alike. */
function defaultName(workflow: string, runId: string): string {
  return `${workflow}-${runId.slice(-10)}`;
}

/** SHA-256 of everything a start says but its key: the same key with another body is a conflict. */
export function bodyHash(request: StartRequest): string {
  const { namespace, workflow, definition, input, name, priority } = request;
  const body = { namespace, workflow: workflow ?? undefined, definition, input: input ?? {}, name: name ?? undefined, priority: priority ?? undefined };
  return createHash('sha256').update(canonicalJson(body)).digest('hex');
}

function requestProblems(request: StartRequest): readonly InputProblem[] {
  const { workflow, definition, name, priority, idempotencyKey } = request;
  const problems: InputProblem[] = [];
  const check = (field: string, schema: z.ZodType, value: unknown, rule: string): void => {
    if (value == null || schema.safeParse(value).success) return;
    problems.push({ field, reason: 'FieldInvalid', message: `${quote(value)} does not fit: ${rule}` });
  };
  check('workflow', objectNameSchema, workflow, 'a DNS label of at most 63 characters');
  check('name', subdomainSchema, name, 'a DNS subdomain of at most 253 characters');
  check('priority', prioritySchema, priority, 'from -1000000 to 1000000');
  check('idempotencyKey', keySchema, idempotencyKey, '1 to 256 printable ASCII characters');
  if ((workflow == null) === (definition === undefined)) {
    problems.push({ field: 'workflow', reason: 'FieldInvalid', message: 'give exactly one of workflow and definition' });
  }
  if (tooDeepAt(request.input, LIMITS.jsonDepth) !== undefined) {
    problems.push({ field: 'input', reason: 'TooDeep', message: `is nested deeper than ${LIMITS.jsonDepth} levels: flatten it` });
  }
  return problems.length > 0 || definition === undefined ? problems : definitionProblems(definition);
}

function quote(value: unknown): string {
  return JSON.stringify(value).slice(0, 80);
}

function summary(problems: readonly InputProblem[]): string {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return first === undefined ? 'invalid' : `${first.field} ${first.message}${more}`;
}

function outcome(reply: CommandReply, field: string): CommandOutcome {
  if (reply.ok) {
    if (reply.runId === undefined) throw unavailable();
    return { kind: 'Done', runId: reply.runId, repeated: reply.repeated ?? false };
  }
  const message = reply.message ?? '';
  switch (reply.code) {
    case 'NotFound': return { kind: 'NotFound', message };
    case 'Conflict': return { kind: 'Conflict', message };
    case 'Invalid': return { kind: 'Invalid', message, problems: [{ field, reason: 'Invalid', message }] };
    case 'NotOwner':
    case 'Unavailable':
    case undefined: throw unavailable();
  }
}
