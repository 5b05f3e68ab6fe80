/**
 * Measures a stack of its own and prints what it saw. Never a gate: figures depend on the machine, so each comes beside
 * a target, a comparison and a baseline taken in the same run.
 *   make bench                           the short scenarios
 *   make bench SCENARIO=504x10,idle      some of them; SCENARIO=all for every one
 *   make bench PROFILE=1                 CPU profiles of controller, API and runner below bench/out/profiles
 *   make bench CONTROLLERS=2             so many controllers share the shards
 *   make bench BASELINE=old.json         compare with another report than the last one
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { ROOT } from '../hack/stack/stack.ts';
import { TestStack } from '../test/harness/test-stack.ts';
import { baseline } from './baseline.ts';
import { Bench } from './context.ts';
import type { Row } from './numbers.ts';
import { profileSummaries } from './profiles.ts';
import { table, type Report } from './report.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const OUT = path.join(ROOT, 'bench/out');
const PROFILES = path.join(OUT, 'profiles');

function chosen(names: string | undefined): readonly Scenario[] {
  if (names === undefined || names === '') return SCENARIOS.filter((scenario) => scenario.long !== true);
  if (names === 'all') return SCENARIOS;
  return names.split(',').map((name) => {
    const scenario = SCENARIOS.find((s) => s.name === name.trim());
    if (scenario === undefined) throw new Error(`there is no scenario ${name}; choose from ${SCENARIOS.map((s) => s.name).join(', ')}, or all`);
    return scenario;
  });
}

function readReport(file: string | undefined): Report | undefined {
  const chosenFile = file === undefined || file === '' ? path.join(OUT, 'latest.json') : file;
  return existsSync(chosenFile) ? JSON.parse(readFileSync(chosenFile, 'utf8')) as Report : undefined;
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function measure(scenarios: readonly Scenario[], profile: boolean): Promise<Report> {
  const loadBefore = loadavg()[0] ?? 0;
  log('==> starting a stack: control plane, Postgres with fsync on, NATS, controller, API');
  const t = await TestStack.start({ api: true, controllers: Number(process.env['CONTROLLERS'] ?? 1), ...(profile ? { nodeOptions: `--cpu-prof --cpu-prof-dir=${PROFILES}` } : {}) });
  try {
    await t.pool({ minReady: 1, max: 1, slots: 256, reuse: 'Shared' });
    const bench = new Bench(t, log);
    const floor = await baseline(t);
    log('==> warming up: 300 chains of 10');
    await bench.warmUp();
    const rows: Row[] = [];
    for (const [i, scenario] of scenarios.entries()) {
      log(`==> [${i + 1}/${scenarios.length}] ${scenario.name}: ${scenario.what}`);
      rows.push(...await scenario.run(bench));
    }
    return {
      at: new Date().toISOString(), commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim(), baseline: floor, rows,
      machine: { cores: cpus().length, model: cpus()[0]?.model ?? '', memoryGiB: totalmem() / 2 ** 30, loadBefore, node: process.versions.node },
    };
  } finally {
    log('==> stopping the stack');
    await t.stop();
  }
}

const scenarios = chosen(process.env['SCENARIO']);
const before = readReport(process.env['BASELINE']);
const profile = (process.env['PROFILE'] ?? '') !== '';
mkdirSync(OUT, { recursive: true });
if (profile) {
  rmSync(PROFILES, { recursive: true, force: true });
  mkdirSync(PROFILES, { recursive: true });
}
const report = await measure(scenarios, profile);
writeFileSync(path.join(OUT, 'latest.json'), `${JSON.stringify(report, null, 2)}\n`);
process.stdout.write(`${table(report, before)}\n`);
if (profile) process.stdout.write(`\n${profileSummaries(PROFILES)}\n`);
log(`written to ${path.relative(ROOT, path.join(OUT, 'latest.json'))}`);
