import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Armed } from '../../platform/failpoint/index.ts';
import { ROOT } from '../../hack/stack/stack.ts';
import { TestStack } from '../harness/test-stack.ts';
import { familyOf, type Disk } from './disk.ts';
import type { Network } from './network.ts';
import { GOLDEN, makeLedger, type GoldenRun } from './golden.ts';
import type { AttemptFacts, EventFacts, LedgerLine, NodeFacts, RunFacts, World } from './oracle.ts';
import type { Act } from './plan.ts';

/** The runs of one seed: what was accepted, and where its nodes left their lines. */
export interface Started {
  readonly accepted: ReadonlyMap<string, string>;
  readonly ledger: string;
}

/** What a site may have that is its own, for faults of it. */
interface SiteParts {
  readonly network?: Network | undefined;
  readonly disk?: Disk | undefined;
  readonly etcdDisk?: Disk | undefined;
}

/** A trigger that notes every write to a run by a controller that does not hold its shard. */
export const GUARD = `create table chaos_stale (run uuid, owner text, writer text);
create function chaos_guard() returns trigger language plpgsql as $$
declare holder text; writer text := current_setting('application_name');
begin
  if writer like 'rambo-controller %' then
    select owner into holder from shard where id = new.shard;
    if holder is distinct from substr(writer, 18) then insert into chaos_stale values (new.id, holder, writer); end if;
  end if;
  return new;
end $$;
create trigger chaos_guard after insert or update on run for each row execute function chaos_guard();`;

/** A stack with failpoints, with what seeds do to it and ask of it. */
export class Site {
  readonly t: TestStack;
  readonly dir: string;
  /** The lines between our processes and their servers, where they were asked for. */
  readonly network: Network | undefined;
  /** The disk of Postgres, where it was asked for. */
  readonly disk: Disk | undefined;
  /** The disk of etcd, where it was asked for. */
  readonly etcdDisk: Disk | undefined;
  readonly #final = new Map<string, string>();
  #armed = '';
  #natsLost = false;
  #ownersThen: ReadonlyMap<number, string> = new Map();

  private constructor(t: TestStack, dir: string, { network, disk, etcdDisk }: SiteParts) {
    this.t = t;
    this.dir = dir;
    this.network = network;
    this.disk = disk;
    this.etcdDisk = etcdDisk;
  }

  /** Starts the stack from dist/chaos. */
  static async start(controllers = 1, parts: SiteParts = {}): Promise<Site> {
    const { network, disk, etcdDisk } = parts;
    const dir = mkdtempSync(path.join(tmpdir(), 'rambo-chaos-'));
    mkdirSync(path.join(dir, 'control'));
    const t = await TestStack.start({ api: true, controllers, bundles: { folder: 'chaos', env: { RAMBO_CHAOS_DIR: path.join(dir, 'control') } }, ...(network === undefined ? {} : { network }), ...(disk === undefined ? {} : { postgresDir: path.join(disk.mountpoint, 'postgres') }), ...(etcdDisk === undefined ? {} : { etcd: { dir: path.join(etcdDisk.mountpoint, 'etcd') } }) });
    const site = new Site(t, dir, parts);
    await t.sql(GUARD);
    await t.pool({ minReady: 2, max: 2, slots: 8, reuse: 'Shared' });
    disk?.settle();
    etcdDisk?.settle();
    return site;
  }

