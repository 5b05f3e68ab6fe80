import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from '../../../hack/stack/stack.ts';
import { script, TestStack } from '../../harness/test-stack.ts';

/** `rambo doctor` against a real cluster: what it says when things are broken, and that no secret gets into its bundle. */

let t: TestStack;
let folder: string;
let logs: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'rambo-doctor-'));
  logs = path.join(folder, 'logs');
  t = await TestStack.start({ api: true });
}, 120_000);
afterAll(async () => {
  await t.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Planted wherever a secret may be; must be in no file of the bundle. */
const CANARY = 'canary9f2d7c41';

function doctor(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<{ readonly code: number | null; readonly out: string; readonly said: string }> {
  const { addresses: a } = t;
  const all = {
    PATH: process.env['PATH'] ?? '', HOME: folder, DATABASE_URL: a.databaseUrl, KUBECONFIG: a.kubeconfig, NATS_CREDS: a.natsCreds, RAMBO_TOKEN: a.token, RAMBO_LOGS: logs,
    RAMBO_PROCESSES: Object.entries(t.stack.healthUrls()).map(([name, url]) => `${name}=${url}`).join(','), ...env,
  };
  const child = spawn(process.execPath, ['--no-warnings', path.join(ROOT, 'dist/cli.mjs'), 'doctor', ...args], { env: all, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
  return new Promise((resolve) => { child.once('close', (code) => { resolve({ code, out, said }); }); });
}

/** A canary in every place where people, or we, keep secrets. */
async function plant(): Promise<void> {
  await t.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'planted', namespace: 'default' }, stringData: { password: CANARY } });
  await t.apply({
    apiVersion: 'v1', kind: 'Pod', metadata: { name: 'planted', namespace: 'rambo-system' },
    spec: { containers: [{
      name: 'c', image: 'local/sh', command: ['sh', '-c', `echo '{"msg":"up","token":"${CANARY}"}'; echo "connecting to postgresql://u:${CANARY}@db/x"; sleep 600`],
      env: [{ name: 'DB_PASSWORD', value: CANARY }, { name: 'PLAIN_LOOKING', value: CANARY }, { name: 'RAMBO_DATABASE_URL', value: `postgresql://u:${CANARY}@db/x` }],
    }] },
  });
  await t.startInline([
    script('leaks', `export default ({ log }) => { console.log("password=${CANARY}"); throw new Error("cannot log in with token: ${CANARY}"); }`, { runner: { env: [{ name: 'KEY', value: CANARY }] } }, { apiKey: CANARY }),
  ], { spec: { input: { secret: CANARY } } });
  await t.sql(`insert into dead_letter (subject, reason, payload) values ('rambo.result', 'bad: {"secret":"${CANARY}"}', $1)`, [Buffer.from(CANARY)]);
  rmSync(logs, { recursive: true, force: true });
  const { mkdirSync } = await import('node:fs');
  mkdirSync(logs);
  writeFileSync(path.join(logs, 'controller-0.log'), [`{"level":"info","msg":"x","authorization":"Bearer ${CANARY}${CANARY}"}`, `RAMBO_TOKEN=${CANARY}`, 'an ordinary line', ''].join('\n'));
}

test('what is broken is said in plain words, with code 1', async () => {
  await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name: 'broken', namespace: 'default' }, spec: { minReady: 1, image: 'registry.invalid/none:1' } });
  const said = await t.until('the pod to fail to pull', async () => {
    const { out, code } = await doctor({}, '--no-bundle');
    return /pool default\/broken has no ready runner: (?:ErrImagePull|ImagePullBackOff)/.test(out) ? { out, code } : undefined;
  }, 60_000);
  expect(said.code).toBe(1);
  await t.stack.kubectl.run('delete', 'pool', 'broken');
  await t.pool({ minReady: 1 });
}, 120_000);

