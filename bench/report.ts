import { short, timesBetter, verdict, type Row } from './numbers.ts';

/** What a run of the bench leaves behind, as `bench/out/latest.json`. */
export interface Report {
  readonly at: string;
  readonly commit: string;
  readonly machine: { readonly cores: number; readonly model: string; readonly memoryGiB: number; readonly loadBefore: number; readonly node: string };
  /** What this machine does without us, taken in the same run: to compare runs on different machines. */
  readonly baseline: { readonly commitMs: number; readonly natsRoundTripMs: number };
  readonly rows: readonly Row[];
}

/** The table people read. `before` is an earlier report to compare with. */
export function table(report: Report, before: Report | undefined): string {
  const head = ['scenario', 'figure', 'value', 'median', 'p99', 'unit', 'n', 'target', '', 'compared with', 'before'];
  const lines = report.rows.map((row) => [
    row.scenario, row.name, short(row.value), optional(row.median), optional(row.p99), row.unit, String(row.n),
    row.target === undefined ? '' : `${row.target.better === 'lower' ? '<=' : '>='} ${short(row.target.value)}`, verdict(row), compared(row), earlier(row, before),
  ]);
  return [...aligned([head, ...lines]), '', machine(report)].join('\n');
}

function compared(row: Row): string {
  const { comparedWith } = row;
  return comparedWith === undefined ? '' : `${comparedWith.what} ${short(comparedWith.value)}: ${short(timesBetter(row, comparedWith.value))}x`;
}

function earlier(row: Row, before: Report | undefined): string {
  const old = before?.rows.find((r) => r.scenario === row.scenario && r.name === row.name);
  return old === undefined ? '' : `${short(old.value)} (${short(timesBetter(row, old.value))}x)`;
}

function machine({ machine: m, baseline, commit, at }: Report): string {
  return `${at}, commit ${commit}, ${m.cores} cores (${m.model}), ${short(m.memoryGiB)} GiB, Node ${m.node}, load before ${short(m.loadBefore)}; `
    + `baseline: one durable commit ${short(baseline.commitMs)} ms, one NATS round trip ${short(baseline.natsRoundTripMs)} ms`;
}

function optional(value: number | undefined): string {
  return value === undefined ? '' : short(value);
}

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ').trimEnd());
}