  async stop(): Promise<void> {
    await this.t.stop();
    this.disk?.remove();
    this.etcdDisk?.remove();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Keeps the logs of all processes, for whoever looks into a violation. Returns where. */
  keepLogs(name: string): string {
    const to = path.join(ROOT, '.rambo/chaos', name.replaceAll(/[^a-zA-Z0-9.#-]/g, '-'));
    cpSync(path.join(path.dirname(path.dirname(this.t.addresses.natsCreds)), 'logs'), to, { recursive: true });
    return to;
  }

  /** Puts faults in place for all processes, or takes them out. */
  arm(armed: Partial<Armed>): void {
    const file = this.#control('armed.json');
    this.#armed = randomUUID();
    this.#natsLost = false;
    writeFileSync(`${file}.new`, JSON.stringify({ id: this.#armed, faults: [], count: false, ...armed }));
    renameSync(`${file}.new`, file);
  }

  /** How often each point was passed since counting began; forgets it. */
  takeHits(): ReadonlyMap<string, number> {
    const lines = readLines(this.#control('hits'));
    rmSync(this.#control('hits'), { force: true });
    return new Map([...Map.groupBy(lines, (line) => line)].map(([point, all]) => [point, all.length]));
  }

  /** Starts the golden runs, repeating each start until it is answered: that is what callers do. */
  async startGolden(): Promise<Started> {
    const ledger = makeLedger(mkdtempSync(path.join(this.dir, 'ledger-')));
    const ids = await Promise.all(GOLDEN.map(async (run) => [await this.#start(run, ledger), run.expected] as const));
    return { accepted: new Map(ids), ledger };
  }

  async #start(run: GoldenRun, ledger: string): Promise<string> {
    const id = run.door === 'api' ? await this.#startOverApi(run, ledger) : await this.#startByObject(run, ledger);
    if (run.cancel === true) await this.#cancel(id);
    return id;
  }

  async #startOverApi({ name, spec }: GoldenRun, ledger: string): Promise<string> {
    const input = { namespace: 'default', name: `${name}-${randomUUID().slice(0, 8)}`, definition: spec, input: { ledger }, idempotencyKey: randomUUID() };
    return this.t.until(`an answer to the start of ${name}`, async () => {
      const data = await this.#ask('mutation($i: StartRunInput!) { r: startRun(input: $i) { __typename ... on UserError { message } ... on RunPayload { run { id } } } }', { i: input });
      if (data === undefined) return undefined;
      if (data.r.run === undefined) throw new Error(`the start of ${name} was refused: ${data.r.message ?? ''}`);
      return data.r.run.id;
    }, 60_000);
  }

  async #startByObject({ name, spec }: GoldenRun, ledger: string): Promise<string> {
    const object = {
      apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { name: `${name}-${randomUUID().slice(0, 8)}`, namespace: 'default' },
      spec: { workflow: spec, input: { ledger } },
    };
    return this.t.until(`an answer to the creation of ${name}`, async () => {
      const made = await this.t.create(object).catch(async (error: unknown) => (/AlreadyExists/.test(String(error)) ? this.t.getRun(object.metadata.name).catch(() => undefined) : undefined));
      return made?.metadata.uid;
    }, 60_000);
  }

  async #cancel(id: string): Promise<void> {
    await this.t.until('the run to be there', async () => (await this.#rows('select 1 from run where id = $1', [id])).length === 1, 60_000);
    await this.t.until('an answer to the cancellation', async () => await this.#ask('mutation($id: ID!) { r: cancelRun(id: $id, mode: Now) { __typename } }', { id }) !== undefined, 60_000);
  }

  async #ask(query: string, variables: object): Promise<{ r: { message?: string; run?: { id: string } } } | undefined> {
    try {
      const { data } = await this.t.ask<{ data?: { r: { message?: string; run?: { id: string } } } | null }>(query, variables, { timeoutMs: 15_000 });
      return data ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** Does something to a process. */
  async act(what: Act['what']): Promise<void> {
    const { stack } = this.t;
    const controller = stack.child('controller-0');
    this.#natsLost ||= what === 'kill-nats' || what === 'wipe-nats';
    switch (what) {
      case 'kill-controller': controller.kill(); return;
      case 'term-controller': if (controller.pid !== undefined) process.kill(controller.pid, 'SIGTERM'); return;
      case 'pause-controller': await this.pause('controller-0', 5_500); return;
      case 'kill-nats': stack.child('nats').kill(); return;
      case 'wipe-nats': stack.child('nats').kill(); rmSync(path.join(path.dirname(path.dirname(this.t.addresses.natsCreds)), 'nats/store'), { recursive: true, force: true }); return;
      case 'kill-postgres': await stack.postgres.kill(); await stack.postgres.restart(); return;
      case 'cut-power': await this.cutPower(); return;
      case 'kill-apiserver': this.#killApiServer(); return;
      case 'kill-runner': await this.#killRunner(); return;
    }
  }

  /** The power of Postgres's disk goes, and comes back. */
  async cutPower(): Promise<void> {
    const { postgres } = this.t.stack;
    const pid = postgres.pid();
    await this.disk?.cutPower(pid === undefined ? [] : familyOf(pid), () => postgres.kill());
    await postgres.restart();
  }

  /** The power of etcd's disk goes, and comes back. */
  async cutEtcdPower(): Promise<void> {
    if (this.etcdDisk !== undefined) await cutEtcdPower(this.t, this.etcdDisk);
  }

  /** SIGSTOP, and SIGCONT after a while; the process may have been replaced meanwhile. */
  async pause(name: string, ms: number): Promise<void> {
    const { pid } = this.t.stack.child(name);
    if (pid === undefined) return;
    process.kill(pid, 'SIGSTOP');
    await new Promise((resolve) => { setTimeout(resolve, ms); });
    if (this.t.stack.child(name).pid === pid) process.kill(pid, 'SIGCONT');
  }

  #killApiServer(): void {
    process.kill(clusterPids(this.t)['kube-apiserver'] ?? 0, 'SIGKILL');
  }

  async #killRunner(): Promise<void> {
    const names = await this.t.stack.kubectl.run('get', 'pods', '-l', 'rambo.dev/pool=default', '-o', 'name').catch(() => '');
    const [first] = names.trim().split('\n');
    if (first !== undefined && first !== '') await this.t.stack.kubectl.run('delete', first, '--grace-period=0', '--force', '--wait=false').catch(() => undefined);
  }

  /** Starts a run that waits for two minutes; its id. */
  async startWait(): Promise<string> {
    const spec = { nodes: [{ name: 'nap', type: 'wait', with: { duration: '120s' } }] };
    const id = await this.#startOverApi({ name: 'wait', door: 'api', expected: 'Succeeded', spec }, this.dir);
    await this.t.until('the run to wait', async () => (await this.#rows("select 1 from node_run where run_id = $1 and status = 'Waiting'", [id])).length === 1);
    return id;
  }

  /** Remembers who owns what, for `movedOn`. */
  async noteOwners(): Promise<void> {
    const rows = await this.t.sql<{ id: number; owner: string }>('select id, owner from shard');
    this.#ownersThen = new Map(rows.map((row) => [row.id, row.owner]));
  }

  /** Whether a fault of the control file has struck. */
  fired(): boolean {
    return readdirSync(this.#control('')).some((file) => file.startsWith(`fired-${this.#armed}`));
  }

  /** Whether a shard has an owner that is not the one that was there when faults were armed. */
  async movedOn(shard: number): Promise<boolean> {
    const [row] = await this.#rows<{ owner: string }>('select owner from shard where id = $1', [shard]);
    return row !== undefined && this.#ownersThen.get(shard) !== row.owner;
  }

  /** SIGCONT for every controller. */
  resumeAll(): void {
    for (const name of ['controller-0', 'controller-1']) {
      const pid = this.#pid(name);
      if (pid !== undefined) process.kill(pid, 'SIGCONT');
    }
  }

  #pid(name: string): number | undefined {
    try {
      return this.t.stack.child(name).pid;
    } catch {
      return undefined;
    }
  }

  /** Whether all controllers answer, and have for a moment: what was held up has been done. */
  async ready(): Promise<boolean> {
    for (const name of ['controller-0', 'controller-1']) {
      const ok = await fetch(`${this.t.stack.controllerUrl(name)}/readyz`, { signal: AbortSignal.timeout(1_000) }).then((response) => response.ok, () => false);
      if (!ok) return false;
    }
    await new Promise((resolve) => { setTimeout(resolve, 1_000); });
    return true;
  }

  async clearStale(): Promise<void> {
    await this.t.sql('delete from chaos_stale');
  }

  /** Whether all accepted runs have ended. */
  async allEnded(started: Started): Promise<boolean> {
    const rows = await this.#rows<{ n: string }>("select count(*) n from run where id = any ($1::uuid[]) and phase in ('Succeeded', 'Failed', 'Cancelled')", [[...started.accepted.keys()]]);
    return Number(rows[0]?.n) === started.accepted.size;
  }

  /** Everything the oracle asks for, about the runs of one seed. Undefined while something is away. */
  async world(started: Started): Promise<World | undefined> {
    try {
      return await this.#world(started);
    } catch {
      return undefined;
    }
  }

  async #world({ accepted, ledger }: Started): Promise<World> {
    const ids = [[...accepted.keys()]];
    const kubectl = this.t.stack.kubectl;
    const [runs, nodes, attempts, events, outbox, stale, objects, pods] = await Promise.all([
      this.t.sql<RunFacts>('select id, phase, source, name, done, total from run where id = any ($1::uuid[])', ids),
      this.t.sql<NodeFacts>('select run_id run, node, item, status, attempt from node_run where run_id = any ($1::uuid[])', ids),
      this.t.sql<AttemptFacts & { error: Buffer | null }>('select run_id run, node, item, attempt, status, error from attempt where run_id = any ($1::uuid[])', ids),
      this.t.sql<EventFacts>('select run_id run, seq, kind, node, item, attempt from run_event where run_id = any ($1::uuid[])', ids),
      this.t.sql<{ n: string }>('select count(*) n from outbox'),
      this.t.sql<{ text: string }>("select run || ' by ' || writer || ', held by ' || coalesce(owner, 'nobody') as text from chaos_stale"),
      kubectl.run('get', 'wfr', '-o', 'json'), kubectl.run('get', 'pods', '-l', 'rambo.dev/run-id', '-o', 'json'),
    ]);
    const wfr: { items: readonly { metadata: { uid: string }; status?: { phase?: string; progress?: string } }[] } = JSON.parse(objects);
    const pod: { items: readonly { metadata: { name: string; labels: Record<string, string>; deletionTimestamp?: string } }[] } = JSON.parse(pods);
    const seenFinal = new Map(this.#final);
    for (const run of runs) if (['Succeeded', 'Failed', 'Cancelled'].includes(run.phase)) this.#final.set(run.id, run.phase);
    return {
      runs, nodes, events, accepted, seenFinal, natsLost: this.#natsLost, outbox: Number(outbox[0]?.n), staleWrites: stale.map((row) => row.text),
      attempts: attempts.map((a) => ({ ...a, reason: a.error === null ? null : reasonOf(a.error) })),
      objects: wfr.items.map((o) => ({ uid: o.metadata.uid, phase: o.status?.phase, progress: o.status?.progress })),
      pods: pod.items.filter((p) => accepted.has(p.metadata.labels['rambo.dev/run-id'] ?? '')).map((p) => ({ name: p.metadata.name, run: p.metadata.labels['rambo.dev/run-id'] ?? '' })),
      ledger: ledgerLines(path.join(ledger, 'lines')),
      effects: new Map([...Map.groupBy(readLines(path.join(ledger, 'effects')), (key) => key)].map(([key, all]) => [key, all.length])),
      recorded: readLines(this.#control('recorded')).map(placeOf).filter((place) => accepted.has(place.run)),
    };
  }

  async #rows<R extends object>(text: string, values: readonly unknown[]): Promise<readonly R[]> {
    return this.t.sql<R>(text, values).catch(() => []);
  }

  #control(file: string): string {
    return path.join(this.dir, 'control', file);
  }
}

/**
 * The power of the disk below a stack's etcd goes, and comes back. The supervisor is stopped meanwhile: it would start etcd
 * anew, and empty, on the folder the disk is to be mounted on.
 */
export async function cutEtcdPower(t: TestStack, disk: Disk): Promise<void> {
  const supervisor = t.stack.child('cluster').pid ?? 0;
  process.kill(supervisor, 'SIGSTOP');
  try {
    const { etcd } = clusterPids(t);
    await disk.cutPower(etcd === undefined ? [] : [etcd], () => Promise.resolve());
  } finally {
    process.kill(supervisor, 'SIGCONT');
  }
}

/** Process ids of the parts of the control plane. */
export function clusterPids(t: TestStack): Readonly<Record<string, number>> {
  const state: { pids: Record<string, number> } = JSON.parse(readFileSync(path.join(path.dirname(t.addresses.kubeconfig), 'state.json'), 'utf8'));
  return state.pids;
}

function reasonOf(error: Buffer): string | null {
  const parsed: { reason?: string } = JSON.parse(error.toString('utf8'));
  return parsed.reason ?? null;
}

function ledgerLines(file: string): readonly LedgerLine[] {
  return readLines(file).map((line) => {
    const [key = '', ...rest] = line.split(' ');
    return { key, ...placeOf(rest.join(' ')) };
  });
}

function placeOf(line: string): Omit<LedgerLine, 'key'> {
  const [run = '', node = '', item, attempt] = line.split(' ');
  return { run, node, item: Number(item), attempt: Number(attempt) };
}

function readLines(file: string): readonly string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter((line) => line !== '') : [];
}
