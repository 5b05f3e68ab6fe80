import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { KINDS } from '../../crds/kinds.ts';
import { GROUP } from '../../crds/names.ts';
import { createNatsIdentity, serverConfig, signUser, type NatsIdentity } from '../../platform/nats/identity.ts';
import { apiPermissions, gatewayPermissions } from '../../platform/messages/subjects.ts';
import { migrate } from '../../prisma/migrate.ts';
import { accountsYaml } from './accounts.ts';
import { DEMO_ACCOUNTS, DEMO_PROJECT } from './auth-accounts.ts';
import { Child } from './child.ts';
import { Kubectl } from './kube.ts';
import { objectsReady, objectsServer, type ObjectsAddress } from './objects.ts';
import { freePort, isFree } from './ports.ts';
import { startPostgres, type PostgresServer } from './postgres.ts';
import { seedUsers } from './users.ts';
import type { StackAddresses, StackOptions } from './types.ts';
import { Watchdog } from './watchdog.ts';

export type { StackAddresses, StackNetwork, StackOptions } from './types.ts';

/** Root of the checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Where a stack keeps the process ids of its programs, below its folder. */
export const PIDS_FILE = 'pids.json';

interface Tools {
  readonly natsServer: string;
  readonly versitygw: string;
  readonly devcluster: string;
}

interface Ports {
  postgres: number;
  nats: number;
  api: number;
  apiMetrics: number;
  modelgateway: number;
  modelgatewayMetrics: number;
  objects: number;
  authEmulator: number;
}

/**
 * A young generation of 6 MiB from the start: most of what a commit allocates is garbage right after it. The default grows to 16 MiB and
 * the process by 40 MiB in a burst, for no gain in speed; with 10 MiB it takes 12 to 16 MiB more after five loads of 504 chains, with 4 no less than
 * with 6. An old one that grows by 120 % at most between two collections: left alone it reached 390 MiB while 10,000 runs drained, so 264.
 */
const CONTROLLER_FLAGS = ['--disallow-code-generation-from-strings', '--min-semi-space-size=6', '--max-semi-space-size=6', '--heap-growing-percent=120'];
/** As in the chart. Without them the API takes 30 MiB more at rest. */
const API_FLAGS = ['--disallow-code-generation-from-strings', '--max-semi-space-size=4', '--heap-growing-percent=120'];
/** Programs that others need until they have ended. */
const SERVERS: readonly string[] = ['cluster', 'nats', 'objects'];
const NODE = path.join(ROOT, 'node_modules/.bin/node');

/** The programs hack/setup.sh has built. */
export function readTools(): Tools {
  const file = path.join(ROOT, '.rambo/tools.json');
  if (!existsSync(file)) throw new Error('run `make setup` first: .rambo/tools.json is missing');
  const tools: Tools = JSON.parse(readFileSync(file, 'utf8'));
  return tools;
}

/** Where the Postgres of a stack keeps its data. As root it runs under another account, which cannot pass a folder that is closed to others, such as root's home. */
export function postgresDirOf(dir: string): string {
  if (process.getuid?.() !== 0) return path.join(dir, 'postgres');
  return path.join('/var/tmp', `rambo-postgres-${Buffer.from(dir).toString('hex').slice(-24)}`);
}

/** The whole of RamBo on this machine: real etcd, kube-apiserver, Postgres and NATS, our processes under their own accounts. */
export class Stack {
  readonly #o: StackOptions;
  readonly #children = new Map<string, Child>();
  readonly #controllerPorts = new Map<string, number>();
  #postgres: PostgresServer | undefined;
  #ports: Ports | undefined;
  #kubectl: Kubectl | undefined;
  #objects: ObjectsAddress | undefined;
  #watchdog: Watchdog | undefined;
  #stopped = false;

