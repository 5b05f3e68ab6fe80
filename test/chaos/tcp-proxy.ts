import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** One connection through the proxy, as both sides see it. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** What the next request through a proxy meets, whichever connection it comes on. */
type Trap = 'none' | 'loseRequest' | 'loseAnswer' | 'cutAnswer';

/**
 * A TCP connection in trouble. Stands between one of our processes and a server; whatever the protocol, it knows only
 * chunks: what a client sends is a request, what then comes back is its answer.
 */
export class TcpProxy {
  readonly #target: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #refusing = false;
  #frozen = false;
  #delayMs = 0;
  #trap: Trap = 'none';
  #sprung = 0;

  private constructor(target: number, server: Server) {
    this.#target = target;
    this.#server = server;
  }

  /** Listens on a free port of loopback and leads to `target` there. */
  static async start(target: number): Promise<TcpProxy> {
    // Half-open connections are passed on as they are.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new TcpProxy(target, server);
    server.on('connection', (client) => { proxy.#accept(client); });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address() as AddressInfo;
    return address.port;
  }

  /** Connections that stand. */
  get connections(): number { return this.#pairs.size; }

  /** Requests that met a trap. */
  get sprung(): number { return this.#sprung; }

  /** Resets every connection. */
  cut(): void {
    for (const pair of this.#pairs) this.#reset(pair);
  }

  /** New connections are reset at once; those that stand go on. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Nothing passes in either direction, nobody is told: a cable is out. What was sent arrives once it is in again. */
  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) if (frozen) socket.pause(); else socket.resume();
  }

  /** Every chunk takes so long; 0 for none. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** The next request never arrives, and its connection is reset. */
  loseRequest(): void { this.#trap = 'loseRequest'; }
  /** The next request is carried out; its answer is lost with the connection. */
  loseAnswer(): void { this.#trap = 'loseAnswer'; }
  /** The next request is carried out; the connection breaks in the middle of its answer. */
  cutAnswer(): void { this.#trap = 'cutAnswer'; }

  /** Everything as it should be. */
  heal(): void {
    this.refuse(false);
    this.delay(0);
    this.#trap = 'none';
    if (this.#frozen) this.freeze(false);
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => { this.#server.close(() => { resolve(); }); });
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ port: this.#target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const pair: Pair = { client, server };
    this.#pairs.add(pair);
    let losing: Trap = 'none';
    const done = (): void => { this.#pairs.delete(pair); };
    client.on('data', (chunk) => {
      const trap = this.#spring();
      if (trap === 'loseRequest') this.#reset(pair);
      else this.#pass(server, chunk);
      if (trap !== 'none') losing = trap;
    });
    server.on('data', (chunk) => {
      if (losing === 'none') this.#pass(client, chunk);
      else this.#breakAnswer(pair, losing, chunk);
    });
    client.on('end', () => { server.end(); });
    server.on('end', () => { client.end(); });
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      socket.on('error', () => { other.resetAndDestroy(); });
      socket.on('close', () => { other.destroy(); done(); });
      if (this.#frozen) socket.pause();
    }
  }

  #spring(): Trap {
    const trap = this.#trap;
    this.#trap = 'none';
    if (trap !== 'none') this.#sprung++;
    return trap;
  }

  #breakAnswer(pair: Pair, how: Trap, chunk: Buffer): void {
    if (how !== 'cutAnswer') {
      this.#reset(pair);
      return;
    }
    // Half of it has to have left before the reset throws away what is in the buffers.
    pair.client.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), () => { this.#reset(pair); });
  }

  #pass(to: Socket, chunk: Buffer): void {
    if (this.#delayMs === 0) to.write(chunk);
    else setTimeout(() => { if (!to.destroyed) to.write(chunk); }, this.#delayMs);
  }

  #reset({ client, server }: Pair): void {
    client.resetAndDestroy();
    server.resetAndDestroy();
  }
}
