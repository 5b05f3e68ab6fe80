import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { Child } from '../../../hack/stack/child.ts';
import { freePort } from '../../../hack/stack/ports.ts';
import { ROOT, type StackAddresses, type StackNetwork } from '../../../hack/stack/stack.ts';

/** What the gateway answers an attempt whose time is over. */
const FENCED = '"code":"Fenced"';

/** Stands between runners and model gateways, as a Service does: leads to one of them, and to another when that one is taken away. */
export class GatewaySwitch implements StackNetwork {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #env: Readonly<Record<string, string>> = {};
  #dir = '';
  #first = 0;
  #target = 0;
  #fenced = 0;
  #second: Child | undefined;

  constructor() {
    this.#server = createServer((client) => { this.#accept(client); });
  }

  /** How many requests were refused because a later attempt has the run. */
  get fenced(): number { return this.#fenced; }

  async open(_processes: readonly string[], at: StackAddresses, dir: string): Promise<void> {
    this.#dir = dir;
    this.#first = this.#target = Number(new URL(at.modelgateway).port);
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
  }

  lead(process: string, env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    if (process === 'modelgateway') this.#env = env;
    if (env['RAMBO_MODELGATEWAY_URL'] === undefined) return env;
    const address = this.#server.address() as AddressInfo;
    return { ...env, RAMBO_MODELGATEWAY_URL: `http://127.0.0.1:${address.port}` };
  }

  /** Starts another gateway, without failpoints, and waits until it is ready. Gives its port. */
  async second(lease: string): Promise<number> {
    const [port, metrics] = [await freePort(), await freePort()];
    this.#second = new Child({
      name: 'modelgateway-b', command: path.join(ROOT, 'node_modules/.bin/node'), args: [path.join(ROOT, 'dist/modelgateway.mjs')], restart: false, logFile: path.join(this.#dir, 'logs/modelgateway-b.log'), log: () => undefined,
      env: { PATH: process.env['PATH'] ?? '', HOME: this.#dir, ...this.#env, RAMBO_LISTEN_PORT: String(port), RAMBO_METRICS_PORT: String(metrics), RAMBO_REPLICA: 'modelgateway-b', RAMBO_MODELGATEWAY_LEASE: lease },
    });
    this.#second.start();
    for (let tries = 0; tries < 600; tries++) {
      if (await fetch(`http://127.0.0.1:${metrics}/readyz`).then(({ ok }) => ok, () => false)) return port;
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    throw new Error('the second gateway did not become ready');
  }

  /** Leads to the gateway of a port, or to the first one again; whoever was connected has to come again. */
  leadTo(port?: number): void {
    this.#target = port ?? this.#first;
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    await this.#second?.stop();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => { this.#server.close(() => { resolve(); }); });
  }

  #accept(client: Socket): void {
    const server = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => { other.destroy(); });
      socket.on('close', () => { this.#sockets.delete(socket); other.destroy(); });
      socket.pipe(other);
    }
    server.on('data', (chunk: Buffer) => { if (chunk.includes(FENCED)) this.#fenced++; });
  }
}
