import { createPrivateKey, createPublicKey, hash, hkdfSync, type KeyObject } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { z } from 'zod';

/** An Ed25519 private key in PKCS #8 is this and its 32 bytes (RFC 8410). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Public half of a signing key as a JWK (RFC 8037). */
export const agentPublicKeySchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string().length(43) });
/** Public half of a signing key. */
export type AgentPublicKey = Readonly<z.output<typeof agentPublicKeySchema>>;

/** The key that signs tokens of agents, and how it is named. */
export interface AgentKey {
  /** The first 16 hex characters of SHA-256 over the public key. */
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: AgentPublicKey;
}

/**
 * The signing key that follows from the seed of the NATS account: derived, not stored, as the attempt secrets are, so that all
 * controllers have the same one, a restart changes nothing and no table holds it. Only the public half leaves the controller.
 */
export function agentKeyOf(seed: string): AgentKey {
  const raw = Buffer.from(hkdfSync('sha256', seed, 'rambo', 'agent-token-v1', 32));
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, raw]), format: 'der', type: 'pkcs8' });
  const { kty, crv, x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const publicKey = agentPublicKeySchema.parse({ kty, crv, x });
  return { kid: hash('sha256', Buffer.from(publicKey.x, 'base64url'), 'hex').slice(0, 16), privateKey, publicKey };
}
