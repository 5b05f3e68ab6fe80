import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Takes whatever is posted to it on loopback and answers with an empty object. What it means is told by those that extend it. */
export abstract class HttpReceiver {
  readonly #server: Server;

  protected constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (part: string) => { body += part; }).on('end', () => {
        this.take(body, `${request.url ?? ''} ${JSON.stringify(request.headers)}`);
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** One request: its body, and its path and headers as text. */
  protected abstract take(body: string, head: string): void;

  /** Listens; the system chooses the port. */
  protected async listen(): Promise<this> {
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
    return this;
  }

  protected get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }
}
