import { objectNameSchema } from '../../crds/parts.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { assertNever } from '../../platform/errors/index.ts';
import { ApiError } from '../errors.ts';
import type { Authorizer, KubePrincipal, PlaceReader, Principal, ProjectPlace, StandingReader, Target, UserPrincipal, UserRole, Verb } from '../ports.ts';
import { gravityOf, INSTALLATION_RIGHTS, mayInProject, OWN_RIGHTS, RECENT_SIGN_IN_MS, withinScopes } from './policy.ts';
import type { PlaceResource, PlaceRole } from './policy.ts';

/**
 * An answer to the one question. `hidden`: a no to somebody who must not learn whether the thing exists; `no`: to somebody who
 * may know; `factor` and `stale`: a yes once the sign-in has a second factor, or is recent; `gone`: the sign-in is over.
 */
export type Decision = 'yes' | 'no' | 'hidden' | 'factor' | 'stale' | 'gone';

/** The one question of the API: may this principal do this to that row? Throws UnavailableError when nobody can tell. */
export interface Can {
  (principal: Principal, verb: Verb, target: Target): Promise<boolean>;
  /** The same question, with why not. */
  readonly decide: (principal: Principal, verb: Verb, target: Target) => Promise<Decision>;
  /** Number of the last change of each project that was looked at, as of the first look. */
  readonly seen: () => ReadonlyMap<string, number>;
}

