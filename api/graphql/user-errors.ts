import { builder } from './builder.ts';

/* Why a command was not carried out: the members of the unions that mutations answer with. `kind` tells them apart. */

/** It is not there, or not the caller's. */
export interface NotFoundAnswer { readonly kind: 'NotFound'; readonly message: string }
/** It contradicts something done before. */
export interface ConflictAnswer { readonly kind: 'Conflict'; readonly message: string }
/** What was sent is wrong. */
export interface InvalidAnswer { readonly kind: 'Invalid'; readonly message: string; readonly problems: readonly Problem[] }
/** The caller may know of it, but may not do it. */
export interface ForbiddenAnswer { readonly kind: 'Forbidden'; readonly message: string; readonly code: string }

interface Problem { readonly node?: string | undefined; readonly field: string; readonly reason: string; readonly value?: string | undefined; readonly message: string }

const UserErrorRef = builder.interfaceRef<{ readonly message: string }>('UserError').implement({
  description: 'Why a command was not carried out. Repeating it unchanged gives the same answer.',
  fields: (t) => ({ message: t.exposeString('message', { description: 'What is wrong and the way out.' }) }),
});

/** GraphQL type of NotFoundAnswer. */
export const NotFoundRef = builder.objectRef<NotFoundAnswer>('NotFoundError').implement({
  description: 'What it is about does not exist, or is not yours.', interfaces: [UserErrorRef],
});

/** GraphQL type of ConflictAnswer. */
export const ConflictRef = builder.objectRef<ConflictAnswer>('ConflictError').implement({
  description: 'It contradicts something done before: the version is no longer the current one, or the idempotency key was used with another body.', interfaces: [UserErrorRef],
});

/** GraphQL type of ForbiddenAnswer. */
export const ForbiddenRef = builder.objectRef<ForbiddenAnswer>('ForbiddenError').implement({
  description: 'You may see what it is about, but not do this to it.',
  interfaces: [UserErrorRef],
  fields: (t) => ({ code: t.exposeString('code', { description: '`FORBIDDEN`, `MFA_REQUIRED` or `RECENT_SIGN_IN_REQUIRED`.' }) }),
});

const InputProblemRef = builder.objectRef<Problem>('InputProblem').implement({
  description: 'One thing wrong with what was sent.',
  fields: (t) => ({
    node: t.exposeString('node', { nullable: true, description: 'Node it is about.' }),
    field: t.exposeString('field', { description: 'Path of the field.' }),
    reason: t.exposeString('reason', { description: 'CamelCase and stable.' }),
    value: t.exposeString('value', { nullable: true, description: 'What was given, as JSON, shortened.' }),
    message: t.exposeString('message', { description: 'One plain sentence.' }),
  }),
});

/** GraphQL type of InvalidAnswer. */
export const InvalidRef = builder.objectRef<InvalidAnswer>('InvalidInputError').implement({
  description: 'What was sent is wrong.',
  interfaces: [UserErrorRef],
  fields: (t) => ({ problems: t.field({ type: [InputProblemRef], description: 'All that is wrong, at most 20.', resolve: ({ problems }) => [...problems] }) }),
});
