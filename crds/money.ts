/** Money in nano-USD (1e-9 USD) as decimal text, because JSON has no 64-bit integers. */

/** Nano-USD of an amount as people write it; at least 1, so that no limit vanishes by rounding. */
export function nanoOfUsd(usd: number): string {
  const digits = usd.toFixed(9).replace('.', '').replace(/^0+/, '');
  return digits === '' ? '1' : digits;
}

/** An amount in USD as people read it, without needless zeros: `0.0125`. */
export function usdOfNano(nano: string | bigint): string {
  const digits = String(nano).padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '');
  return fraction === '' ? digits.slice(0, -9) : `${digits.slice(0, -9)}.${fraction}`;
}
