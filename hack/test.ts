import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { tryCluster } from './e2e/trial.ts';

/* Runs the rings of tests and ends with one line: `N passed, N failed`. Usage: test.ts all | unit | integration | e2e | ci [pattern]; ci is all, and e2e where this machine can have it. */

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const RESULTS = path.join(ROOT, '.rambo/test-results');

interface Result {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

interface Sum {
  passed: number;
  failed: number;
  skipped: number;
}

/** Runs one ring; a ring that ends without results counts as a failure. */
async function ring(name: string, pattern: string | undefined, sum: Sum): Promise<void> {
  const output = path.join(RESULTS, `${name}.json`);
  rmSync(output, { force: true });
  process.stderr.write(`==> ${name} tests\n`);
  const args = ['--no-warnings', '--experimental-vm-modules', path.join(ROOT, 'node_modules/jest/bin/jest.js'), '--selectProjects', name, '--json', `--outputFile=${output}`, '--testLocationInResults'];
  // One cluster, which some tests take apart: one file after the other. The upgrade begins on an empty one, and takes minutes: only when it is asked for.
  const upgrade = name === 'e2e' && pattern === 'upgrade';
  if (name === 'e2e') args.push('--runInBand', ...(upgrade ? [] : ['--testPathIgnorePatterns', 'test/e2e/upgrade']));
  if (pattern !== undefined) args.push('--testPathPatterns', pattern, '--passWithNoTests');
  const ended = await new Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>((resolve) => {
    // Results go to the file; what jest prints for people goes to standard error.
    const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...(upgrade ? { RAMBO_E2E_UPGRADE: '1' } : {}) }, stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('close', (code, signal) => { resolve({ code, signal }); });
  });
  const { code, signal } = ended;
  if (signal !== null) process.stderr.write(`${name}: jest was ended by ${signal}${signal === 'SIGKILL' ? ': was memory short? (dmesg)' : ''}\n`);
  if (!existsSync(output)) {
    process.stderr.write(`${name}: jest ended ${signal === null ? `with code ${code ?? 'none'}` : `by ${signal}`} and without results\n`);
    sum.failed++;
    return;
  }
  const result: Result = JSON.parse(readFileSync(output, 'utf8'));
  sum.passed += result.numPassedTests;
  sum.failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
  sum.skipped += result.numPendingTests;
  if (code !== 0 && result.numFailedTests + result.numRuntimeErrorTestSuites === 0) sum.failed++;
}

/** Why this machine cannot have the end-to-end ring, in one line; undefined when nothing is known against it. */
function impossible(): string | undefined {
  const { status, stdout } = spawnSync(path.join(ROOT, 'hack/e2e/possible.sh'), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return status === 0 ? undefined : stdout.trim();
}

/** The end-to-end ring, unless this machine lacks what a cluster needs: then the reason is printed. A test that fails has failed. */
async function e2eWherePossible(pattern: string | undefined, sum: Sum): Promise<void> {
  const log = (line: string): void => { process.stderr.write(`    ${line}\n`); };
  const cluster = impossible() ?? await tryCluster(log);
  if (typeof cluster === 'string') {
    process.stderr.write(`==> e2e tests are skipped: ${cluster}\n`);
    return;
  }
  process.env['RAMBO_E2E_DIR'] = cluster.dir;
  try {
    await ring('e2e', pattern, sum);
  } finally {
    await cluster.stop();
  }
}

async function main(): Promise<void> {
  const [which = 'all', pattern] = process.argv.slice(2);
  if (!['all', 'unit', 'integration', 'e2e', 'ci'].includes(which)) {
    process.stderr.write('usage: test.ts all | unit | integration | e2e | ci [pattern]\n');
    process.exit(2);
  }
  mkdirSync(RESULTS, { recursive: true });
  const sum: Sum = { passed: 0, failed: 0, skipped: 0 };
  for (const name of which === 'all' || which === 'ci' ? ['unit', 'integration'] : [which]) await ring(name, pattern, sum);
  if (which === 'ci') await e2eWherePossible(pattern, sum);
  if (sum.passed + sum.failed === 0) {
    process.stderr.write('no test ran\n');
    process.exit(1);
  }
  process.stdout.write(`${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}\n`);
  process.exit(sum.failed === 0 ? 0 : 1);
}

await main();
