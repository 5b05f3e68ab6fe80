import { agentRunId } from '../../crds/agent-run.ts';
import { agentPublicKeySchema, TokenRefused, verifyAgentToken, type AgentPublicKey } from '../../platform/agent-token/index.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { readAgentKey, type Executor } from '../../prisma/store/index.ts';
import type { Caller } from '../run/standing.ts';
import { Refusal } from './errors.ts';

/** A key that is not there is looked for again after this long: a controller may have been started meanwhile. */
const MISSING_MS = 1_000;
const MOST_MISSING = 1_000;

/** Public keys of controllers by their kid; a kid names its key for ever. */
export function agentKeys(db: Executor, clock: Clock): (kid: string) => Promise<AgentPublicKey | undefined> {
  const keys = new Map<string, AgentPublicKey>();
  const missing = new Map<string, number>();
  return async (kid) => {
    const known = keys.get(kid);
    if (known !== undefined) return known;
    const now = clock.monotonic();
    if ((missing.get(kid) ?? 0) > now) return undefined;
    const jwk = await readAgentKey(db, kid);
    if (jwk === undefined) {
      if (missing.size > MOST_MISSING) missing.clear();
      missing.set(kid, now + MISSING_MS);
      return undefined;
    }
    const key = agentPublicKeySchema.parse(JSON.parse(jwk));
    keys.set(kid, key);
    return key;
  };
}

/** Who asks, by the token the controller signed for their attempt. */
export function authenticator(db: Executor, clock: Clock): (token: string | undefined) => Promise<Caller> {
  const keyOf = agentKeys(db, clock);
  return async (token) => {
    if (token === undefined) throw new Refusal('Unauthenticated', 'a token is required: Authorization: Bearer');
    try {
      const claims = await verifyAgentToken(token, keyOf, clock.now());
      return { agentRun: agentRunId(claims.run, claims.node, claims.item), ...claims };
    } catch (error) {
      if (error instanceof TokenRefused) throw new Refusal('Unauthenticated', error.message, { cause: error });
      throw error;
    }
  };
}