  constructor(options: StackOptions) {
    this.#o = options;
    for (const folder of ['', 'logs', 'nats', 'secrets', 'node-logs']) mkdirSync(path.join(options.dir, folder), { recursive: true, mode: 0o700 });
  }

  /** Starts everything; resolves when the controller and the API answer. */
  async start(): Promise<StackAddresses> {
    this.#ports = await this.#choosePorts();
    this.#watchdog = new Watchdog(this.#file(PIDS_FILE), () => this.pids());
    await Promise.all([this.#startCluster(), this.#startDatabase(), this.#startNats(), this.#startObjects(), ...(this.#o.signIn === true ? [this.#startAuthEmulator()] : [])]);
    if (this.#o.signIn === true) await seedUsers(this.#databaseUrl(), DEMO_ACCOUNTS);
    await this.#prepareCluster();
    const controllers = Array.from({ length: this.#o.controllers }, (_, i) => `controller-${i}`);
    await this.#o.network?.open([...controllers, 'api', 'modelgateway'], this.addresses(), this.#o.dir);
    for (const name of controllers) this.startController(name);
    if (this.#o.api) this.#startApi();
    if (this.#hasGateway()) this.#startGateway();
    await this.#untilReady();
    return this.addresses();
  }

  /** Stops everything in order. What a start that failed half-way still had before it is not begun any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const ours = [...this.#children].filter(([name]) => !SERVERS.includes(name));
    await Promise.all(ours.map(([, child]) => child.stop()));
    await this.#children.get('cluster')?.stop();
    await this.#children.get('nats')?.stop();
    await this.#children.get('objects')?.stop();
    await this.#postgres?.stop();
    await this.#o.network?.close();
    this.#watchdog?.stop();
    // Programs and data of a scratch server; a persistent one is found again at the next start.
    if (!this.#o.persistent) rmSync(this.#postgresDir(), { recursive: true, force: true });
  }

  /** A program of the stack by name: `cluster`, `nats`, `objects`, `api`, `modelgateway`, `controller-0`. For faults in tests. */
  child(name: string): Child {
    const child = this.#children.get(name);
    if (child === undefined) throw new Error(`no program named ${name}`);
    return child;
  }

  /** Whether a program of that name was started and has not been stopped. */
  runs(name: string): boolean {
    return this.#children.get(name)?.wanted === true;
  }

  get postgres(): PostgresServer {
    if (this.#postgres === undefined) throw new Error('Postgres is not started');
    return this.#postgres;
  }

  get kubectl(): Kubectl {
    if (this.#kubectl === undefined) throw new Error('the cluster is not started');
    return this.#kubectl;
  }

  /** Process ids of all programs, for whoever has to end them after us. */
  pids(): readonly number[] {
    return [...[...this.#children.values()].map((child) => child.pid), this.#postgres?.pid()].filter((pid) => pid !== undefined);
  }

  /** Metrics address of a controller, once it listens. */
  controllerUrl(name = 'controller-0'): string {
    return `http://127.0.0.1:${this.#controllerPorts.get(name) ?? 0}`;
  }

  /** Where /metrics, /healthz and /readyz of the API are. */
  apiHealthUrl(): string {
    return `http://127.0.0.1:${this.#ports?.apiMetrics ?? 0}`;
  }

  /** Where /metrics, /healthz and /readyz of the model gateway are. */
  gatewayHealthUrl(): string {
    return `http://127.0.0.1:${this.#ports?.modelgatewayMetrics ?? 0}`;
  }

  #hasGateway(): boolean {
    return this.#o.modelgateway === true && existsSync(this.#bundle('modelgateway'));
  }

  /** Health ports of our processes by name, as far as they listen. */
  healthUrls(): Readonly<Record<string, string>> {
    const controllers = [...this.#controllerPorts.keys()].map((name) => [name, this.controllerUrl(name)] as const);
    return Object.fromEntries([
      ...controllers, ...(this.#o.api ? [['api', this.apiHealthUrl()] as const] : []), ...(this.#hasGateway() ? [['modelgateway', this.gatewayHealthUrl()] as const] : []),
    ]);
  }

  addresses(): StackAddresses {
    const token = existsSync(this.#file('secrets/demo.token')) ? readFileSync(this.#file('secrets/demo.token'), 'utf8') : '';
    return {
      kubeconfig: this.#kubeconfig(), kubectl: path.join(this.#o.dir, 'bin/kubectl'), databaseUrl: this.#databaseUrl(),
      natsUrl: `nats://127.0.0.1:${this.#ports?.nats ?? 0}`, natsCreds: this.#file('secrets/controller.creds'),
      apiUrl: `http://127.0.0.1:${this.#ports?.api ?? 0}`, token, controllerMetrics: `${this.controllerUrl()}/metrics`,
      modelgateway: this.#hasGateway() ? `http://127.0.0.1:${this.#ports?.modelgateway ?? 0}` : '',
      objects: this.#objects,
      authEmulator: this.#o.signIn === true ? `127.0.0.1:${this.#ports?.authEmulator ?? 0}` : '', mails: this.#file('mails'),
    };
  }

  /** Starts a controller under the service account of the controller. */
  startController(name: string): void {
    const addresses = this.addresses();
    this.#run(name, NODE, [...CONTROLLER_FLAGS, this.#bundle('controller')], {
      RAMBO_DATABASE_URL: addresses.databaseUrl, RAMBO_NATS_URL: addresses.natsUrl, RAMBO_RUNNER_NATS_URL: addresses.natsUrl,
      RAMBO_NATS_CREDS_FILE: addresses.natsCreds, RAMBO_NATS_ACCOUNT_SEED_FILE: this.#file('secrets/account.seed'),
      RAMBO_KUBECONFIG: this.#file('secrets/controller.kubeconfig'), RAMBO_REPLICA: name, RAMBO_LOGS_DIR: this.#file('node-logs'),
      ...(addresses.modelgateway === '' ? {} : { RAMBO_MODELGATEWAY_URL: addresses.modelgateway }),
      ...this.#otlp(), RAMBO_LOG_LEVEL: process.env['RAMBO_LOG_LEVEL'] ?? 'info',
    }, (line) => {
      const port = listeningPort(line);
      if (port !== undefined) this.#controllerPorts.set(name, port);
    });
  }

  #startApi(): void {
    const addresses = this.addresses();
    this.#run('api', NODE, [...API_FLAGS, this.#bundle('api')], {
      RAMBO_DATABASE_URL: addresses.databaseUrl, RAMBO_NATS_URL: addresses.natsUrl, RAMBO_NATS_CREDS_FILE: this.#file('secrets/api.creds'),
      RAMBO_KUBECONFIG: this.#file('secrets/api.kubeconfig'), RAMBO_LISTEN_HOST: '127.0.0.1', RAMBO_LISTEN_PORT: String(this.#ports?.api ?? 0),
      RAMBO_METRICS_PORT: String(this.#ports?.apiMetrics ?? 0), RAMBO_GRAPHQL_INTROSPECTION: 'true', RAMBO_RATE_LIMIT_PRINCIPAL: '0', ...(process.env['RAMBO_ANSWER_MAX_AGE_MS'] === undefined ? {} : { RAMBO_ANSWER_MAX_AGE_MS: process.env['RAMBO_ANSWER_MAX_AGE_MS'] }), ...this.#firebase(), ...this.#s3(), ...this.#otlp(), RAMBO_LOG_LEVEL: process.env['RAMBO_LOG_LEVEL'] ?? 'info',
    });
  }

  /** Models and tools of this machine are private addresses: they are allowed here, and only here. */
  #startGateway(): void {
    const addresses = this.addresses();
    this.#run('modelgateway', NODE, ['--disallow-code-generation-from-strings', this.#bundle('modelgateway')], {
      RAMBO_DATABASE_URL: addresses.databaseUrl, RAMBO_NATS_URL: addresses.natsUrl, RAMBO_NATS_CREDS_FILE: this.#file('secrets/modelgateway.creds'),
      RAMBO_KUBECONFIG: this.#file('secrets/modelgateway.kubeconfig'), RAMBO_LISTEN_HOST: '127.0.0.1', RAMBO_LISTEN_PORT: String(this.#ports?.modelgateway ?? 0),
      RAMBO_METRICS_PORT: String(this.#ports?.modelgatewayMetrics ?? 0), RAMBO_MODELGATEWAY_ALLOW: '127.0.0.1,::1', RAMBO_REPLICA: 'modelgateway',
      ...this.#s3(), ...this.#otlp(), RAMBO_LOG_LEVEL: process.env['RAMBO_LOG_LEVEL'] ?? 'info',
    });
  }

  /** Set as for a real project, but for the emulator, which the API believes because it is told that nobody works here. */
  #firebase(): Readonly<Record<string, string>> {
    const { authEmulator, mails } = this.addresses();
    if (authEmulator === '') return {};
    return { RAMBO_ENVIRONMENT: 'development', RAMBO_FIREBASE_PROJECT: DEMO_PROJECT, FIREBASE_AUTH_EMULATOR_HOST: authEmulator, RAMBO_MAIL_DIR: mails };
  }

  async #startAuthEmulator(): Promise<void> {
    const ready = Promise.withResolvers<undefined>();
    this.#run('auth', NODE, ['--no-warnings', path.join(ROOT, 'hack/stack/auth-emulator.ts'), String(this.#ports?.authEmulator ?? 0), DEMO_PROJECT], {}, (line) => {
      if (line === 'ready') ready.resolve(undefined);
    });
    await within(ready.promise, 120_000, 'the Auth emulator did not become ready; see logs/auth.log');
    this.#o.log('Auth emulator ready');
  }

  #run(name: string, command: string, args: readonly string[], env: Readonly<Record<string, string>>, onLine?: (line: string) => void): void {
    if (this.#stopped) throw new Error(`the stack was stopped before ${name} was started`);
    const own = command === NODE ? { ...this.#common(), ...(this.#o.network?.lead(name, env) ?? env) } : env;
    const child = new Child({
      name, command, args, restart: true, logFile: this.#file(`logs/${name}.log`), log: this.#o.log,
      env: { PATH: process.env['PATH'] ?? '', HOME: this.#o.dir, ...own }, ...(onLine === undefined ? {} : { onLine }),
    });
    this.#children.set(name, child);
    child.start();
  }

  /** Environment that all our processes get, runners too. */
  #common(): Readonly<Record<string, string>> {
    return { ...this.#o.bundles?.env, ...(this.#o.nodeOptions === undefined ? {} : { NODE_OPTIONS: this.#o.nodeOptions }) };
  }

  /** Where our processes send spans; the controller tells the runners. */
  #otlp(): Readonly<Record<string, string>> {
    const endpoint = this.#o.otlpEndpoint ?? process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
    return endpoint === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
  }

  #s3(): Readonly<Record<string, string>> {
    const at = this.#objects;
    if (at === undefined) return {};
    return {
      RAMBO_S3_ENDPOINT: at.endpoint, RAMBO_S3_BUCKET: at.bucket, RAMBO_S3_REGION: at.region,
      RAMBO_S3_ACCESS_KEY_FILE: at.accessKeyFile, RAMBO_S3_SECRET_KEY_FILE: at.secretKeyFile,
    };
  }

  #bundle(process: 'controller' | 'api' | 'modelgateway' | 'runner'): string {
    return path.join(ROOT, 'dist', this.#o.bundles?.folder ?? '', `${process}.mjs`);
  }

  #file(name: string): string {
    return path.join(this.#o.dir, name);
  }

  #kubeconfig(): string {
    return this.#o.kubeconfig ?? this.#file('cluster/kubeconfig');
  }

  #databaseUrl(): string {
    return `postgresql://postgres:postgres@127.0.0.1:${this.#ports?.postgres ?? 0}/rambo`;
  }

  /** The ports of the last start, where they are still free: addresses in open terminals stay right. */
  async #choosePorts(): Promise<Ports> {
    const file = this.#file('ports.json');
    const before: Partial<Ports> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
    const choose = async (port: number | undefined): Promise<number> => (port !== undefined && await isFree(port) ? port : freePort());
    const ports = {
      postgres: await choose(before.postgres), nats: await choose(before.nats), api: await choose(before.api), apiMetrics: await choose(before.apiMetrics),
      modelgateway: await choose(before.modelgateway), modelgatewayMetrics: await choose(before.modelgatewayMetrics), objects: await choose(before.objects),
      authEmulator: await choose(before.authEmulator),
    };
    writeFileSync(file, JSON.stringify(ports));
    return ports;
  }

