import { appendAudit } from '../auth/audit.ts';
import type { AuditEntry } from '../auth/audit.ts';
import { MissingRowError, UniqueError } from '../../prisma/gateway/index.ts';
import { ApiError, asApiError } from '../errors.ts';
import type { Entity, Output, OutputValue } from './entity.ts';
import { keepAnswer, keptAnswer, keyed, takeKey } from './idempotency.ts';
import type { Keyed } from './idempotency.ts';
import type { AnyMutation, Change, Operation, OperationContext, Reached } from './operation.ts';
import { InvalidInput, problemsOf } from './problems.ts';
import { reach, Refused } from './reach.ts';
import { writeChanges } from './changes.ts';

/*
 * The one way of every operation, whatever the surface: parse, load, ask `can`, run. A mutation is one transaction: rows,
 * events of its project, idempotent answer, audit entry; its notices go out after the commit.
 */

/** What an operation gave. */
export interface Executed {
  readonly value: OutputValue<Output>;
  /** Whether it is the answer of an earlier request with the same idempotency key. */
  readonly repeated: boolean;
}

type Input = Readonly<Record<string, unknown>>;

/** Carries out an operation. Throws ApiError (InvalidInput, Refused), UnavailableError, or a fault of ours. */
export async function execute(operation: Operation, context: OperationContext, raw: unknown, idempotencyKey?: string): Promise<Executed> {
  if (operation.kind === 'query') {
    const input = parseInput(operation, raw);
    try {
      const reached = await reach(operation, context, input);
      return { value: await operation.run(context, input, reached?.row), repeated: false };
    } catch (error) {
      // What is not there at all is no refused attempt to read it.
      if (error instanceof Refused && error.target !== undefined) await noteFailure(operation, context, error);
      throw error;
    }
  }
  try {
    return await mutate(operation, context, parseInput(operation, raw), idempotencyKey);
  } catch (error) {
    await noteFailure(operation, context, error);
    throw error;
  }
}

/** The input of an operation. Throws InvalidInput. */
export function parseInput(operation: Operation, raw: unknown): Input {
  const parsed = readInput(operation, raw);
  if (parsed.success) return parsed.data;
  throw new InvalidInput(problemsOf(parsed.error, raw));
}

/** zod compares `length` of whatever has one, before it has said that a text is wanted: an object in that place makes it throw a TypeError. */
function readInput(operation: Operation, raw: unknown): ReturnType<Operation['input']['safeParse']> {
  try {
    return operation.input.safeParse(raw);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new InvalidInput([{ field: '', reason: 'FieldInvalid', message: 'holds an object where a text or a list is wanted' }]);
  }
}

async function mutate(operation: AnyMutation, context: OperationContext, input: Input, key: string | undefined): Promise<Executed> {
  const { services, principal } = context;
  if (key !== undefined && (operation.secret === true || operation.right.on === 'public')) throw new ApiError('BAD_REQUEST', `${operation.name} takes no idempotency key: leave it out`);
  const request = key === undefined ? undefined : keyed(principal.name, operation.name, key, input);
  const reached = await reach(operation, context, input);
  const kept = request === undefined ? undefined : await services.gateway.read((db) => keptAnswer(db, request, services.clock.now()));
  if (kept !== undefined) return { value: asAnswer(kept.answer), repeated: true };
  const effect = await operation.effect?.(context, input, reached?.row, key);
  const changes: Change[] = [];
  const executed = await services.gateway.transaction(async (tx): Promise<Executed> => {
    const now = services.clock.now();
    if (request !== undefined && !await takeKey(tx, request, now)) {
      const other = await keptAnswer(tx, request, now);
      if (other !== undefined) return { value: asAnswer(other.answer), repeated: true };
    }
    const mutation = { ...context, tx, changed: (change: Change) => { changes.push(change); } };
    const value: object = await operation.run(mutation, input, reached?.row, effect);
    await finish(tx, operation, context, { input, reached, value, request, changes });
    return { value: asAnswer(value), repeated: false };
  }).catch((error: unknown) => { throw meant(operation, input, error); });
  if (!executed.repeated) services.projectNotices.changed(changes);
  return executed;
}

/** What a caller can mend of what Postgres refused. */
function meant(operation: AnyMutation, input: Input, error: unknown): unknown {
  if (error instanceof UniqueError) return new ApiError('CONFLICT', operation.taken?.(input) ?? 'something of that name is there already: choose another one');
  if (error instanceof MissingRowError) return new ApiError('CONFLICT', 'something it refers to has been deleted meanwhile: read it again');
  return error;
}

interface Finished { readonly input: Input; readonly reached: Reached<unknown> | undefined; readonly value: object; readonly request: Keyed | undefined; readonly changes: readonly Change[] }

/** What belongs to every change. The audit goes last: it holds the head of the chain until the commit. */
async function finish(tx: Parameters<typeof writeChanges>[0], operation: AnyMutation, context: OperationContext, done: Finished): Promise<void> {
  const { services, principal } = context;
  const at = services.clock.now();
  await writeChanges(tx, done.changes, principal.name, at);
  if (done.request !== undefined) await keepAnswer(tx, done.request, done.value);
  const details = operation.audit?.(done.input);
  const resourceId: unknown = Reflect.get(done.value, 'id') ?? done.input['id'];
  const { target } = done.reached ?? {};
  const projectId = done.changes[0]?.projectId ?? (target?.kind === 'project' ? target.projectId : undefined);
  await appendAudit(tx, [{
    ...entryOf(operation, context, at), outcome: 'DONE', code: 'OK',
    ...(typeof resourceId === 'string' ? { resourceId } : {}), ...(projectId === undefined ? {} : { projectId }), ...(details === undefined ? {} : { details }),
  }]);
}

/** Refused and failed attempts are kept too. What was no proper request at all (400) or failed by a fault of ours is in the log. */
async function noteFailure(operation: Operation, context: OperationContext, error: unknown): Promise<void> {
  const shown = asApiError(error);
  if (shown === undefined || error instanceof InvalidInput || shown.publicCode === 'UNAVAILABLE') return;
  const { services } = context;
  const projectId = error instanceof Refused && error.target?.kind === 'project' ? error.target.projectId : undefined;
  await services.audit.add({
    ...entryOf(operation, context, services.clock.now()), outcome: error instanceof Refused ? 'REFUSED' : 'FAILED', code: shown.publicCode,
    ...(projectId === undefined ? {} : { projectId }),
  });
}

function entryOf({ name, right }: Operation, { principal, requestId }: OperationContext, at: number): Pick<AuditEntry, 'at' | 'principal' | 'operation' | 'resource' | 'requestId'> {
  return { at, principal: principal.name === '' ? 'anonymous' : principal.name, operation: name, resource: right.resource, requestId };
}

/** What `run` gave, or what was kept of it as JSON: entries of entities are JSON. */
function asAnswer(value: unknown): OutputValue<Entity> {
  return value as OutputValue<Entity>;
}
