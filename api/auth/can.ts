import { objectNameSchema } from '../../crds/parts.ts';
import { ApiError } from '../errors.ts';
import type { Authorizer, Principal, Target, Verb } from '../ports.ts';

/** The one question of the API: may this principal do this to that row? Throws UnavailableError when nobody can tell. */
export type Can = (principal: Principal, verb: Verb, target: Target) => Promise<boolean>;

/** Makes the one function that decides. Denies by default: no name, or a namespace that cannot exist, is a no. */
export function createCan(authorizer: Authorizer): Can {
  return async (principal, verb, target) => {
    if (principal.name === '' || !objectNameSchema.safeParse(target.namespace).success) return false;
    return await authorizer.allowed(principal, verb, target);
  };
}

/**
 * Throws FORBIDDEN unless the principal may. For lists and starts, whose answer depends on the namespace alone: one that
 * is not the caller's and one that does not exist are told the same. Single objects answer null instead.
 */
export async function demand(can: Can, principal: Principal, verb: Verb, target: Target): Promise<void> {
  if (await can(principal, verb, target)) return;
  throw new ApiError('FORBIDDEN', `${principal.name} may not ${verb} ${target.resource}.rambo.dev in namespace ${target.namespace}: ask for a role that allows it`);
}
