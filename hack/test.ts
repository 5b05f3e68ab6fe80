import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

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
  // One cluster, which some tests take apart: one file after the other.
  if (name === 'e2e') args.push('--runInBand');
  if (pattern !== undefined) args.push('--testPathPatterns', pattern, '--passWithNoTests');
  const code = await new Promise<number>((resolve) => {
    // Results go to the file; what jest prints for people goes to standard error.
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('close', (status) => { resolve(status ?? 1); });
  });
  if (!existsSync(output)) {
    process.stderr.write(`${name}: jest ended with code ${code} and without results\n`);
    sum.failed++;
    return;
  }
  const result: Result = JSON.parse(readFileSync(output, 'utf8'));
  sum.passed += result.numPassedTests;
  sum.failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
  sum.skipped += result.numPendingTests;
  if (code !== 0 && result.numFailedTests + result.numRuntimeErrorTestSuites === 0) sum.failed++;
}

/** Rings of a word; `e2e` is left out of `ci`, with the reason, where this machine cannot have it. */
function rings(which: string): readonly string[] {
  if (which === 'all') return ['unit', 'integration'];
  if (which !== 'ci') return [which];
  const { status, stdout } = spawnSync(path.join(ROOT, 'hack/e2e/possible.sh'), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status === 0) return ['unit', 'integration', 'e2e'];
  process.stderr.write(`==> e2e tests are skipped: ${stdout.trim()}\n`);
  return ['unit', 'integration'];
}

async function main(): Promise<void> {
  const [which = 'all', pattern] = process.argv.slice(2);
  if (!['all', 'unit', 'integration', 'e2e', 'ci'].includes(which)) {
    process.stderr.write('usage: test.ts all | unit | integration | e2e | ci [pattern]\n');
    process.exit(2);
  }
  mkdirSync(RESULTS, { recursive: true });
  const sum: Sum = { passed: 0, failed: 0, skipped: 0 };
  for (const name of rings(which)) await ring(name, pattern, sum);
  if (sum.passed + sum.failed === 0) {
    process.stderr.write('no test ran\n');
    process.exit(1);
  }
  process.stdout.write(`${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}\n`);
  process.exit(sum.failed === 0 ? 0 : 1);
}

await main();
