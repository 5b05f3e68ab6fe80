import type { Usage } from '../../crds/agent-run.ts';
import type { ModelSpec } from '../../crds/model.ts';
import { nanoOfUsd } from '../../crds/money.ts';

/** Prices of a Model in nano-USD (1e-9 USD) per million tokens: whole numbers, so that no cent is lost by rounding twice. */
export interface Price {
  readonly input: bigint;
  readonly cachedInput: bigint;
  readonly cacheWrite: bigint;
  readonly output: bigint;
  readonly version: string | undefined;
}

const MILLION = 1_000_000n;

/** What a Model costs; undefined for one without prices, which only budgets of tokens bound. Cached input without a price of its own costs what input does. */
export function priceOf({ pricing }: Pick<ModelSpec, 'pricing'>): Price | undefined {
  if (pricing === undefined) return undefined;
  const input = BigInt(nanoOfUsd(pricing.input));
  const own = (usd: number | undefined): bigint => (usd === undefined ? input : BigInt(nanoOfUsd(usd)));
  return { input, cachedInput: own(pricing.cachedInput), cacheWrite: own(pricing.cacheWrite), output: BigInt(nanoOfUsd(pricing.output)), version: pricing.version };
}

/** What a call cost, in nano-USD, rounded up once at the end. `usage.input` includes what was read from and written to a cache. */
export function costOf(price: Price | undefined, usage: Usage): bigint {
  if (price === undefined) return 0n;
  const fresh = Math.max(0, usage.input - usage.cached - usage.cacheWrite);
  return up(price.input * BigInt(fresh) + price.cachedInput * BigInt(usage.cached) + price.cacheWrite * BigInt(usage.cacheWrite) + price.output * BigInt(usage.output));
}

/** The most a call can cost with so many tokens of prompt and of answer. */
export function mostOf(price: Price | undefined, input: number, output: number): bigint {
  if (price === undefined) return 0n;
  return up(dearest(price) * BigInt(input) + price.output * BigInt(output));
}

/** Tokens of answer that `nano` still pays after the prompt; infinite without a price, below zero where not even the prompt is paid. */
export function outputFor(price: Price | undefined, nano: bigint | null, input: number): number {
  if (price === undefined || nano === null) return Number.POSITIVE_INFINITY;
  const left = nano * MILLION - dearest(price) * BigInt(input);
  return left < 0n ? -1 : Number(left / price.output);
}

function dearest({ input, cacheWrite }: Price): bigint {
  return input > cacheWrite ? input : cacheWrite;
}

function up(millionths: bigint): bigint {
  return (millionths + MILLION - 1n) / MILLION;
}
