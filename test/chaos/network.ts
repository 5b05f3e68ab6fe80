import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { StackAddresses, StackNetwork } from '../../hack/stack/stack.ts';
import { KubeProxy, type KubeFault, type KubeRule, type Passing } from './kube-proxy.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** The lines between a process and its servers. `runners` stands for all runner pods together. */
export interface Lines {
  readonly pg: TcpProxy;
  readonly nats: TcpProxy;
  readonly kube: KubeProxy;
}

/** A network in which every line of our processes can be broken: a proxy per process and server. */
export class Network implements StackNetwork {
  readonly #lines = new Map<string, Lines>();
  readonly #random: () => number;
  #runners: TcpProxy | undefined;
  #dir = '';

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  async open(processes: readonly string[], at: StackAddresses, dir: string): Promise<void> {
    this.#dir = dir;
    const pki = (file: string): string => readFileSync(path.join(path.dirname(at.kubeconfig), 'pki', file), 'utf8');
    const server = /server: "?([^"\s]+)/.exec(readFileSync(at.kubeconfig, 'utf8'))?.[1] ?? '';
    const pg = Number(new URL(at.databaseUrl).port);
    const nats = Number(new URL(at.natsUrl).port);
    this.#runners = await TcpProxy.start(nats);
    for (const name of processes) {
      // The proxy shows the certificate of the API server itself: it is good for 127.0.0.1.
      const tls = { ca: pki('ca.crt'), cert: pki('apiserver.crt'), key: pki('apiserver.key') };
      this.#lines.set(name, { pg: await TcpProxy.start(pg), nats: await TcpProxy.start(nats), kube: await KubeProxy.start({ server, tls, random: this.#random }) });
    }
  }

  lead(process: string, env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const lines = this.#lines.get(process);
    if (lines === undefined) return env;
    const config = path.join(this.#dir, 'secrets', `${process}.led.kubeconfig`);
    writeFileSync(config, readFileSync(env['RAMBO_KUBECONFIG'] ?? '', 'utf8').replace(/server: "[^"]*"/, `server: "${lines.kube.url}"`), { mode: 0o600 });
    const port = (url: string | undefined, to: number): string => { const led = new URL(url ?? ''); led.port = String(to); return led.href; };
    return {
      ...env, RAMBO_KUBECONFIG: config,
      RAMBO_DATABASE_URL: port(env['RAMBO_DATABASE_URL'], lines.pg.port), RAMBO_NATS_URL: port(env['RAMBO_NATS_URL'], lines.nats.port),
      ...(env['RAMBO_RUNNER_NATS_URL'] === undefined ? {} : { RAMBO_RUNNER_NATS_URL: port(env['RAMBO_RUNNER_NATS_URL'], this.runners.port) }),
    };
  }

  /** The lines of a process: `controller-0`, `api`. */
  of(process: string): Lines {
    const lines = this.#lines.get(process);
    if (lines === undefined) throw new Error(`no lines of ${process}`);
    return lines;
  }

  /** NATS as runners reach it. */
  get runners(): TcpProxy {
    if (this.#runners === undefined) throw new Error('the network is not open');
    return this.#runners;
  }

  /** Everything as it should be. */
  heal(): void {
    this.#runners?.heal();
    for (const { pg, nats, kube } of this.#lines.values()) {
      pg.heal();
      nats.heal();
      kube.heal();
    }
  }

  async close(): Promise<void> {
    const all = [...this.#lines.values()].flatMap(({ pg, nats, kube }) => [pg, nats, kube]);
    await Promise.all([this.#runners, ...all].map(async (proxy) => { await proxy?.close(); }));
  }
}

/** What happens to a TCP line. */
export const LINE_FAULTS = ['cut', 'refuse', 'freeze', 'slow', 'loseRequest', 'loseAnswer', 'cutAnswer'] as const;
/** What happens to the API server. */
export const KUBE_FAULTS = [
  'conflicts', 'unavailable', 'tooMany', 'errors', 'lose', 'reset', 'slow', 'repeat', 'watchCut', 'watchEnd', 'watchFreeze', 'garbage', 'gone',
] as const;
/** Whose line. */
export const LINES = ['controller pg', 'controller nats', 'runners nats', 'api pg', 'api nats'] as const;

/** A fault of the network, so many milliseconds after the runs were started, for so long. */
export interface NetFault {
  readonly atMs: number;
  readonly forMs: number;
  readonly line: (typeof LINES)[number] | 'controller kube';
  readonly how: (typeof LINE_FAULTS)[number] | (typeof KUBE_FAULTS)[number];
}

/** Brings a fault about and takes it away again after its time. Traps stay until they have sprung or are healed. */
export async function breakLine(network: Network, fault: NetFault): Promise<void> {
  const wait = new Promise((resolve) => { setTimeout(resolve, fault.forMs); });
  if (fault.line === 'controller kube') {
    const mend = breakKube(network.of('controller-0').kube, fault.how);
    await wait;
    mend();
    return;
  }
  const [who, server] = fault.line.split(' ');
  const lines = network.of(who === 'api' ? 'api' : 'controller-0');
  const proxy = who === 'runners' ? network.runners : server === 'pg' ? lines.pg : lines.nats;
  const mend = breakTcp(proxy, fault.how);
  await wait;
  mend();
}

function breakTcp(proxy: TcpProxy, how: NetFault['how']): () => void {
  const nothing = (): void => undefined;
  switch (how) {
    case 'cut': proxy.cut(); return nothing;
    case 'refuse': proxy.refuse(true); proxy.cut(); return () => { proxy.refuse(false); };
    case 'freeze': proxy.freeze(true); return () => { proxy.freeze(false); };
    case 'slow': proxy.delay(40); return () => { proxy.delay(0); };
    case 'loseRequest': proxy.loseRequest(); return nothing;
    case 'loseAnswer': proxy.loseAnswer(); return nothing;
    case 'cutAnswer': proxy.cutAnswer(); return nothing;
    default: throw new Error(`no fault of a line: ${how}`);
  }
}

const writes = ({ verb }: Passing): boolean => verb === 'create' || verb === 'patch' || verb === 'delete' || verb === 'update';
const answer = (code: number, reason: string): KubeFault => ({ kind: 'answer', code, reason, ...(code === 429 || code === 503 ? { retryAfterS: 1 } : {}) });

/** Faults of requests, by their name. */
const REQUEST_FAULTS: Readonly<Partial<Record<NetFault['how'], KubeRule>>> = {
  conflicts: { match: ({ verb }) => verb === 'patch', fault: answer(409, 'Conflict'), share: 0.5 },
  unavailable: { match: () => true, fault: answer(503, 'ServiceUnavailable') },
  tooMany: { match: () => true, fault: answer(429, 'TooManyRequests'), share: 0.7 },
  errors: { match: () => true, fault: answer(500, 'InternalError'), share: 0.5 },
  lose: { match: writes, fault: { kind: 'lose' }, share: 0.5 },
  reset: { match: () => true, fault: { kind: 'reset' }, share: 0.5 },
  slow: { match: () => true, fault: { kind: 'delay', ms: 300 } },
  repeat: { match: writes, fault: { kind: 'repeat' } },
};

function breakKube(kube: KubeProxy, how: NetFault['how']): () => void {
  const rule = REQUEST_FAULTS[how];
  if (rule !== undefined) {
    const armed = kube.add(rule);
    return () => { armed.remove(); };
  }
  switch (how) {
    case 'watchCut': kube.endWatches('cut'); return () => undefined;
    case 'watchEnd': kube.endWatches('end'); return () => undefined;
    case 'watchFreeze':
      for (const resource of ['workflowruns', 'pods', 'runnerpools', 'workflows']) kube.freezeWatches(resource);
      return () => { kube.thaw(); };
    case 'garbage': kube.say('garbage'); return () => undefined;
    case 'gone': kube.say('gone'); return () => undefined;
    default: throw new Error(`no fault of the API server: ${how}`);
  }
}

/** One or two faults of the network, chosen by `next` (0 to 1). */
export function netPlan(next: () => number): readonly NetFault[] {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  return Array.from({ length: 1 + Math.floor(next() * 2) }, (): NetFault => {
    const times = { atMs: Math.floor(next() * 700), forMs: pick([200, 1_000, 3_000, 6_000]) };
    return next() < 0.4 ? { ...times, line: 'controller kube', how: pick(KUBE_FAULTS) } : { ...times, line: pick(LINES), how: pick(LINE_FAULTS) };
  });
}

/** A fault of the network in a few words. */
export function describeNet({ atMs, forMs, line, how }: NetFault): string {
  return `${atMs} ms: ${line} ${how} for ${forMs} ms`;
}