/** What the decision rests on. */
export interface CanParts {
  readonly authorizer: Authorizer;
  readonly places: PlaceReader & { seen?(): ReadonlyMap<string, number> };
  readonly standing: StandingReader;
  readonly clock: Pick<Clock, 'now'>;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Makes the one function that decides. Denies by default: no name, or a place that cannot exist, is a no. */
export function createCan(parts: CanParts): Can {
  const decide = async (principal: Principal, verb: Verb, target: Target): Promise<Decision> => {
    if (principal.name === '' || !couldExist(target)) return target.kind === 'project' || target.kind === 'user' ? 'hidden' : 'no';
    return principal.kind === 'kubernetes' ? decideForKubernetes(parts, principal, verb, target) : decideForUser(parts, principal, verb, target);
  };
  return canBy(decide, () => parts.places.seen?.() ?? new Map());
}

/** The question in both its shapes, of one that decides. */
export function canBy(decide: Can['decide'], seen: Can['seen']): Can {
  return Object.assign(async (principal: Principal, verb: Verb, target: Target) => await decide(principal, verb, target) === 'yes', { decide, seen });
}

function couldExist(target: Target): boolean {
  switch (target.kind) {
    case 'namespace': return objectNameSchema.safeParse(target.namespace).success;
    case 'project': return UUID.test(target.projectId);
    case 'user': return UUID.test(target.userId);
    case 'installation': return true;
  }
}

/** The API server decides, for the namespace of the project. What has none, and what is a person's own, is out of reach. */
async function decideForKubernetes({ authorizer, places }: CanParts, principal: KubePrincipal, verb: Verb, target: Target): Promise<Decision> {
  const { resource } = target;
  if (target.kind === 'user') return 'hidden';
  if (target.kind === 'installation') return yesOr('no', await authorizer.allowed(principal, verb, { resource }));
  if (target.kind === 'namespace') return yesOr('no', await authorizer.allowed(principal, verb, { resource, namespace: target.namespace }));
  const place = await places.byProject(target.projectId, undefined);
  if (place?.namespace == null || place.deleted) return 'hidden';
  const { namespace } = place;
  if (await authorizer.allowed(principal, verb, target.admin === true ? { resource } : { resource, namespace })) return 'yes';
  return yesOr('hidden', await authorizer.allowed(principal, 'get', { resource: 'projects', namespace })) === 'yes' ? 'no' : 'hidden';
}

function yesOr(otherwise: Decision, yes: boolean): Decision {
  return yes ? 'yes' : otherwise;
}

async function decideForUser(parts: CanParts, principal: UserPrincipal, verb: Verb, target: Target): Promise<Decision> {
  const first = await rightOf(parts, principal, principal.role, verb, target);
  if (first !== 'yes') return first;
  if (principal.scopes !== undefined && !withinScopes(principal.scopes, verb, target)) return 'no';
  const gravity = gravityOf(verb, target);
  if (gravity === 'plain') return 'yes';
  // Past every cache: a sign-in that was revoked and a role that is gone count from now on.
  const role = await parts.standing.standing(principal);
  if (role === undefined) return 'gone';
  const again = role === principal.role ? 'yes' : await rightOf(parts, principal, role, verb, target);
  if (again !== 'yes' || gravity === 'sensitive') return again;
  if (!principal.secondFactor) return 'factor';
  return parts.clock.now() - principal.signedInAt <= RECENT_SIGN_IN_MS ? 'yes' : 'stale';
}

/** What the tables say, the kind of token and the age of the sign-in apart. */
async function rightOf({ places }: CanParts, { userId }: UserPrincipal, role: UserRole, verb: Verb, target: Target): Promise<Decision> {
  switch (target.kind) {
    case 'installation': return yesOr('no', INSTALLATION_RIGHTS[role][target.resource].includes(verb));
    case 'user': return target.userId !== userId ? 'hidden' : yesOr('no', OWN_RIGHTS[role][target.resource].includes(verb));
    case 'namespace': {
      const place = await places.byNamespace(target.namespace, userId);
      return place === undefined || place.deleted ? 'no' : yesOr('no', mayInPlace(place, userId, verb, target.resource));
    }
    case 'project': {
      const place = await places.byProject(target.projectId, userId);
      if (place === undefined || !mayInPlace(place, userId, 'get', 'projects')) return 'hidden';
      if (place.deleted && !(target.resource === 'projects' && mayInPlace(place, userId, 'delete', 'projects'))) return 'hidden';
      if (target.admin === true && place.userRole !== 'ADMIN') return 'no';
      return yesOr('no', mayInPlace(place, userId, verb, target.resource));
    }
    default: return assertNever(target);
  }
}

/** The role in the installation is the one in the row that was just read, not the one the token was believed with. */
function mayInPlace(place: ProjectPlace, userId: string, verb: Verb, resource: PlaceResource): boolean {
  return place.userRole !== null && mayInProject(place.userRole, placeRole(place, userId), verb, resource);
}

function placeRole(place: ProjectPlace, userId: string): PlaceRole | undefined {
  return place.ownerId === userId ? 'OWNER' : place.memberRole ?? undefined;
}

/**
 * Throws unless the principal may. Lists and starts in a namespace depend on the namespace alone: one that is not the
 * caller's and one that does not exist are both FORBIDDEN. A project or a person out of reach is NOT_FOUND, as a missing one.
 */
export async function demand(can: Can, principal: Principal, verb: Verb, target: Target): Promise<void> {
  const decision = await can.decide(principal, verb, target);
  if (decision !== 'yes') throw refusal(decision, principal, verb, target);
}

/** What a caller is told who may not. */
export function refusal(decision: Exclude<Decision, 'yes'>, principal: Principal, verb: Verb, target: Target): ApiError {
  switch (decision) {
    case 'gone': return new ApiError('UNAUTHENTICATED', 'the sign-in is over: it was revoked, or the account is disabled; sign in again');
    case 'factor': return new ApiError('MFA_REQUIRED', `to ${verb} ${target.resource} a sign-in with a second factor is needed: enrol one if there is none, then sign in again`);
    case 'stale': return new ApiError('RECENT_SIGN_IN_REQUIRED', `to ${verb} ${target.resource} a sign-in of the last ${RECENT_SIGN_IN_MS / 60_000} minutes is needed: sign in again`);
    case 'hidden': return new ApiError('NOT_FOUND', `${placeText(target)} does not exist or is not yours`);
    case 'no': return new ApiError('FORBIDDEN', `${principal.name} may not ${verb} ${target.resource}.rambo.dev in ${placeText(target)}: ask for a role that allows it${scopeHint(principal)}`);
  }
}

function scopeHint(principal: Principal): string {
  return principal.kind === 'user' && principal.scopes !== undefined ? ', or use an access token with more scopes' : '';
}

function placeText(target: Target): string {
  switch (target.kind) {
    case 'namespace': return `namespace ${target.namespace}`;
    case 'project': return `project ${target.projectId.slice(0, 64)}`;
    case 'user': return `user ${target.userId.slice(0, 64)}`;
    case 'installation': return 'this installation';
  }
}
