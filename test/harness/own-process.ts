import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Child } from '../../hack/stack/child.ts';
import { freePort } from '../../hack/stack/ports.ts';
import { ROOT } from '../../hack/stack/stack.ts';
import type { TestStack } from './test-stack.ts';

let count = 0;

/** A controller or an API beside those of the stack, with some of its environment changed. */
export class OwnProcess {
  /** Name and uid of the pod it believes to be. */
  readonly pod: string;
  readonly uid: string;
  readonly #t: TestStack;
  readonly #child: Child;
  readonly #log: string;
  readonly #port: number;
  #apiPort = 0;

  private constructor(t: TestStack, dir: string, which: 'controller' | 'api', change: Readonly<Record<string, string | undefined>>, port: number) {
    const n = ++count;
    this.#t = t;
    this.pod = `pod-${n}`;
    this.uid = `uid-${n}`;
    this.#log = path.join(dir, `${which}-${n}.log`);
    this.#port = port;
    const env = { ...working(t, dir, which), RAMBO_REPLICA: this.pod, RAMBO_POD_UID: this.uid, [which === 'api' ? 'RAMBO_METRICS_PORT' : 'RAMBO_LISTEN_PORT']: String(port), ...change };
    const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    this.#child = new Child({
      name: which, command: process.execPath, args: [path.join(ROOT, `dist/${which}.mjs`)], restart: false, logFile: this.#log, log: () => undefined,
      env: { PATH: process.env['PATH'] ?? '', ...Object.fromEntries(set) },
      onLine: (line) => { if (line.includes('"msg":"listening"')) this.#apiPort = (JSON.parse(line) as { readonly port: number }).port; },
    });
    this.#child.start();
  }

  /** Starts it; it may not be ready for long. Variables that are undefined are not set. */
  static async start(t: TestStack, dir: string, which: 'controller' | 'api', change: Readonly<Record<string, string | undefined>>): Promise<OwnProcess> {
    return new OwnProcess(t, dir, which, change, await freePort());
  }

  get log(): string { return readFileSync(this.#log, 'utf8'); }

  /** Port of /graphql, once it listens. */
  get apiPort(): number { return this.#apiPort; }

  async #get(what: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.#port}/${what}`).catch(() => undefined);
    return { status: response?.status ?? 0, text: await response?.text() ?? '' };
  }

  /** Waits until it is not ready for this reason; it is alive meanwhile, and the log has the words too. */
  async saysReason(reason: RegExp): Promise<void> {
    await this.#until(`${this.pod} to say ${reason.source}`, ({ status, text }) => status === 503 && reason.test(text));
    expect((await this.#get('healthz')).status).toBe(200);
    expect(this.log).toMatch(reason);
  }

  async becomesReady(): Promise<void> {
    await this.#until(`${this.pod} to be ready`, ({ status }) => status === 200);
  }

  async #until(what: string, sees: (answer: { readonly status: number; readonly text: string }) => boolean): Promise<void> {
    let last = '';
    await this.#t.until(what, async () => {
      const answer = await this.#get('readyz');
      last = `${answer.status} ${answer.text}`;
      return sees(answer);
    }).catch((error: unknown) => { throw new Error(`${String(error)}; it says ${last}, and its log:\n${this.log}`); });
  }

  stop(): Promise<void> { return this.#child.stop(); }
}

/** Environment with which it works. */
function working(t: TestStack, dir: string, which: 'controller' | 'api'): Readonly<Record<string, string>> {
  const secrets = path.dirname(t.addresses.natsCreds);
  return {
    RAMBO_DATABASE_URL: t.addresses.databaseUrl, RAMBO_NATS_URL: t.addresses.natsUrl, RAMBO_NATS_CREDS_FILE: path.join(secrets, `${which}.creds`),
    RAMBO_KUBECONFIG: path.join(secrets, `${which}.kubeconfig`), RAMBO_POD_NAMESPACE: 'rambo-system',
    ...(which === 'controller' ? { RAMBO_NATS_ACCOUNT_SEED_FILE: path.join(secrets, 'account.seed'), RAMBO_RUNNER_NATS_URL: t.addresses.natsUrl, RAMBO_LOGS_DIR: path.join(dir, 'logs') } : {}),
  };
}
