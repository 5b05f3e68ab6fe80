import { importJWK } from 'jose';
import type { CryptoKey } from 'jose';
import { z } from 'zod';
import type { Clock } from '../../../platform/clock/index.ts';
import { UnavailableError } from '../../../platform/errors/index.ts';
import { SingleFlight } from '../expiring-cache.ts';

/** Where Google publishes the keys that Firebase signs ID tokens with. */
export const GOOGLE_KEYS_URL = 'https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com';

const setSchema = z.object({ keys: z.array(z.object({ kid: z.string().min(1), kty: z.literal('RSA'), n: z.string(), e: z.string() })).min(1).max(50) });

/** A key that is not known is looked for at most so often: tokens may name any. */
const LOOK_AGAIN_MS = 30_000;
const ANSWER_MS = 5_000;
const MOST_BYTES = 262_144;
/** Without a max-age, and at most. */
const DEFAULT_AGE_S = 3_600;
const MOST_AGE_S = 86_400;

interface Known { readonly keys: ReadonlyMap<string, CryptoKey | Uint8Array>; readonly until: number; readonly fetchedAt: number }

/** Public keys by their id, fetched when needed and believed until the server's max-age. */
export class FirebaseKeys {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #flights = new SingleFlight<Known>();
  #known: Known | undefined;

  constructor(clock: Clock, url: string = GOOGLE_KEYS_URL) {
    this.#url = url;
    this.#clock = clock;
  }

  /** The key, or undefined where the server has none of that id. Throws UnavailableError when it cannot be asked and nothing fresh is known. */
  async key(kid: string): Promise<CryptoKey | Uint8Array | undefined> {
    const now = this.#clock.monotonic();
    const known = this.#known;
    const fresh = known !== undefined && now < known.until;
    if (fresh && known.keys.has(kid)) return known.keys.get(kid);
    if (fresh && now - known.fetchedAt < LOOK_AGAIN_MS) return undefined;
    try {
      this.#known = await this.#flights.run('keys', () => this.#fetch());
    } catch (error) {
      // Not there among keys that still count: then it is not there.
      if (fresh) return undefined;
      throw error;
    }
    return this.#known.keys.get(kid);
  }

  async #fetch(): Promise<Known> {
    try {
      const response = await fetch(this.#url, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'error' });
      const text = await response.text();
      if (!response.ok || text.length > MOST_BYTES) throw new Error(`answered ${response.status}`);
      const { keys } = setSchema.parse(JSON.parse(text));
      const imported = await Promise.all(keys.map(async (key) => [key.kid, await importJWK({ ...key, alg: 'RS256' }, 'RS256')] as const));
      const fetchedAt = this.#clock.monotonic();
      return { keys: new Map(imported), fetchedAt, until: fetchedAt + maxAgeSeconds(response.headers.get('cache-control')) * 1_000 };
    } catch (error) {
      throw new UnavailableError('the server of Firebase\'s keys', error);
    }
  }
}

function maxAgeSeconds(cacheControl: string | null): number {
  const found = /(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])/i.exec(cacheControl ?? '')?.[1];
  return found === undefined ? DEFAULT_AGE_S : Math.min(MOST_AGE_S, Number(found));
}