  async #startCluster(): Promise<void> {
    const tools = readTools();
    const bin = this.#file('bin');
    mkdirSync(bin, { recursive: true });
    rmSync(path.join(bin, 'kubectl'), { force: true });
    symlinkSync(tools.devcluster, path.join(bin, 'kubectl'));
    this.#kubectl = new Kubectl(path.join(bin, 'kubectl'), this.#kubeconfig());
    if (this.#o.kubeconfig !== undefined) return;
    writeFileSync(this.#file('images.json'), JSON.stringify({ images: {
      'rambo/runner': { entrypoint: [NODE, this.#bundle('runner')], env: { NODE_COMPILE_CACHE: this.#file('compile-cache'), ...this.#common() } },
      'local/*': { entrypoint: [] },
    } }));
    const ready = Promise.withResolvers<undefined>();
    const { etcd, persistent } = this.#o;
    const fsync = persistent || (etcd !== undefined && etcd.unsafe !== true) ? [] : ['--unsafe-no-fsync'];
    if (etcd !== undefined) {
      for (const dir of [etcd.dir, this.#file('cluster')]) mkdirSync(dir, { recursive: true, mode: 0o700 });
      symlinkSync(etcd.dir, this.#file('cluster/etcd'));
    }
    this.#run('cluster', tools.devcluster, ['up', '--dir', this.#file('cluster'), '--node', 'process', '--image-map', this.#file('images.json'), ...fsync], {}, (line) => {
      if (line.startsWith('ready in')) ready.resolve(undefined);
    });
    this.#o.log('starting etcd, kube-apiserver, scheduler, controller manager and the process node');
    await within(ready.promise, 120_000, 'the control plane did not become ready; see logs/cluster.log');
    this.#o.log('control plane ready');
  }

