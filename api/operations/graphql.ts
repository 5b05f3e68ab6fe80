import { asApiError } from '../errors.ts';
import { builder } from '../graphql/builder.ts';
import type { ApiContext } from '../graphql/context.ts';
import { connectionOf } from '../graphql/paging.ts';
import { ConflictRef, ForbiddenRef, InvalidRef, NotFoundRef } from '../graphql/user-errors.ts';
import type { ConflictAnswer, ForbiddenAnswer, InvalidAnswer, NotFoundAnswer } from '../graphql/user-errors.ts';
import type { Entity, PageValue } from './entity.ts';
import { execute } from './execute.ts';
import { entityRef, inputFields, inputOf, sourceOf } from './graphql-types.ts';
import type { AnyMutation, Operation } from './operation.ts';
import { InvalidInput } from './problems.ts';

/* Fields of the GraphQL schema for operations: a query takes the fields of its input as arguments, a mutation one `input`. */

interface DoneAnswer { readonly kind: 'Done'; readonly value: object; readonly repeated: boolean }
type Answer = DoneAnswer | NotFoundAnswer | ConflictAnswer | InvalidAnswer | ForbiddenAnswer;

const connections = new Map<string, ReturnType<typeof makeConnection>>();

function makeConnection(entity: Entity) {
  const { name } = entity;
  return builder.connectionObject({ type: entityRef(entity), name: `${name}Connection`, description: `A page of ${name} entries.` },
    { name: `${name}Edge`, description: `A ${name} and its place in the list.` });
}

/** The relay connection of an entity. */
export function connectionRef(entity: Entity): ReturnType<typeof makeConnection> {
  const known = connections.get(entity.name) ?? makeConnection(entity);
  connections.set(entity.name, known);
  return known;
}

/** A page in the shape of relay. */
export function asConnection<T>({ items, hasMore, started, cursorOf }: PageValue<T>): ReturnType<typeof connectionOf<T>> {
  return connectionOf(items, cursorOf, { hasMore, forward: true, started });
}

/** Adds the fields of operations to the schema. */
export function addOperations(operations: readonly Operation[]): void {
  for (const operation of operations) {
    if (operation.graphql === false) continue;
    if (operation.kind === 'query') addQuery(operation);
    else addMutation(operation);
  }
}

function words({ summary, description, right }: Operation): string {
  const needs = right.on === 'self' || right.on === 'public' ? '' : ` Needs \`${right.verb} ${right.resource}\`${right.admin === true ? ' as an administrator' : ''}.`;
  return `${summary}${description === undefined ? '' : ` ${description}`}${needs}`;
}

function addQuery(operation: Extract<Operation, { kind: 'query' }>): void {
  const { name, output } = operation;
  builder.queryField(name, (t) => {
    const args = Object.fromEntries(inputFields(name, operation.input).map(({ field, ...options }) => [field, t.arg(options)]));
    const run = async (given: Readonly<Record<string, unknown>>, context: ApiContext): Promise<object> => (await execute(operation, context, given)).value;
    if (output.kind === 'page') {
      return t.field({ type: connectionRef(output.entity), description: words(operation), args, resolve: async (_, given, context) => asConnection(pageValue(await run(given, context))) });
    }
    return t.field({
      type: entityRef(output), nullable: true, description: `${words(operation)} Null if it does not exist or is not yours to see.`, args,
      resolve: async (_, given, context) => {
        const value = await run(given, context).catch((error: unknown) => nullIfMissing(error));
        return value === null ? null : await sourceOf(context, output, value);
      },
    });
  });
}

function nullIfMissing(error: unknown): null {
  if (asApiError(error)?.publicCode === 'NOT_FOUND') return null;
  throw error;
}

function pageValue(value: object): PageValue<Record<string, unknown>> {
  return value as PageValue<Record<string, unknown>>; // what a list gives
}

function addMutation(operation: AnyMutation): void {
  const { name, output } = operation;
  const base = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const member = `${output.name.charAt(0).toLowerCase()}${output.name.slice(1)}`;
  const payload = builder.objectRef<DoneAnswer>(`${base}Payload`).implement({
    description: 'It is done and committed.',
    fields: (t) => ({
      [member]: t.field({ type: entityRef(output), description: 'How it stands afterwards.', resolve: ({ value }, _args, context) => sourceOf(context, output, value) }),
      repeated: t.exposeBoolean('repeated', { description: 'Whether this is the answer of an earlier request with the same idempotency key.' }),
    }),
  });
  const names: Readonly<Record<Answer['kind'], string>> = { Done: `${base}Payload`, NotFound: 'NotFoundError', Conflict: 'ConflictError', Invalid: 'InvalidInputError', Forbidden: 'ForbiddenError' };
  const union = builder.unionType(`${base}Result`, {
    description: `What became of ${name}.`, types: [payload, NotFoundRef, ConflictRef, InvalidRef, ForbiddenRef], resolveType: (answer: Answer) => names[answer.kind],
  });
  const key = 'Makes it safe to repeat for 7 days: the same key of the same caller gives the same answer, with another input a ConflictError.';
  if (Object.keys(operation.input.shape).length === 0) {
    // An input without fields is no valid type: it would take the whole schema down.
    builder.mutationField(name, (t) => t.field({
      type: union, description: words(operation), args: { idempotencyKey: t.arg.string({ description: key }) },
      resolve: (_, given, context) => answer(operation, context, {}, given.idempotencyKey ?? undefined),
    }));
    return;
  }
  const input = inputOf(`${base}Input`, `What ${name} takes.`, operation.input);
  builder.mutationField(name, (t) => t.field({
    type: union, description: words(operation),
    args: { input: t.arg({ type: input, required: true, description: 'What to do it with.' }), idempotencyKey: t.arg.string({ description: key }) },
    resolve: (_, given, context) => answer(operation, context, given.input, given.idempotencyKey ?? undefined),
  }));
}

async function answer(operation: AnyMutation, context: ApiContext, input: unknown, key: string | undefined): Promise<Answer> {
  try {
    const { value, repeated } = await execute(operation, context, input, key);
    return { kind: 'Done', value, repeated };
  } catch (error) {
    return asAnswer(error);
  }
}

/** What a caller can do something about is an answer; the rest stays an error. */
function asAnswer(error: unknown): Answer {
  const known = asApiError(error);
  switch (known?.publicCode) {
    case 'NOT_FOUND': return { kind: 'NotFound', message: known.message };
    case 'CONFLICT': return { kind: 'Conflict', message: known.message };
    case 'BAD_USER_INPUT': return { kind: 'Invalid', message: known.message, problems: known instanceof InvalidInput ? known.problems : [{ field: '', reason: 'FieldInvalid', message: known.message }] };
    case 'FORBIDDEN':
    case 'MFA_REQUIRED':
    case 'RECENT_SIGN_IN_REQUIRED': return { kind: 'Forbidden', message: known.message, code: known.publicCode };
    default: throw error;
  }
}
