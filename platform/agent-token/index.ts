import { importJWK, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import { z } from 'zod';
import { errorMessage, RamboError } from '../errors/index.ts';
import type { AgentKey, AgentPublicKey } from './keys.ts';

export { agentKeyOf, agentPublicKeySchema, type AgentKey, type AgentPublicKey } from './keys.ts';

const ISSUER = 'rambo';
const AUDIENCE = 'rambo-modelgateway';
const ALGORITHM = 'EdDSA';
/** How long a token is good, in seconds. An attempt that runs longer loses its gateway and is lost with it; the next goes on from the journal. */
const VALID_SECONDS = 86_400;
/** How far the clocks of controller and gateway may differ, in seconds. */
const SKEW_SECONDS = 60;

const claimsSchema = z.object({
  ns: z.string().min(1).max(63),
  run: z.string().min(1).max(64),
  node: z.string().min(1).max(63),
  item: z.int().min(-1),
  attempt: z.int().min(1),
  pool: z.string().min(1).max(63),
  with: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * What a token says: which attempt of which node may speak for its agent run, and what it was given. `with` is SHA-256 (hex) of
 * the canonical JSON of the dispatch's `with`, so that a runner cannot run another agent, or this one with another input.
 */
export type AgentClaims = Readonly<z.output<typeof claimsSchema>>;

/** A token that is missing, forged, expired, or not for the gateway. `message` is safe to show. */
export class TokenRefused extends RamboError {}

/** Signs the token of one attempt: compact JWS, good for 24 h from `now` (epoch milliseconds). */
export function signAgentToken(key: AgentKey, claims: AgentClaims, now: number): Promise<string> {
  const seconds = Math.floor(now / 1_000);
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: ALGORITHM, kid: key.kid }).setIssuer(ISSUER).setAudience(AUDIENCE)
    .setIssuedAt(seconds).setExpirationTime(seconds + VALID_SECONDS).sign(key.privateKey);
}

/**
 * Checks a token and gives what it says. `keyOf` finds the public key of a kid; what it throws (the database is away) is thrown on.
 * `now` is epoch milliseconds. Throws TokenRefused.
 */
export async function verifyAgentToken(token: string, keyOf: (kid: string) => Promise<AgentPublicKey | undefined>, now: number): Promise<AgentClaims> {
  // What `keyOf` throws is not the token's fault.
  const away: { error?: Error } = {};
  const find = async ({ kid }: { readonly kid?: string | undefined }): ReturnType<typeof importJWK> => {
    const key = kid === undefined ? undefined : await keyOf(kid).catch((error: unknown) => {
      away.error = error instanceof Error ? error : new Error(errorMessage(error));
      throw away.error;
    });
    if (key === undefined) throw new Error('the key is not known');
    return importJWK({ ...key }, ALGORITHM);
  };
  let payload: JWTPayload;
  try {
    ({ payload } = await jwtVerify(token, find, {
      algorithms: [ALGORITHM], issuer: ISSUER, audience: AUDIENCE, requiredClaims: ['iat', 'exp'], clockTolerance: SKEW_SECONDS, currentDate: new Date(now),
    }));
  } catch (error) {
    if (away.error !== undefined) throw away.error;
    throw new TokenRefused('TokenRefused', `the token is refused: ${errorMessage(error)}`, { cause: error });
  }
  const parsed = claimsSchema.safeParse(payload);
  if (!parsed.success) throw new TokenRefused('TokenRefused', `the token is refused: its claim ${parsed.error.issues[0]?.path.join('.') ?? ''} is not one of ours`);
  return parsed.data;
}
