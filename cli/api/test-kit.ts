import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/* An API for tests of the command line: it answers as a test says. */

/** What was asked of it. `last`: the header `last-event-id`. */
export interface Seen {
  readonly line: string;
  readonly last: unknown;
  readonly body: string;
}

/** A real HTTP server on a port of its own, which remembers what it was asked. */
export class AnsweringApi {
  readonly url: string;
  readonly seen: Seen[] = [];
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void = (_, response) => { response.writeHead(500).end(); };
  readonly #server: Server;

  private constructor(server: Server) {
    const address = server.address();
    this.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port ?? 0 : 0}`;
    this.#server = server;
    server.on('request', (request, response) => {
      const chunks: string[] = [];
      request.on('data', (chunk) => { chunks.push(String(chunk)); }).on('end', () => {
        this.seen.push({ line: `${request.method ?? ''} ${request.url ?? ''}`, last: request.headers['last-event-id'], body: chunks.join('') });
        this.answer(request, response, chunks.join(''));
      });
    });
  }

  static async start(): Promise<AnsweringApi> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new AnsweringApi(server);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Answers with JSON. */
export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** An event of an agent run as the stream sends it. */
export function event(seq: number, kind: string, payload: object): string {
  return `id: ${seq}\nevent: event\ndata: ${JSON.stringify({ seq, at: '2026-01-01T00:00:00.000Z', kind, payload })}\n\n`;
}