  async #startDatabase(): Promise<void> {
    this.#postgres = await startPostgres({ dir: this.#postgresDir(), persistent: this.#o.persistent, port: this.#ports?.postgres ?? 0, detached: true, log: this.#o.log });
    if (this.#stopped) await this.#postgres.stop();
    await migrate(this.#databaseUrl(), this.#o.log);
  }

  #postgresDir(): string {
    return this.#o.postgresDir ?? postgresDirOf(this.#o.dir);
  }

  async #startNats(): Promise<void> {
    const identity = await this.#natsIdentity();
    const now = Date.now();
    const write = (name: string, text: string): void => { writeFileSync(this.#file(`secrets/${name}`), text, { mode: 0o600 }); };
    write('account.seed', identity.accountSeed);
    write('controller.creds', await signUser({ name: 'controller', accountSeed: identity.accountSeed, now }));
    write('api.creds', await signUser({ name: 'api', accountSeed: identity.accountSeed, permissions: apiPermissions(), now }));
    write('modelgateway.creds', await signUser({ name: 'modelgateway', accountSeed: identity.accountSeed, permissions: gatewayPermissions(), now }));
    writeFileSync(this.#file('nats/server.conf'), serverConfig({ port: this.#ports?.nats ?? 0, storeDir: this.#file('nats/store'), identity }), { mode: 0o600 });
    const ready = Promise.withResolvers<undefined>();
    this.#run('nats', readTools().natsServer, ['-c', this.#file('nats/server.conf')], {}, (line) => {
      if (line.includes('Server is ready')) ready.resolve(undefined);
    });
    await within(ready.promise, 30_000, 'NATS did not become ready; see logs/nats.log');
    this.#o.log('NATS ready');
  }

