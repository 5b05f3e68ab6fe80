/** One figure of a scenario. */
export interface Row {
  readonly scenario: string;
  /** What was measured. */
  readonly name: string;
  readonly unit: string;
  /** Number of samples behind it. */
  readonly n: number;
  readonly value: number;
  readonly median?: number;
  readonly p99?: number;
  /** What it should reach, and which side is good. */
  readonly target?: { readonly value: number; readonly better: 'lower' | 'higher' };
  /** What it is compared with, with that figure in the same unit. */
  readonly comparedWith?: { readonly what: string; readonly value: number };
}

/** The value below which `share` of the samples lie (nearest rank). NaN for none. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

/** A row of latencies: its value is the median. */
export function latencies(scenario: string, name: string, samples: readonly number[], more: Pick<Row, 'target' | 'comparedWith'> = {}): Row {
  const median = percentile(samples, 0.5);
  return { scenario, name, unit: 'ms', n: samples.length, value: median, median, p99: percentile(samples, 0.99), ...more };
}

/** How a figure stands to its target. */
export function verdict(row: Row): 'reached' | 'missed' | '' {
  if (row.target === undefined) return '';
  const reached = row.target.better === 'lower' ? row.value <= row.target.value : row.value >= row.target.value;
  return reached ? 'reached' : 'missed';
}

/** How many times better than what it is compared with: 10 means ten times as fast, or a tenth of the cost. */
export function timesBetter(row: Row, other: number): number {
  const higher = row.target?.better === 'higher' || row.unit.endsWith('/s');
  return higher ? row.value / other : other / row.value;
}

/** A number as people read it: three significant digits. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