test('all is well: code 0, and the bundle holds what helps and no secret', async () => {
  await plant();
  await t.until('the run to fail', async () => (await t.sql(`select 1 from run where phase = 'Failed'`)).length === 1);
  await t.until('the planted pod to run', async () => (await t.stack.kubectl.run('get', 'pod', 'planted', '-n', 'rambo-system', '-o', 'jsonpath={.status.phase}')) === 'Running');
  // The password of the database is a secret of this very command, wherever it stands.
  const bundle = path.join(folder, 'bundle');
  const { code, out, said } = await doctor({ RAMBO_TOKEN: CANARY }, '--out', bundle);
  expect([code, out, said]).toEqual([0, out, said]);
  expect(out).toMatch(/database: Postgres 18.*257 controller-0-/);
  const files = new Map(readdirSync(bundle).map((name) => [name, readFileSync(path.join(bundle, name), 'utf8')] as const));
  expect([...files.keys()].sort()).toEqual(expect.arrayContaining(['cluster.json', 'database.json', 'log-controller-0.txt', 'log-rambo-system-planted-c.txt', 'metrics-api.txt', 'metrics-controller-0.txt', 'processes.json', 'report.txt']));
  for (const [name, text] of files) {
    expect([name, text.includes(CANARY)]).toEqual([name, false]);
    // The password of the test database is an ordinary word; it may stand alone, but not in an address.
    expect([name, /:postgres@/.test(text)]).toEqual([name, false]);
  }
  expect(files.get('metrics-controller-0.txt')).toContain('rambo_shards_owned{process="controller"} 257');
  expect(files.get('log-controller-0.txt')).toContain('an ordinary line');
  expect(files.get('log-rambo-system-planted-c.txt')).toMatch(/connecting to postgresql:\/\/\[redacted\]@db\/x/);
  const cluster: { crds: { name: string; present: boolean; established: boolean; missingFields: string[] }[]; pods: { name: string; containers: { env: Record<string, string> }[] }[] } = JSON.parse(files.get('cluster.json') ?? '');
  for (const crd of cluster.crds) expect(crd).toMatchObject({ present: true, established: true, missingFields: [] });
  expect(cluster.pods.find((pod) => pod.name === 'planted')?.containers[0]?.env).toMatchObject({ DB_PASSWORD: expect.not.stringContaining(CANARY) as string, PLAIN_LOOKING: '[not shown]' });
}, 90_000);

test('an archive is made under the name of its moment, where none is given', async () => {
  expect((await doctor({})).said).toMatch(/bundle: rambo-doctor-\d{8}-\d{6}\.tar\.gz \(\d+ files\)/);
  expect(readdirSync(folder).filter((name) => name.endsWith('.tar.gz'))).toHaveLength(1);
});

test('no controller, a migration missing, a process that does not answer, a cluster that cannot be reached', async () => {
  await t.stack.child('controller-0').stop();
  const [row] = await t.sql<{ name: string }>('select max(migration_name) as name from _prisma_migrations');
  await t.sql('update _prisma_migrations set finished_at = null where migration_name = $1', [row?.name]);
  const { code, out } = await doctor({ KUBECONFIG: path.join(folder, 'none') }, '--no-bundle');
  expect(code).toBe(1);
  expect(out).toMatch(/✗ no controller holds shards: no run moves/);
  expect(out).toMatch(new RegExp(`✗ the database lacks ${row?.name ?? ''}`));
  expect(out).toMatch(new RegExp(`✗ migration ${row?.name ?? ''} was begun at .* and never finished`));
  expect(out).toMatch(/✗ controller-0 is not ready: it does not answer/);
  expect(out).toMatch(/· the API server was not looked at: kubeconfig .*none does not exist/);
  await t.sql('update _prisma_migrations set finished_at = now() where migration_name = $1', [row?.name]);
  t.stack.startController('controller-0');
  expect(await doctor({ DATABASE_URL: 'postgresql://me:hunter2@127.0.0.1:1/x' }, '--no-bundle')).toMatchObject({ out: expect.not.stringContaining('hunter2') as string });
}, 60_000);
