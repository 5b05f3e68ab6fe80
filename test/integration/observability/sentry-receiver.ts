import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An event as a project of Sentry got it. */
export type SentryEvent = Readonly<Record<string, unknown>> & {
  readonly transaction?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly exception?: { readonly values: readonly { readonly type?: string; readonly value?: string; readonly stacktrace?: { readonly frames: readonly Readonly<Record<string, unknown>>[] } }[] };
};

/** A project of Sentry on loopback that takes envelopes and keeps the events in them. */
export class SentryReceiver {
  /** Everything that came, headers and all: to look for what must not be in it. */
  text = '';
  readonly events: SentryEvent[] = [];
  /** What was sent besides events, by the type of its item. */
  readonly others: string[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (part: string) => { body += part; }).on('end', () => {
        this.text += `${request.url ?? ''} ${JSON.stringify(request.headers)} ${body}\n`;
        this.#take(body);
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
  }

  static async start(): Promise<SentryReceiver> {
    const receiver = new SentryReceiver();
    await new Promise<void>((resolve) => { receiver.#server.listen(0, '127.0.0.1', resolve); });
    return receiver;
  }

  get dsn(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://0123456789abcdef@127.0.0.1:${port}/42`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** A header, then pairs of a line with the type of an item and a line with the item. */
  #take(envelope: string): void {
    const [, ...lines] = envelope.split('\n').filter((line) => line !== '');
    for (let i = 0; i + 1 < lines.length; i += 2) {
      const { type }: { type: string } = JSON.parse(lines[i] ?? '{}');
      if (type === 'event') this.events.push(JSON.parse(lines[i + 1] ?? '{}'));
      else this.others.push(type);
    }
  }
}
