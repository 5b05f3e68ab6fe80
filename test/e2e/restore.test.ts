import { execFile } from 'node:child_process';
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../hack/stack/stack.ts';
import type { RunObject } from '../harness/test-stack.ts';
import { figure, pause, RELEASE, Site, SYSTEM, until } from './site.ts';

/**
 * The restore drill on the installation: a backup is taken beside running runs, they go on and have further effects, the
 * database goes back to the backup. Nothing may happen twice by itself; a person decides.
 */

const run = promisify(execFile);
/** This machine, as pods reach it: hack/e2e/box.sh. */
const HOST = '10.243.0.1';
const POOL = 'drill';

let site: Site;
let folder: string;
let world: World;
beforeAll(async () => {
  site = Site.shared();
  folder = mkdtempSync(path.join(tmpdir(), 'rambo-drill-'));
  world = await World.open();
});
afterAll(async () => {
  // Whatever happened: others of the ring need them.
  await scale(2);
  await world.close();
  await site.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Where nodes have their effects: notes each call, answers those of gates only once they are open. */
class World {
  readonly calls: string[] = [];
  readonly keys = new Set<string>();
  readonly #server: Server;
  readonly #open = new Set<string>();
  readonly #held = new Map<string, ServerResponse[]>();

  private constructor() {
    this.#server = createServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://world');
      const node = searchParams.get('node') ?? '';
      this.calls.push(node);
      this.keys.add(searchParams.get('key') ?? '');
      if (this.#open.has(node) || !node.includes('gate')) response.end('{}');
      else this.#held.set(node, [...this.#held.get(node) ?? [], response]);
    });
  }

  static async open(): Promise<World> {
    const world = new World();
    await new Promise<void>((resolve) => { world.#server.listen(0, HOST, resolve); });
    return world;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://${HOST}:${port}/`;
  }

  let(node: string): void {
    this.#open.add(node);
    for (const response of this.#held.get(node) ?? []) response.end('{}');
    this.#held.delete(node);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }
}

/** A chain in which each node has one effect; names with `gate` then wait for `world.let`. */
function effects(prefix: string, ...names: readonly string[]): object[] {
  const source = `export default async ({ input }) => {
  const answer = await fetch(input.url + '?node=' + input.name + '&key=' + process.env.RAMBO_IDEMPOTENCY_KEY);
  return answer.status;
};`;
  return names.map((name, i) => ({
    name, type: 'script', runner: { pool: POOL }, ...(i === 0 ? {} : { dependsOn: [names[i - 1]] }),
    with: { language: 'javascript', source, input: { url: world.url, name: `${prefix}/${name}` } },
  }));
}

const called = (node: string): number => world.calls.filter((call) => call === node).length;
const happens = (node: string): Promise<unknown> => until(`${node} to happen`, () => Promise.resolve(called(node) > 0));

async function scale(replicas: number): Promise<void> {
  await site.kubectl.run('scale', 'deploy', `${RELEASE}-controller`, `${RELEASE}-api`, '-n', SYSTEM, `--replicas=${replicas}`);
  if (replicas > 0) for (const workload of ['controller', 'api']) await site.rolledOut(`deploy/${RELEASE}-${workload}`);
  else await site.kubectl.run('wait', 'pod', '-n', SYSTEM, '-l', `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component in (controller,api)`, '--for=delete', '--timeout=90s');
}

/** The command line, as on the machine of a person who may look into the Secrets of the release. */
async function rambo(...args: readonly string[]): Promise<string> {
  const secret = async (name: string): Promise<Readonly<Record<string, string>>> => (await site.get<{ data: Readonly<Record<string, string>> }>('secret', `${RELEASE}-${name}`, '-n', SYSTEM)).data;
  const text = (value: string | undefined): string => Buffer.from(value ?? '', 'base64').toString();
  const database = new URL(text((await secret('postgres'))['url']));
  database.host = await site.service(`${RELEASE}-postgres`);
  const creds = path.join(folder, 'nats.creds');
  writeFileSync(creds, text((await secret('nats'))['controller.creds']), { mode: 0o600 });
  const env = {
    PATH: process.env['PATH'] ?? '', HOME: folder, KUBECONFIG: site.place.kubeconfig, DATABASE_URL: database.toString(),
    NATS_URL: `nats://${await site.service(`${RELEASE}-nats`)}`, NATS_CREDS: creds,
  };
  const { stdout, stderr } = await run(process.execPath, ['--no-warnings', path.join(ROOT, 'dist/cli.mjs'), ...args], { env });
  return stdout + stderr;
}

function shown({ status }: RunObject): string {
  const stalled = status?.conditions?.find((condition) => condition.type === 'Stalled');
  return `${status?.phase ?? ''} ${stalled?.status ?? ''} ${stalled?.reason ?? ''}`;
}

const shows = (name: string, state: string): Promise<unknown> => until(`${name} to show ${state}`, async () => shown(await site.run(name)) === state);

test('the CronJob of the chart makes a backup where it is asked to', async () => {
  await site.kubectl.run('create', 'job', 'backup-now', '--from', `cronjob/${RELEASE}-backup`, '-n', SYSTEM);
  await site.kubectl.run('wait', '--for=condition=Complete', 'job/backup-now', '-n', SYSTEM, '--timeout=90s');
  expect(await site.kubectl.run('logs', 'job/backup-now', '-n', SYSTEM)).toMatch(/\/backups\/rambo-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.tar\.gz: .* rows?, /);
  await site.kubectl.run('delete', 'job', 'backup-now', '-n', SYSTEM);
});

test('an older database under newer objects: runs wait for a person, effects are not repeated', async () => {
  await site.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name: POOL, namespace: 'default' }, spec: { minReady: 1, max: 1, slots: 16, reuse: 'Shared' } });
  const half = (await site.start(effects('half', 'a', 'gate-b', 'gate-c', 'd'))).metadata.name;
  await happens('half/gate-b');
  const backup = path.join(folder, 'backup.tar.gz');
  await rambo('backup', '--out', backup);
  world.let('half/gate-b');
  const later = (await site.start(effects('later', 'a', 'gate-b'))).metadata.name;
  await Promise.all([happens('half/gate-c'), happens('later/gate-b')]);
  await scale(0);
  const before = [...world.calls];
  const began = performance.now();
  await rambo('restore', '--from', backup, '--force');
  const restored = (performance.now() - began) / 1_000;
  await scale(2);

  await Promise.all([shows(half, 'Running True NeedsReview'), shows(later, 'Pending True NeedsReview')]);
  // Longer than a lease and than a dispatch that nobody took.
  await pause(12_000);
  expect(world.calls).toEqual(before);
  const fresh = await site.start(effects('fresh', 'a'));
  expect((await site.finished(fresh.metadata.name)).status?.phase).toBe('Succeeded');

  world.let('half/gate-c');
  await site.kubectl.run('patch', 'wfr', half, '-n', 'default', '--type=merge', '-p', '{"spec":{"suspend":false}}');
  await site.kubectl.run('patch', 'wfr', later, '-n', 'default', '--type=merge', '-p', '{"spec":{"cancel":"Now"}}');
  expect(shown(await site.finished(half))).toBe('Succeeded False NotStalled');
  expect((await site.finished(later)).status?.phase).toBe('Cancelled');
  // What the database did not know to have ended ran again, because a person said so, under the same keys; the rest did not.
  expect(['half/a', 'half/gate-b', 'half/gate-c', 'half/d', 'later/a', 'later/gate-b'].map(called)).toEqual([1, 2, 2, 1, 1, 1]);
  expect(world.keys.size).toBe(7);
  figure('restore of a backup', `${restored.toFixed(1)} s`);
}, 300_000);