  /** The API keeps files, the model gateway long results. */
  async #startObjects(): Promise<void> {
    if (!this.#o.api && !this.#hasGateway()) return;
    const { versitygw } = readTools();
    const { args, env, ...address } = objectsServer(this.#file('objects'), this.#ports?.objects ?? 0);
    this.#objects = address;
    this.#run('objects', versitygw, args, env);
    await objectsReady(address.endpoint);
    this.#o.log('object store ready');
  }

  async #natsIdentity(): Promise<NatsIdentity> {
    const file = this.#file('secrets/nats.json');
    if (existsSync(file)) {
      const known: NatsIdentity = JSON.parse(readFileSync(file, 'utf8'));
      return known;
    }
    const identity = await createNatsIdentity();
    writeFileSync(file, JSON.stringify(identity), { mode: 0o600 });
    return identity;
  }

  async #prepareCluster(): Promise<void> {
    const kubectl = this.kubectl;
    this.#o.log('applying the custom resource definitions, the admission policies and the accounts');
    writeFileSync(this.#file('rbac.yaml'), accountsYaml());
    await Promise.all([kubectl.apply(path.join(ROOT, 'crds/generated')), kubectl.apply(this.#file('rbac.yaml')), kubectl.apply(path.join(ROOT, 'hack/stack/demo-user.yaml'))]);
    await kubectl.established(...KINDS.map(({ plural }) => `${plural}.${GROUP}`));
    await Promise.all([
      kubectl.kubeconfigFor('rambo-system', 'rambo-controller', this.#file('secrets/controller.kubeconfig')),
      kubectl.kubeconfigFor('rambo-system', 'rambo-api', this.#file('secrets/api.kubeconfig')),
      kubectl.kubeconfigFor('rambo-system', 'rambo-modelgateway', this.#file('secrets/modelgateway.kubeconfig')),
      kubectl.token('default', 'rambo-demo', 'rambo').then((token) => { writeFileSync(this.#file('secrets/demo.token'), token, { mode: 0o600 }); }),
    ]);
  }

  async #untilReady(): Promise<void> {
    const wait = async (what: string, url: () => string): Promise<void> => {
      for (let tries = 0; tries < 240; tries++) {
        const ready = await fetch(`${url()}/readyz`).then((response) => response.ok, () => false);
        if (ready) {
          this.#o.log(`${what} ready`);
          return;
        }
        await new Promise((resolve) => { setTimeout(resolve, 250); });
      }
      throw new Error(`${what} did not become ready; see ${this.#file('logs')}`);
    };
    const controllers = Array.from({ length: this.#o.controllers }, (_, i) => `controller-${i}`);
    await Promise.all([
      ...controllers.map((name) => wait(name, () => this.controllerUrl(name))),
      ...(this.#o.api ? [wait('api', () => this.apiHealthUrl())] : []),
      ...(this.#hasGateway() ? [wait('modelgateway', () => this.gatewayHealthUrl())] : []),
    ]);
  }
}

/** Port of a process's "listening" log line. */
function listeningPort(line: string): number | undefined {
  if (!line.includes('"msg":"listening"')) return undefined;
  const parsed: { port?: number } = JSON.parse(line);
  return parsed.port;
}

async function within<T>(promise: Promise<T>, ms: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new Error(message)); }, ms); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
