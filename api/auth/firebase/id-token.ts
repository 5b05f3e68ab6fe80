import { decodeProtectedHeader, errors, jwtVerify, UnsecuredJWT } from 'jose';
import type { CryptoKey, JWTPayload } from 'jose';
import { z } from 'zod';
import type { Clock } from '../../../platform/clock/index.ts';

/** What a verified ID token says of its bearer. Times are epoch milliseconds. */
export interface IdClaims {
  readonly uid: string;
  /** Lower case. */
  readonly email: string | undefined;
  readonly emailVerified: boolean;
  readonly name: string | undefined;
  readonly picture: string | undefined;
  readonly signedInAt: number;
  readonly expiresAt: number;
  /** `phone`, `totp`: the second factor of this sign-in. */
  readonly secondFactor: string | undefined;
  /** `password`, `google.com`, `github.com`, ... */
  readonly provider: string;
}

/** Verifies ID tokens of one Firebase project. */
export interface IdTokenVerifier {
  /** The claims, or undefined for a token that is not good. Throws UnavailableError when the keys cannot be had. */
  verify(token: string): Promise<IdClaims | undefined>;
}

/** What a verifier stands on. */
export interface VerifierParts {
  readonly project: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly keys: { key(kid: string): Promise<CryptoKey | Uint8Array | undefined> };
  /** The Auth emulator signs nothing: its tokens are believed as they are. Never in production. */
  readonly emulator: boolean;
}

/** Second factors that Firebase knows. One it does not name counts for nothing. */
const SECOND_FACTORS = ['phone', 'totp'];
/** Clocks may differ by so much. */
const TOLERANCE_S = 30;
const ISSUER = 'https://securetoken.google.com/';

const seconds = z.number().int().positive();
const claimsSchema = z.object({
  sub: z.string().min(1).max(128),
  user_id: z.string().optional(),
  iat: seconds, exp: seconds, auth_time: seconds,
  email: z.string().max(254).optional(),
  email_verified: z.boolean().optional(),
  name: z.string().optional(),
  picture: z.string().optional(),
  firebase: z.object({ sign_in_provider: z.string(), sign_in_second_factor: z.string().optional(), tenant: z.undefined().optional() }),
});

/** Whether a token says that Firebase made it. Says nothing about whether that is true. */
export function saysFirebase(token: string): boolean {
  const [, payload, ...more] = token.split('.');
  if (payload === undefined || more.length !== 1) return false;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const issuer: unknown = typeof claims === 'object' && claims !== null ? Reflect.get(claims, 'iss') : undefined;
    return typeof issuer === 'string' && issuer.startsWith(ISSUER);
  } catch {
    return false;
  }
}

/**
 * Makes the verifier of a project: RS256 by a key of Firebase, issuer and audience pinned to the project, within its time, for somebody,
 * signed in in the past.
 */
export function idTokenVerifier(parts: VerifierParts): IdTokenVerifier {
  return {
    verify: async (token) => {
      const payload = await verifiedPayload(parts, token);
      const parsed = claimsSchema.safeParse(payload);
      if (!parsed.success) return undefined;
      const claims = parsed.data;
      const now = parts.clock.now() / 1_000 + TOLERANCE_S;
      if (claims.auth_time > now || claims.iat > now || (claims.user_id !== undefined && claims.user_id !== claims.sub)) return undefined;
      return claimsOf(claims);
    },
  };
}

async function verifiedPayload(parts: VerifierParts, token: string): Promise<JWTPayload | undefined> {
  const { project, clock, keys, emulator } = parts;
  const pinned = { issuer: `${ISSUER}${project}`, audience: project, currentDate: new Date(clock.now()), clockTolerance: TOLERANCE_S };
  try {
    if (emulator) return UnsecuredJWT.decode(token, pinned).payload;
    const { kid, alg } = decodeProtectedHeader(token);
    if (alg !== 'RS256' || typeof kid !== 'string' || kid === '') return undefined;
    const key = await keys.key(kid);
    return key === undefined ? undefined : (await jwtVerify(token, key, { ...pinned, algorithms: ['RS256'] })).payload;
  } catch (error) {
    // A malformed token throws either of these; anything else, such as keys that are away, is not the token's fault.
    if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function claimsOf(claims: z.infer<typeof claimsSchema>): IdClaims {
  const { sign_in_provider: provider, sign_in_second_factor: factor } = claims.firebase;
  const email = claims.email?.toLowerCase();
  return {
    uid: claims.sub, email: email === '' ? undefined : email, emailVerified: claims.email_verified === true && email !== undefined && email !== '',
    name: claims.name, picture: claims.picture, signedInAt: claims.auth_time * 1_000, expiresAt: claims.exp * 1_000,
    secondFactor: factor !== undefined && SECOND_FACTORS.includes(factor) ? factor : undefined, provider,
  };
}
