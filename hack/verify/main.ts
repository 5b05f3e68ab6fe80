import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { houseCounters } from './counters.ts';
import { hygiene } from './hygiene.ts';
import { ROOT, trackedFiles } from './files.ts';
import { installScriptProblems } from './install-scripts.ts';
import { migrationProblems, migrationsInFolder } from './migrations.ts';
import { packageProblems, type Declared } from './packages.ts';
import { PENDING } from './pending.ts';
import { makeTargets, pipelineProblems } from './pipeline.ts';

/* `make verify`: generated files fresh, types, lint, Go and shell in order, a clean repository, the house counters. */

const started = Date.now();
const failures: string[] = [];

function say(line: string): void {
  process.stderr.write(`==> [${Math.round((Date.now() - started) / 1_000)}s] ${line}\n`);
}

/** Runs a command from the root of the checkout; its output is shown when it fails. */
function check(what: string, command: string, args: readonly string[], cwd = ROOT): void {
  say(what);
  const { status, stdout, stderr, error } = spawnSync(command, [...args], { cwd, encoding: 'utf8', maxBuffer: 64 * 1_048_576 });
  if (status === 0) return;
  process.stderr.write(`${error?.message ?? ''}${stdout}${stderr}\n`);
  failures.push(what);
}

function checkOutputEmpty(what: string, command: string, args: readonly string[], cwd: string): void {
  say(what);
  const { stdout, status } = spawnSync(command, [...args], { cwd, encoding: 'utf8' });
  if (status === 0 && stdout.trim() === '') return;
  process.stderr.write(`${stdout}\n`);
  failures.push(what);
}

check('generated kinds and policies are fresh', 'node', ['--no-warnings', 'crds/generate.ts', '--check']);
check('generated GraphQL schema is fresh', 'node', ['--no-warnings', 'api/print-schema.ts', '--check']);
check('generated OpenAPI document is fresh', 'node', ['--no-warnings', 'api/print-openapi.ts', '--check']);
check('docs/cli.md is fresh', 'node', ['--no-warnings', 'cli/print-docs.ts', '--check']);
check('health checks for Argo CD are fresh', 'node', ['--no-warnings', 'hack/gitops/argocd-cm.ts', '--check']);
check('values, schema and CRDs of the chart are fresh', 'node', ['--no-warnings', 'hack/chart/generate.ts', '--check']);
check('generated page of metrics is fresh', 'node', ['--no-warnings', 'hack/docs/metrics.ts', '--check']);
check('generated page of logs is fresh, every field has its meaning', 'node', ['--no-warnings', 'hack/docs/logs.ts', '--check']);
check('migrations and schema agree', 'node', ['--no-warnings', 'hack/prisma/check.mjs']);
check('types and the direction of imports between rooms', 'tsc', ['-b']);
if (existsSync(`${ROOT}/eslint.config.mjs`)) check('lint', 'eslint', ['--cache', '--cache-location', '.rambo/eslintcache', '.']);
checkOutputEmpty('gofmt', 'gofmt', ['-l', 'devcluster', 'tools'], `${ROOT}/hack`);
// The flags of build.sh: Kubernetes' own packages come from the cache of that build instead of being compiled once more.
check('go vet and tests of the node agent', 'env', ['CGO_ENABLED=0', 'go', 'test', '-trimpath', '-buildvcs=false', './nodeagent/...'], `${ROOT}/hack/devcluster`);
check('shell scripts', 'bash', ['-c', 'for f in $(git ls-files "*.sh" .ci/run); do bash -n "$f"; done']);
say('repository hygiene');
failures.push(...hygiene());
say('packages: declared and used');
const code = trackedFiles().filter((file) => /\.(ts|mjs)$/.test(file) && !file.endsWith('packages.test.ts'));
failures.push(...packageProblems(new Map(code.map((file) => [file, readFileSync(`${ROOT}/${file}`, 'utf8')])), JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as Declared));
failures.push(...installScriptProblems(readFileSync(`${ROOT}/.npmrc`, 'utf8'), JSON.parse(readFileSync(`${ROOT}/package-lock.json`, 'utf8'))));
say('pipeline');
const present = (file: string): boolean => existsSync(`${ROOT}/${file}`);
const targets = makeTargets(readFileSync(`${ROOT}/Makefile`, 'utf8'));
const waiting = [...PENDING].filter((name) => name.startsWith('make ') && !targets.has(name.slice(5)));
const around = { targets: new Set([...targets, ...waiting.map((name) => name.slice(5))]), exists: (file: string): boolean => PENDING.has(file) || present(file) };
for (const name of PENDING) say(`pending: ${name} ${present(name) || (name.startsWith('make ') && !waiting.includes(name)) ? 'is here now: take it off hack/verify/pending.ts' : 'comes with another branch'}`);
const pipelines = trackedFiles().filter((file) => /^\.github\/workflows\/.*\.ya?ml$/.test(file));
for (const file of pipelines) failures.push(...pipelineProblems(file, readFileSync(`${ROOT}/${file}`, 'utf8'), around));
check('actionlint (built once, about 10 s)', 'bash', ['-c', '"$(hack/tools/tool.sh actionlint)" -shellcheck= -pyflakes= "$@"', 'actionlint', ...pipelines]);
say('migrations expand before they contract');
const { version }: { version: string } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));
failures.push(...migrationProblems(migrationsInFolder(), version));
say('house counters');
failures.push(...houseCounters());

if (failures.length > 0) {
  process.stderr.write(`\nverify failed:\n${failures.map((line) => `  - ${line}`).join('\n')}\n`);
  process.exit(1);
}
say('verified');
