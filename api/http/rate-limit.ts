import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';
import type { Clock } from '../../platform/clock/index.ts';
import { ApiError } from '../errors.ts';

/** How often somebody may call. */
export interface RateSettings {
  /** Requests per second of one principal, on average; 0: any number. */
  readonly principal: number;
  /** Requests per second that are refused for lack of a token, or are public, of one address; 0: any number. */
  readonly address: number;
  /** Proxies of ours in front, exactly: each has added one address to X-Forwarded-For. */
  readonly hops: number;
}

/** As many seconds' worth may come at once. */
const BURST_S = 10;
/** Callers remembered at most; those who have been quiet for longest are forgotten first, which forgives them. */
const MOST_CALLERS = 50_000;
/** Networks of IPv6 are handed out whole: an address of one is worth nothing. */
const PREFIX_V6 = 64;

/** Counts requests per caller: each has a bucket that refills evenly (GCRA: one number per caller). */
class Bucket {
  readonly #clock: Clock;
  readonly #interval: number;
  /** By caller: when all that was taken will have been refilled. */
  readonly #until = new Map<string, number>();

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#interval = 1_000 / perSecond;
  }

  /** Takes one request; milliseconds to wait where there is none left. */
  take(caller: string): number {
    const now = this.#clock.monotonic();
    const until = Math.max(now, this.#until.get(caller) ?? 0) + this.#interval;
    const over = until - now - BURST_S * 1_000;
    if (over > 0) return over;
    this.#until.delete(caller);
    this.#until.set(caller, until);
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= MOST_CALLERS) break;
      this.#until.delete(oldest);
    }
    return 0;
  }
}

/** The limits of one API process. */
export class RateLimits {
  readonly #principals: Bucket | undefined;
  readonly #addresses: Bucket | undefined;
  readonly #hops: number;

  constructor(clock: Clock, { principal, address, hops }: RateSettings) {
    this.#principals = principal > 0 ? new Bucket(clock, principal) : undefined;
    this.#addresses = address > 0 ? new Bucket(clock, address) : undefined;
    this.#hops = hops;
  }

  /** Counts a request of somebody who has shown who they are. Throws RATE_LIMITED. */
  principal(name: string): void {
    limited(this.#principals?.take(name));
  }

  /** Counts a request of nobody in particular, by the address it comes from. Throws RATE_LIMITED. */
  address(request: IncomingMessage): void {
    limited(this.#addresses?.take(networkOf(clientAddress(request, this.#hops))));
  }
}

function limited(waitMs: number | undefined): void {
  if (waitMs === undefined || waitMs === 0) return;
  const seconds = Math.ceil(waitMs / 1_000);
  throw new ApiError('RATE_LIMITED', `too many requests: try again in ${seconds} s, and less often from then on`, seconds);
}

/**
 * The address of the client. With n proxies it is the n-th last entry of X-Forwarded-For: what stands further left was said by the client
 * and is not believed. A request that did not come through all of them is taken by its socket.
 */
export function clientAddress(request: Pick<IncomingMessage, 'headersDistinct' | 'socket'>, hops: number): string {
  const socket = request.socket.remoteAddress ?? '';
  if (hops === 0) return socket;
  const forwarded = (request.headersDistinct['x-forwarded-for'] ?? []).join(',').split(',').map((entry) => entry.trim());
  const entry = forwarded.at(-hops);
  return entry !== undefined && ipaddr.isValid(entry) ? entry : socket;
}

/** What is counted as one: an IPv4 address, or the /64 of an IPv6 address. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.process(address); // ::ffff:1.2.3.4 is 1.2.3.4
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toNormalizedString().replace(/%.*$/, '')}/${PREFIX_V6}`).toString();
}
