import { z } from 'zod';
import { HttpReceiver } from './http-receiver.ts';

/** A span as the receiver got it. Ids are lower-case hex; `parent` is empty at a root. */
export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly trace: string;
  readonly id: string;
  readonly parent: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

const attribute = z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) });
const bodySchema = z.object({ resourceSpans: z.array(z.object({
  resource: z.object({ attributes: z.array(attribute) }),
  scopeSpans: z.array(z.object({ spans: z.array(z.object({
    traceId: z.string(), spanId: z.string(), parentSpanId: z.string().optional(), name: z.string(), attributes: z.array(attribute).default([]),
  })) })),
})) });

/** A receiver of spans, OTLP over HTTP as JSON, on loopback. */
export class Receiver extends HttpReceiver {
  /** Everything that came, as text: to look for what must not be in it. */
  text = '';
  readonly spans: ReceivedSpan[] = [];

  private constructor() {
    super();
  }

  static start(): Promise<Receiver> {
    return new Receiver().listen();
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  protected override take(body: string): void {
    this.text += body;
    this.spans.push(...spansOf(body));
  }
}

function spansOf(body: string): readonly ReceivedSpan[] {
  return bodySchema.parse(JSON.parse(body)).resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const named = resource.attributes.find(({ key }) => key === 'service.name')?.value['stringValue'];
    const service = typeof named === 'string' ? named : '';
    return scopeSpans.flatMap(({ spans }) => spans.map(({ traceId, spanId, parentSpanId = '', name, attributes }) => ({
      service, name, trace: traceId, id: spanId, parent: parentSpanId, attributes: Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]])),
    })));
  });
}
