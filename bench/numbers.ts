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

/**
 * Rows of a load that came several times. Of each figure the median of all rounds but the first (of memory the most), then the first
 * round's own, without a target: what a process pays that has just been started.
 */
export function medians(rounds: readonly (readonly Row[])[]): readonly Row[] {
  const [first = [], ...later] = rounds;
  if (later.length === 0) return first;
  const steady = first.map((row): Row => {
    const samples = later.flatMap((rows) => rows.filter(({ name }) => name === row.name).map(({ value }) => value));
    return { ...row, value: row.unit === 'MiB' ? Math.max(...samples) : percentile(samples, 0.5) };
  });
  return [...steady, ...first.map(({ target: _, comparedWith: __, ...row }): Row => ({ ...row, name: `first round: ${row.name}` }))];
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
