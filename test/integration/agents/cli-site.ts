import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../../../hack/stack/stack.ts';
import { AgentStack } from './stack-site.ts';

/* The built command line against a whole stack. */

/** What a process came to. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly said: string;
}

/** Environment of a call. What is not given is not there: nothing of the tests' own gets in. */
export type Environment = Readonly<Record<string, string>>;

/** A command that is running. */
export class Running {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  out = '';
  said = '';

  constructor(command: string, args: readonly string[], env: Environment) {
    this.#child = spawn(command, [...args], { env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...env } });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => { this.out += text; });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => { this.said += text; });
    this.#child.stdin.on('error', () => undefined);
    this.ended = new Promise((resolve) => { this.#child.once('close', (code) => { resolve({ code, out: this.out, said: this.said }); }); });
  }

  type(text: string): void { this.#child.stdin.write(text); }
  finish(text = ''): void { this.#child.stdin.end(text); }
  signal(name: NodeJS.Signals): void { this.#child.kill(name); }
}

const NODE = path.join(ROOT, 'node_modules/.bin/node');
const CLI = [NODE, '--no-warnings', path.join(ROOT, 'dist/cli.mjs')];

/** A stack with the agents of examples/agents and an API, and accounts of Kubernetes that may different things. */
export class CliSite {
  readonly s: AgentStack;
  readonly #dir: string;

  private constructor(s: AgentStack, dir: string) {
    this.s = s;
    this.#dir = dir;
  }

  static async start(dir: string): Promise<CliSite> {
    const s = await AgentStack.start({ api: true });
    const site = new CliSite(s, dir);
    try {
      for (const [name, script] of Object.entries(JSON.parse(readFileSync(path.join(ROOT, 'hack/scripted-model/demo.json'), 'utf8')))) s.model.register(name, script as never);
      for (const file of ['models.yaml', 'agents.yaml']) {
        const text = readFileSync(path.join(ROOT, 'examples/agents', file), 'utf8').replaceAll('${RAMBO_SCRIPTED_MODEL}', s.model.url).replaceAll('${RAMBO_TOOL_SERVER}', s.tools.mcp);
        for (const document of parseAllDocuments(text, { version: '1.1' })) {
          const object = document.toJS();
          await s.t.apply({ ...object, metadata: { ...object.metadata, namespace: 'default' } });
        }
      }
      for (const name of ['refund-desk', 'greeter']) await s.ready('agent', name);
      return site;
    } catch (error) {
      await s.stop();
      throw error;
    }
  }

  /** A service account and what it may do in `default`: rules of RBAC. It may ask for a token of its own where it is said. */
  async account(name: string, rules: readonly object[], own = true): Promise<void> {
    const [apiVersion, namespace] = ['rbac.authorization.k8s.io/v1', 'default'];
    const token = { apiGroups: [''], resources: ['serviceaccounts/token'], resourceNames: [name], verbs: ['create'] };
    await this.s.t.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });
    await this.s.t.apply({ apiVersion, kind: 'Role', metadata: { name, namespace }, rules: [...rules, ...(own ? [token] : [])] });
    await this.s.t.apply({ apiVersion, kind: 'RoleBinding', metadata: { name, namespace }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name }, subjects: [{ kind: 'ServiceAccount', name, namespace }] });
  }

  /** The environment of whoever has nothing but a kubeconfig of that account, and knows where the API is. */
  async kubeconfigOf(account: string): Promise<Environment> {
    const file = path.join(this.#dir, `${account}.kubeconfig`);
    await this.s.t.stack.kubectl.kubeconfigFor('default', account, file);
    return { RAMBO_API_URL: this.s.t.addresses.apiUrl, KUBECONFIG: file };
  }

  /** The environment that `make up` writes. */
  get demo(): Environment {
    return { RAMBO_API_URL: this.s.t.addresses.apiUrl, RAMBO_TOKEN: this.s.t.addresses.token };
  }

  /** Begins a call of `rambo`. */
  begin(args: readonly string[], env: Environment = this.demo): Running {
    return new Running(NODE, [...CLI.slice(1), ...args], env);
  }

  /** A call of `rambo` from its begin to its end. */
  rambo(args: readonly string[], env: Environment = this.demo, stdin = ''): Promise<Ended> {
    const running = this.begin(args, env);
    running.finish(stdin);
    return running.ended;
  }

  /** `kubectl rambo`: kubectl finds the plugin on the PATH. */
  kubectlRambo(args: readonly string[], env: Environment): Promise<Ended> {
    const plugin = path.join(this.#dir, 'kubectl-rambo');
    writeFileSync(plugin, `#!/bin/sh\nRAMBO_CLI_AS='kubectl rambo' exec ${CLI.map((part) => `'${part}'`).join(' ')} "$@"\n`);
    chmodSync(plugin, 0o755);
    const running = new Running(this.s.t.addresses.kubectl, ['rambo', ...args], { ...env, PATH: `${this.#dir}:${process.env['PATH'] ?? ''}` });
    running.finish();
    return running.ended;
  }

  /** The same in a terminal, of which `script` of util-linux plays the other side. */
  terminal(args: readonly string[], env: Environment = this.demo): Running {
    const file = path.join(this.#dir, `call-${Math.random().toString(36).slice(2)}.sh`);
    writeFileSync(file, `exec ${[...CLI, ...args].map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(' ')}\n`);
    return new Running('script', ['-qefc', `sh ${file}`, '/dev/null'], { ...env, TERM: 'dumb' });
  }
}
