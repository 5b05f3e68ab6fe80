import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** kubectl of the test control plane, under one kubeconfig. */
export class Kubectl {
  readonly #binary: string;
  readonly #kubeconfig: string;

  constructor(binary: string, kubeconfig: string) {
    this.#binary = binary;
    this.#kubeconfig = kubeconfig;
  }

  /** Runs kubectl and returns what it printed. Throws with what it said. */
  async run(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(this.#binary, ['--kubeconfig', this.#kubeconfig, ...args], { maxBuffer: 64 * 1_048_576 });
    return stdout;
  }

  /** Applies a manifest, a few times over: custom resources need a moment until their kind is served. */
  async apply(file: string): Promise<void> {
    await this.#persist('apply', '--server-side', '--force-conflicts', '-f', file);
  }

  /** Waits until definitions are served. `kubectl wait` itself fails on one that has no conditions yet. */
  async established(...crds: readonly string[]): Promise<void> {
    await this.#persist('wait', '--for=condition=Established', '--timeout=60s', ...crds.map((name) => `crd/${name}`));
  }

  async #persist(...args: readonly string[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await this.run(...args);
        return;
      } catch (error) {
        if (tries === 20) throw error;
        await new Promise((resolve) => { setTimeout(resolve, 250); });
      }
    }
  }

  /** A token of a service account. */
  async token(namespace: string, account: string, audience?: string): Promise<string> {
    const args = ['create', 'token', account, '-n', namespace, '--duration', '24h', ...(audience === undefined ? [] : ['--audience', audience])];
    return (await this.run(...args)).trim();
  }

  /** A kubeconfig like ours that acts as a service account. */
  async kubeconfigFor(namespace: string, account: string, file: string): Promise<void> {
    const token = await this.token(namespace, account);
    const ours = readFileSync(this.#kubeconfig, 'utf8');
    const server = /server: (\S+)/.exec(ours)?.[1] ?? '';
    const ca = /certificate-authority-data: (\S+)/.exec(ours)?.[1] ?? '';
    writeFileSync(file, [
      'apiVersion: v1', 'kind: Config', 'current-context: rambo', 'clusters:',
      `- { name: c, cluster: { server: "${server}", certificate-authority-data: ${ca} } }`,
      'users:', `- { name: u, user: { token: ${token} } }`,
      'contexts:', '- { name: rambo, context: { cluster: c, user: u } }', '',
    ].join('\n'), { mode: 0o600 });
  }
}
