import { hash, hkdfSync, timingSafeEqual } from 'node:crypto';
import { Buffer } from 'node:buffer';

/**
 * Attempt secrets prove that a result comes from whoever received that attempt's dispatch: runners of a pool share one
 * NATS credential, so the subject alone proves only the pool. They are derived, not stored: every controller knows the
 * same key, so a dispatch can be sent again after a restart with the same secret and no table holds one.
 */
export class AttemptSecrets {
  readonly #inner: Buffer;
  readonly #outer: Buffer;

  /** `seed` is the NATS account's signing seed: the one secret that all controllers and nobody else have. */
  constructor(seed: string) {
    const key = Buffer.from(hkdfSync('sha256', seed, 'rambo', 'attempt-secret-v1', 32));
    this.#inner = padded(key, 0x36);
    this.#outer = padded(key, 0x5c);
  }

  /** 32 hex characters for one attempt. */
  of(run: string, node: string, item: number, attempt: number): string {
    // HMAC-SHA256 by its definition (RFC 2104): createHmac makes a key object per call, a tenth of a busy controller.
    const message = Buffer.from(`${run}/${node}/${item}/${attempt}`);
    const inner = hash('sha256', Buffer.concat([this.#inner, message]), 'buffer');
    return hash('sha256', Buffer.concat([this.#outer, inner]), 'hex').slice(0, 32);
  }

  /** Whether `secret` belongs to that attempt; takes the same time for every wrong one. `known` is what `of` gave for it before. */
  verify(run: string, node: string, item: number, attempt: number, secret: string, known?: string): boolean {
    const expected = Buffer.from(known ?? this.of(run, node, item, attempt));
    const given = Buffer.from(secret);
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
}

/** A key of at most 64 bytes as HMAC prepends it. */
function padded(key: Buffer, byte: number): Buffer {
  const block = Buffer.alloc(64, byte);
  for (const [i, value] of key.entries()) block[i] = value ^ byte;
  return block;
}

/** `RAMBO_IDEMPOTENCY_KEY` of a node or item: the same over all its attempts. */
export function idempotencyKey(run: string, node: string, item: number): string {
  return hash('sha256', `rambo-idempotency/${run}/${node}/${item}`, 'hex').slice(0, 32);
}
