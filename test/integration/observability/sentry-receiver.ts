import { HttpReceiver } from './http-receiver.ts';

/** An event as a project of Sentry got it. */
export type SentryEvent = Readonly<Record<string, unknown>> & {
  readonly transaction?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly exception?: { readonly values: readonly { readonly type?: string; readonly value?: string; readonly stacktrace?: { readonly frames: readonly Readonly<Record<string, unknown>>[] } }[] };
};

/** A project of Sentry on loopback that takes envelopes and keeps the events in them. */
export class SentryReceiver extends HttpReceiver {
  /** Everything that came, headers and all: to look for what must not be in it. */
  text = '';
  readonly events: SentryEvent[] = [];
  /** What was sent besides events, by the type of its item. */
  readonly others: string[] = [];

  private constructor() {
    super();
  }

  static start(): Promise<SentryReceiver> {
    return new SentryReceiver().listen();
  }

  get dsn(): string {
    return `http://0123456789abcdef@127.0.0.1:${this.port}/42`;
  }

  protected override take(body: string, head: string): void {
    this.text += `${head} ${body}\n`;
    this.#take(body);
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
