import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { Buffer } from 'node:buffer';

/**
 * Attempt secrets prove that a result comes from whoever received that attempt's dispatch: runners of a pool share one
 * NATS credential, so the subject alone proves only the pool. They are derived, not stored: every controller knows the
 * same key, so a dispatch can be sent again after a restart with the same secret and no table holds one.
 */
export class AttemptSecrets {
  readonly #key: Buffer;

  /** `seed` is the NATS account's signing seed: the one secret that all controllers and nobody else have. */
  constructor(seed: string) {
    this.#key = Buffer.from(hkdfSync('sha256', seed, 'rambo', 'attempt-secret-v1', 32));
  }

  /** 32 hex characters for one attempt. */
  of(run: string, node: string, item: number, attempt: number): string {
    return createHmac('sha256', this.#key).update(`${run}/${node}/${item}/${attempt}`).digest('hex').slice(0, 32);
  }

  /** Whether `secret` belongs to that attempt; takes the same time for every wrong one. */
  verify(run: string, node: string, item: number, attempt: number, secret: string): boolean {
    const expected = Buffer.from(this.of(run, node, item, attempt));
    const given = Buffer.from(secret);
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
}

/** `RAMBO_IDEMPOTENCY_KEY` of a node or item: the same over all its attempts. */
export function idempotencyKey(run: string, node: string, item: number): string {
  return createHmac('sha256', 'rambo-idempotency').update(`${run}/${node}/${item}`).digest('hex').slice(0, 32);
}
