import { z } from 'zod';
import { RamboError } from '../../platform/errors/index.ts';
import { refusal } from '../auth/can.ts';
import type { Decision } from '../auth/can.ts';
import { withinScopes } from '../auth/policy.ts';
import { ApiError } from '../errors.ts';
import { INSTALLATION_RESOURCES, NAMESPACE_RESOURCES, PROJECT_RESOURCES, USER_RESOURCES } from '../ports.ts';
import type { Target, Verb } from '../ports.ts';
import type { Operation, OperationContext, Reached } from './operation.ts';

/** What the caller was refused, with what the audit needs to know of it. */
export class Refused extends ApiError {
  readonly target: Target | undefined;

  constructor(error: ApiError, target: Target | undefined) {
    super(error.publicCode, error.message);
    this.target = target;
  }
}

const projectInput = z.object({ projectId: z.string() });
const namespaceInput = z.object({ namespace: z.string() });

/**
 * Loads what an operation is about and asks `can` about it, for every surface alike. Throws Refused: NOT_FOUND for what is not
 * there and for what is out of reach, in the same words; FORBIDDEN and its kin for what the caller may know of.
 */
export async function reach(operation: Operation, context: OperationContext, input: Readonly<Record<string, unknown>>): Promise<Reached<unknown> | undefined> {
  const { right } = operation;
  if (right.on === 'public') return undefined;
  const reached = operation.reach === undefined ? undefined : await operation.reach(context, input);
  if (operation.reach !== undefined && reached === undefined) throw new Refused(missing(input), undefined);
  const target = withAdmin(reached?.target ?? placeOf(operation, context, input), right.admin);
  if (target === undefined) {
    demandScope(context, right.verb, { kind: 'installation', resource: 'projects' });
    return reached;
  }
  const decision = await context.services.can.decide(context.principal, right.verb, target);
  if (decision === 'yes') {
    // A change is one, whatever right it needs: a token that only reads makes none.
    if (operation.kind === 'mutation' && right.verb === 'get') demandScope(context, 'patch', target);
    return { target, row: reached?.row };
  }
  // A row of a project out of reach is told like a row that is not there: its project stays unsaid.
  if (operation.reach !== undefined && (decision === 'hidden' || await isUnseen(context, decision, target))) throw new Refused(missing(input), target);
  throw new Refused(refusal(decision, context.principal, right.verb, target), target);
}

/** An access token has to be good for it, also where nobody else is asked. */
function demandScope({ principal }: OperationContext, verb: Verb, target: Target): void {
  if (principal.kind !== 'user' || principal.scopes === undefined || withinScopes(principal.scopes, verb, target)) return;
  throw new Refused(refusal('no', principal, verb, target), target);
}

/** Whether a no is about an object of a namespace that the caller may not even see: such a one is not there for them. */
async function isUnseen({ services, principal }: OperationContext, decision: Decision, target: Target): Promise<boolean> {
  return decision === 'no' && target.kind === 'namespace' && !await services.can(principal, 'get', target);
}

function withAdmin(target: Target | undefined, admin: true | undefined): Target | undefined {
  return target?.kind === 'project' && admin === true ? { ...target, admin } : target;
}

/** What a caller is told of a single thing that is not there or not theirs. */
export function missing(input: Readonly<Record<string, unknown>>): ApiError {
  const { id } = input;
  return new ApiError('NOT_FOUND', typeof id === 'string' ? `${id.slice(0, 64)} does not exist or is not yours` : 'it does not exist or is not yours');
}

function placeOf({ name, right: { on, resource } }: Operation, { principal }: OperationContext, input: Readonly<Record<string, unknown>>): Target | undefined {
  switch (on) {
    case 'project': return { kind: on, resource: known(PROJECT_RESOURCES, resource, name), projectId: projectInput.parse(input).projectId };
    case 'namespace': return { kind: on, resource: known(NAMESPACE_RESOURCES, resource, name), namespace: namespaceInput.parse(input).namespace };
    case 'installation': return { kind: on, resource: known(INSTALLATION_RESOURCES, resource, name) };
    case 'user':
      if (principal.kind !== 'user') throw new ApiError('FORBIDDEN', `${name} is about a person's own things: sign in as a user`);
      return { kind: on, resource: known(USER_RESOURCES, resource, name), userId: principal.userId };
    case 'self':
    case 'public': return undefined;
  }
}

function known<R extends string>(resources: readonly R[], resource: string, name: string): R {
  const found = resources.find((each) => each === resource);
  if (found === undefined) throw new RamboError('Bug', `${name} names the resource ${resource}, which is not of its place`);
  return found;
}
