import { existsSync, readFileSync } from 'node:fs';
import { short, timesBetter, type Row } from './numbers.ts';
import type { Report } from './report.ts';

/* Compares two reports of the bench: trend.ts LAST LATEST. Prints Markdown, and a warning of GitHub for what got much worse. Gates nothing. */

/** Worse by this factor is pointed at: shared machines differ by half of that from day to day. */
const MUCH = 1.5;

/** One figure of two reports. `ratio` above 1 is better than before. */
export interface Trend {
  readonly row: Row;
  readonly before: number;
  readonly ratio: number;
}

/** Figures that both reports have, worst first. */
export function trends(last: Report, latest: Report): readonly Trend[] {
  return latest.rows.flatMap((row) => {
    const old = last.rows.find((other) => other.scenario === row.scenario && other.name === row.name && other.unit === row.unit);
    return old === undefined ? [] : [{ row, before: old.value, ratio: row.value === old.value ? 1 : timesBetter(row, old.value) }];
  }).sort((a, b) => a.ratio - b.ratio);
}

/** The page for people: the machines first, for a slower machine explains a worse figure. */
export function trendPage(last: Report, latest: Report): string {
  const machine = (report: Report): string => `${report.commit}, ${report.machine.cores} cores (${report.machine.model}), one durable commit ${short(report.baseline.commitMs)} ms, one NATS round trip ${short(report.baseline.natsRoundTripMs)} ms`;
  const lines = trends(last, latest).map(({ row, before, ratio }) => `| ${row.scenario} | ${row.name} | ${short(row.value)} ${row.unit} | ${short(before)} | ${short(ratio)} |`);
  return [`Last: ${machine(last)}`, '', `Now: ${machine(latest)}`, '', '| scenario | figure | now | before | times better |', '|---|---|---|---|---|', ...lines].join('\n');
}

/** Lines that GitHub shows on the run. */
export function warnings(last: Report, latest: Report): readonly string[] {
  return trends(last, latest).filter(({ ratio }) => ratio < 1 / MUCH)
    .map(({ row, before, ratio }) => `::warning::${row.scenario}, ${row.name}: ${short(row.value)} ${row.unit}, before ${short(before)}: ${short(1 / ratio)} times worse`);
}

if (import.meta.main) {
  const [lastFile = '', latestFile = ''] = process.argv.slice(2);
  const latest: Report = JSON.parse(readFileSync(latestFile, 'utf8'));
  const last: Report = existsSync(lastFile) ? JSON.parse(readFileSync(lastFile, 'utf8')) : latest;
  if (last === latest) process.stdout.write('There is no earlier report: this one is the first.\n\n');
  process.stdout.write(`${trendPage(last, latest)}\n`);
  for (const line of warnings(last, latest)) process.stderr.write(`${line}\n`);
}
