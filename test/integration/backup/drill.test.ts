import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from '../../../hack/stack/stack.ts';
import { script, TestStack, type RunObject } from '../../harness/test-stack.ts';

/**
 * F33, on the real thing: runs are half-way, a backup is taken, they go on and have further effects, the database is lost
 * and restored from the backup. Nothing may happen twice by itself; a person decides.
 */

let t: TestStack;
let folder: string;
let backup: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'rambo-drill-'));
  backup = path.join(folder, 'backup.tar.gz');
  t = await TestStack.start({ api: true });
  await t.pool({ minReady: 1, max: 2, slots: 16, reuse: 'Shared' });
}, 120_000);
afterAll(async () => {
  await t.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Ended { readonly code: number | null; readonly out: string; readonly said: string }

/** The command line as a person has it after `. .rambo/env`. */
function rambo(...args: readonly string[]): Promise<Ended> {
  const { addresses: a } = t;
  const env = {
    PATH: process.env['PATH'] ?? '', HOME: folder, DATABASE_URL: a.databaseUrl, KUBECONFIG: a.kubeconfig, NATS_URL: a.natsUrl, NATS_CREDS: a.natsCreds, RAMBO_TOKEN: a.token,
    RAMBO_PROCESSES: Object.entries(t.stack.healthUrls()).map(([name, url]) => `${name}=${url}`).join(','),
  };
  const child = spawn(process.execPath, ['--no-warnings', path.join(ROOT, 'dist/cli.mjs'), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
  return new Promise((resolve) => { child.once('close', (code) => { resolve({ code, out, said }); }); });
}

/** A chain whose nodes note every execution, and leave one keyed effect each. Nodes of `gates` then wait for `open(name, node)`, so that a slow machine is half-way too. */
function effects(name: string, n: number, ...gates: readonly number[]): object[] {
  const ledger = path.join(folder, `ledger-${name}`);
  const source = `import { appendFileSync, existsSync, mkdirSync, openSync } from 'node:fs';
export default async ({ input }) => {
  mkdirSync(input.ledger, { recursive: true });
  appendFileSync(input.ledger + '/executions', process.env.RAMBO_NODE + '\\n');
  try { openSync(input.ledger + '/' + process.env.RAMBO_IDEMPOTENCY_KEY, 'wx'); } catch {}
  await new Promise((r) => setTimeout(r, 400));
  while (input.gate !== null && !existsSync(input.gate)) await new Promise((r) => setTimeout(r, 50));
  return 1;
};`;
  return Array.from({ length: n }, (_, i) => script(`n${i}`, source, i === 0 ? {} : { dependsOn: [`n${i - 1}`] }, { ledger, gate: gates.includes(i) ? gateOf(name, i) : null }));
}

function gateOf(name: string, node: number): string {
  return path.join(folder, `gate-${name}-${node}`);
}

function open(name: string, node: number): void {
  writeFileSync(gateOf(name, node), '');
}

/** Executions of each node, and the number of keyed effects. */
function ledgerOf(name: string): { readonly executions: Readonly<Record<string, number>>; readonly effects: number } {
  const dir = path.join(folder, `ledger-${name}`);
  if (!existsSync(dir)) return { executions: {}, effects: 0 };
  const lines = readFileSync(path.join(dir, 'executions'), 'utf8').trim().split('\n');
  return { executions: Object.fromEntries([...new Set(lines)].map((node) => [node, lines.filter((line) => line === node).length])), effects: readdirSync(dir).length - 1 };
}

async function ofApi(nodes: object[]): Promise<string> {
  const { data } = await t.ask<{ data: { startRun: { run: { id: string } } } }>('mutation($i: StartRunInput!) { startRun(input: $i) { ... on RunPayload { run { id } } } }', { i: { namespace: 'default', definition: { nodes } } });
  return data.startRun.run.id;
}

async function ended(id: string, node: string): Promise<void> {
  await t.until(`${node} of ${id} to succeed`, async () => (await t.sql('select 1 from node_run where run_id = $1 and node = $2 and status = $3', [id, node, 'Succeeded'])).length === 1);
}

function stalled(run: RunObject): string {
  const found = run.status?.conditions?.find((c) => c.type === 'Stalled');
  return `${run.status?.phase ?? ''} ${found?.status ?? ''} ${found?.reason ?? ''}`;
}

async function shows(name: string, state: string): Promise<void> {
  let last = '';
  await t.until(`${name} to show ${state}`, async () => {
    last = stalled(await t.getRun(name));
    return last === state;
  }).catch((error: unknown) => { throw new Error(`${String(error)}; it shows ${last}`); });
}

async function apiRun(id: string): Promise<{ phase: string; review: string | null }> {
  return (await t.ask<{ data: { run: { phase: string; review: string | null } } }>('query($id: ID!) { run(id: $id) { phase review } }', { id })).data.run;
}

const NAMES = ['half', 'done', 'later', 'api'] as const;
const all = (): unknown => NAMES.map((name) => ledgerOf(name).executions);

test('an older database under newer objects: nothing runs twice by itself, and a person decides', async () => {
  // `half` and `api` are half-way when the backup is taken, `done` ends after it, `later` begins after it.
  const half = (await t.startInline(effects('half', 12, 3, 8))).metadata;
  const done = (await t.startInline(effects('done', 4, 2))).metadata;
  const api = await ofApi(effects('api', 12, 3, 8));
  await Promise.all([ended(half.uid, 'n2'), ended(done.uid, 'n1'), ended(api, 'n2')]);
  expect(await rambo('backup', '--out', backup)).toMatchObject({ code: 0, out: expect.stringMatching(/rows, .* as of 20/) as string });
  for (const [name, node] of [['half', 3], ['done', 2], ['api', 3]] as const) open(name, node);
  const later = (await t.startInline(effects('later', 12, 8))).metadata;
  await Promise.all([ended(half.uid, 'n4'), t.finished(done.name), ended(api, 'n4'), ended(later.uid, 'n1')]);

  const living = await rambo('restore', '--from', backup, '--force');
  expect(living).toMatchObject({ code: 1, said: expect.stringMatching(/controller-0-\w+ lives on database rambo: stop the controllers/) as string });
  await t.stack.child('controller-0').stop();
  // What runners have in hand ends; its results reach nobody.
  await new Promise((resolve) => { setTimeout(resolve, 1_000); });
  const before = all();
  expect(await rambo('restore', '--from', backup)).toMatchObject({ code: 1, said: expect.stringMatching(/is not empty/) as string });
  const restored = await rambo('restore', '--from', backup, '--force');
  expect(restored).toMatchObject({ code: 0, said: expect.stringMatching(/3 runs that were live in it will be Stalled[\s\S]*next: start the controllers/) as string });
  expect(restored.said).toContain('NATS: the dispatch stream is deleted');

  t.stack.startController('controller-0');
  await Promise.all([shows(half.name, 'Running True NeedsReview'), shows(done.name, 'Succeeded True NeedsReview'), shows(later.name, 'Pending True NeedsReview')]);
  expect(await apiRun(api)).toMatchObject({ phase: 'Running', review: expect.stringMatching(/the database was restored at .* from a backup taken at/) as string });
  // Longer than a lease, a lost dispatch, and a second process of the controller.
  await t.stack.child('controller-0').stop('SIGKILL');
  t.stack.startController('controller-0');
  await new Promise((resolve) => { setTimeout(resolve, 15_000); });
  expect(all()).toEqual(before);
  for (const [run, state] of [[half, 'Running'], [done, 'Succeeded'], [later, 'Pending']] as const) expect(stalled(await t.getRun(run.name))).toBe(`${state} True NeedsReview`);
  expect(await t.metric('rambo_runs_needing_review')).toBe(4);
  const sick = await rambo('doctor', '--no-bundle');
  expect(sick).toMatchObject({ code: 1, out: expect.stringMatching(/✗ 4 runs wait for a person \(NeedsReview\)/) as string });

  // Others are not in the way of it.
  const fresh = (await t.startInline(effects('fresh', 2))).metadata;
  expect((await t.finished(fresh.name)).status?.phase).toBe('Succeeded');

  // Resumed: what the database does not know to have ended runs again, under the same keys.
  open('half', 8);
  await t.stack.kubectl.run('patch', 'wfr', half.name, '--type=merge', '-p', '{"spec":{"suspend":false}}');
  const resumed = await t.finished(half.name, 60_000);
  expect([stalled(resumed), resumed.status?.progress]).toEqual(['Succeeded False NotStalled', '12/12']);
  expect(ledgerOf('half')).toMatchObject({ effects: 12, executions: { n0: 1, n2: 1, n3: 2, n4: 2, n11: 1 } });

  // Cancelled, by its object and over the API: nothing more happens.
  await t.stack.kubectl.run('patch', 'wfr', later.name, '--type=merge', '-p', '{"spec":{"cancel":"Now"}}');
  expect(stalled(await t.finished(later.name))).toBe('Cancelled True Cancelled');
  await t.ask('mutation($id: ID!) { cancelRun(id: $id, mode: Now) { __typename } }', { id: api });
  await t.until('the run of the API to be cancelled', async () => (await apiRun(api)).phase === 'Cancelled');
  expect(await apiRun(api)).toMatchObject({ review: null });

  // The object of a run that had ended stays what it is, whatever is decided about the row.
  await t.ask('mutation($id: ID!) { resumeRun(id: $id) { __typename } }', { id: done.uid });
  await t.until('the row to end', async () => (await t.sql('select 1 from run where id = $1 and phase = $2', [done.uid, 'Succeeded'])).length === 1, 60_000);
  await shows(done.name, 'Succeeded False NotStalled');
  expect(ledgerOf('done').effects).toBe(4);
  expect([ledgerOf('later').executions, ledgerOf('api').executions]).toEqual([(before as object[])[2], (before as object[])[3]]);
  expect(await t.metric('rambo_runs_needing_review')).toBe(0);
  expect(await rambo('doctor', '--no-bundle')).toMatchObject({ code: 0, out: expect.stringContaining('Nothing is wrong.') as string });
}, 240_000);

test('a database that went back without being marked: the objects that say more hold their runs', async () => {
  const { metadata } = await t.startInline(effects('unmarked', 12, 2, 8));
  await ended(metadata.uid, 'n1');
  const copy = path.join(folder, 'unmarked');
  expect((await rambo('backup', '--out', copy)).code).toBe(0);
  open('unmarked', 2);
  // Its progress has to show further than the rows of the backup go.
  await t.until('its object to show more', async () => Number((await t.getRun(metadata.name)).status?.progress?.split('/')[0]) >= 4, 60_000);
  await t.stack.child('controller-0').stop();
  await new Promise((resolve) => { setTimeout(resolve, 1_000); });
  const before = ledgerOf('unmarked').executions;
  expect((await rambo('restore', '--from', copy, '--force')).code).toBe(0);
  // As another tool would leave it: rows of the past, no mark.
  await t.sql('update run set review = null');
  await t.sql('delete from restoration');
  t.stack.startController('controller-0');
  await shows(metadata.name, 'Running True NeedsReview');
  await new Promise((resolve) => { setTimeout(resolve, 12_000); });
  expect(ledgerOf('unmarked').executions).toEqual(before);
  expect(await t.sql('select review from run where id = $1', [metadata.uid])).toEqual([{ review: expect.stringMatching(/its object shows \d+ ended nodes, the database \d+/) as string }]);
  await t.stack.kubectl.run('patch', 'wfr', metadata.name, '--type=merge', '-p', '{"spec":{"cancel":"Now"}}');
  expect(stalled(await t.finished(metadata.name))).toBe('Cancelled True Cancelled');
}, 180_000);
