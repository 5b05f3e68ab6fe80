import { execFile, type ExecFileException } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Child } from '../stack/child.ts';
import { Kubectl } from '../stack/kube.ts';
import { readTools, ROOT } from '../stack/stack.ts';

const run = promisify(execFile);

/** Where a cluster's files go, and who is told of its progress. */
export interface ClusterOptions {
  /** Folder of everything it writes; emptied at the start. */
  readonly dir: string;
  readonly log: (line: string) => void;
}

/** Where the containerd of each node listens, in the box. */
const SOCKETS = ['/run/containerd-0.sock', '/run/containerd-1.sock'];
const READY_MS = 120_000;

/**
 * A Kubernetes cluster of two nodes, each with a real kubelet and containerd, kube-proxy and CoreDNS, in namespaces of its own (hack/e2e/box.sh). Needs
 * root. Pods, Services and the API server are reached from this machine; one cluster at a time on a machine.
 */
export class KubeletCluster {
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  readonly #o: ClusterOptions;
  #box: Child | undefined;

  constructor(options: ClusterOptions) {
    this.#o = options;
    this.kubeconfig = path.join(options.dir, 'cluster/kubeconfig');
    this.kubectl = new Kubectl(path.join(options.dir, 'cluster/bin/kubectl'), this.kubeconfig);
  }

  /** Folder of logs of the cluster's programs. */
  get logs(): string { return path.join(this.#o.dir, 'logs'); }

  /** Brings what is needed, starts, waits until the node takes pods. Throws with the reason and the place of the logs. */
  async start(): Promise<void> {
    const { dir, log } = this.#o;
    await this.#script('hack/e2e/packages.sh');
    const [pause, coredns] = [await this.#script('hack/e2e/pause/build.sh'), await this.#script('hack/tools/tool.sh', 'coredns')];
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    log('starting a control plane, containerd, kubelet, kube-proxy and DNS');
    const started = Promise.withResolvers<undefined>();
    // Told to end when we end, however that is.
    const args = ['--pdeathsig', 'TERM', path.join(ROOT, 'hack/e2e/box.sh'), dir, readTools().devcluster, coredns, pause];
    this.#box = new Child({
      name: 'cluster', command: 'setpriv', args, restart: false, logFile: path.join(dir, 'box.log'),
      env: { PATH: process.env['PATH'] ?? '', HOME: dir },
      log: (line) => { started.reject(new Error(line)); },
      onLine: (line) => { if (line.startsWith('ready in')) started.resolve(undefined); },
    });
    this.#box.start();
    const late = setTimeout(() => { started.reject(new Error(`the cluster was not ready after ${READY_MS / 1_000} s; see ${dir}`)); }, READY_MS);
    try {
      await started.promise;
    } catch (error) {
      await this.stop();
      // Read once all of it is written.
      throw new Error(`the cluster does not start: ${tail(path.join(dir, 'box.log'))} (${error instanceof Error ? error.message : String(error)})`, { cause: error });
    } finally {
      clearTimeout(late);
    }
    log('the cluster is ready');
  }

  /** Ends everything; containers, mounts, rules and links go with it. */
  async stop(): Promise<void> {
    await this.#box?.stop();
    this.#box = undefined;
  }

  /** Runs a program where containerd and the kubelet are. Returns what it printed. */
  async exec(...command: readonly string[]): Promise<string> {
    const pid = readFileSync(path.join(this.#o.dir, 'box.pid'), 'utf8').trim();
    const { stdout } = await run('nsenter', ['--target', pid, '--mount', '--net', '--pid', '--', ...command], { maxBuffer: 16 * 1_048_576 });
    return stdout;
  }

  /** Gives all nodes the images of an archive, unless they have them. */
  async load(archive: string): Promise<void> {
    const loaded = path.join(this.#o.dir, 'loaded');
    const before = existsSync(loaded) ? readFileSync(loaded, 'utf8').split('\n') : [];
    if (before.includes(archive)) return;
    this.#o.log('loading the images');
    await Promise.all(SOCKETS.map((socket) => this.exec('ctr', '--address', socket, '--namespace', 'k8s.io', 'images', 'import', archive)));
    writeFileSync(loaded, [...before, archive].join('\n'));
  }

  /** A persistent volume for the next claim that asks for none in particular: a folder of this machine, kept while the cluster is up. */
  async volume(name: string): Promise<void> {
    const folder = path.join(this.#o.dir, 'volumes', name);
    mkdirSync(folder, { recursive: true });
    // Volumes of a host folder are not handed to the group of the pod.
    chownSync(folder, 65_532, 65_532);
    const file = path.join(this.#o.dir, `${name}.json`);
    writeFileSync(file, JSON.stringify({
      apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name },
      spec: { capacity: { storage: '100Gi' }, accessModes: ['ReadWriteOnce'], persistentVolumeReclaimPolicy: 'Retain', hostPath: { path: folder } },
    }));
    await this.kubectl.apply(file);
  }

  async #script(script: string, ...args: readonly string[]): Promise<string> {
    return runScript(this.#o.log, script, ...args);
  }
}

/** Runs a script of the checkout, tells its progress, returns the last line of its output. Throws with its last words. */
export async function runScript(log: (line: string) => void, script: string, ...args: readonly string[]): Promise<string> {
  const job = run(path.join(ROOT, script), [...args], { maxBuffer: 16 * 1_048_576 });
  let said = '';
  job.child.stderr?.on('data', (chunk: string) => {
    said += chunk;
    for (const line of chunk.trimEnd().split('\n')) log(line);
  });
  try {
    return (await job).stdout.trimEnd();
  } catch (error) {
    const { code }: Partial<ExecFileException> = error instanceof Error ? error : {};
    throw new Error(`${script} ended with ${code ?? 'a signal'}: ${said.slice(-600)}`, { cause: error });
  }
}

/** Builds the images of this checkout where they changed. Returns the archive with all of them. */
export function buildImages(log: (line: string) => void): Promise<string> {
  return runScript(log, 'hack/images/build.sh');
}

function tail(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().slice(-1_500) : 'it said nothing';
}
