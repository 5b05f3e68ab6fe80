import { gatewayErrorSchema, type Ended } from '../../../crds/agent-gateway.ts';
import { doubling, sleep, type Clock } from '../../../platform/clock/index.ts';
import { errorMessage } from '../../../platform/errors/index.ts';

/** Why the loop cannot go on: the run is over, it waits, or the gateway will not have this attempt. */
export type Final =
  | { readonly kind: 'ended'; readonly ended: Ended }
  | { readonly kind: 'waiting'; readonly why: string }
  /** `why`: the cause by its own name, such as `AgentNotReady`. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string; readonly why?: string | undefined }
  | { readonly kind: 'aborted' };

/** Ends the loop from wherever it is. */
export class Stopped extends Error {
  readonly answer: Final;

  constructor(answer: Final) {
    super(answer.kind);
    this.answer = answer;
  }
}

/** The journal is, or may be, elsewhere than this attempt believes: open it again. */
export class Reopen extends Error {}

/** An answer of the gateway other than 2xx, or none at all. */
export interface Refusal {
  /** HTTP status; undefined where nothing was answered. */
  readonly status?: number;
  readonly body?: string;
  readonly message: string;
}

/** What talking to the gateway needs. */
export interface ClientParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly access: { readonly url: string; readonly token: string };
  readonly signal: AbortSignal;
  readonly log: (text: string) => void;
  readonly traceparent: string | undefined;
}

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
/** After so many tries in vain the node's log says so, and again after as many more. */
const SAY_EVERY = 8;
/** Codes after which the same question may get another answer. */
const AGAIN: ReadonlySet<string> = new Set(['Unavailable', 'Busy']);
const RESYNC: ReadonlySet<string> = new Set(['StepMismatch', 'NotOpened']);
/** How long the gateway is told that the park is recorded; it finds out by itself as well. */
const PARKED_TRIES = 5;

/** The model gateway, as one attempt speaks to it: each question is repeated until it is answered, because all are idempotent. */
export class GatewayClient {
  readonly #p: ClientParts;

  constructor(parts: ClientParts) {
    this.#p = parts;
  }

  /** Base of the OpenAI-shaped door. */
  get modelUrl(): string { return `${this.#p.access.url.replace(/\/$/, '')}/v1`; }

  get token(): string { return this.#p.access.token; }

  get signal(): AbortSignal { return this.#p.signal; }

  /** Headers of every request beside the token. */
  get headers(): Readonly<Record<string, string>> {
    return this.#p.traceparent === undefined ? {} : { traceparent: this.#p.traceparent };
  }

  /** Asks until there is an answer; gives its JSON. Throws Stopped or Reopen. */
  ask(verb: 'open' | 'tool' | 'finish', body: object): Promise<unknown> {
    return this.untilAnswered(verb, async () => {
      const response = await this.#post(verb, body);
      const text = await response.text();
      if (!response.ok) return { refusal: { status: response.status, body: text, message: `the gateway answered ${response.status}` } };
      const answer: unknown = JSON.parse(text);
      const over = gatewayErrorSchema.shape.ended.safeParse(typeof answer === 'object' && answer !== null && 'ended' in answer ? answer.ended : undefined);
      if (over.success && over.data !== undefined) throw new Stopped({ kind: 'ended', ended: over.data });
      return { answer };
    });
  }

  /** Tells the gateway that the controller has the park. Best effort: the gateway looks after those it hears nothing of. */
  async parked(): Promise<void> {
    for (let tries = 0; tries < PARKED_TRIES; tries++) {
      const done = await this.#post('parked', {}).then((response) => response.ok || response.status < 500, () => false);
      if (done) return;
      await sleep(this.#p.clock, this.#wait(tries));
    }
  }

  /** Repeats a question until it is answered, whatever that costs in time. Throws Stopped or Reopen. */
  async untilAnswered<T>(what: string, question: () => Promise<{ readonly answer: T } | { readonly refusal: Refusal }>): Promise<T> {
    for (let tries = 0; ; tries++) {
      const result = await question().catch((error: unknown) => {
        if (error instanceof Stopped || error instanceof Reopen) throw error;
        return { refusal: { message: errorMessage(error) } };
      });
      if (this.#p.signal.aborted) throw new Stopped({ kind: 'aborted' });
      if ('answer' in result) return result.answer;
      const again = judge(result.refusal);
      if (tries % SAY_EVERY === SAY_EVERY - 1) this.#p.log(`no answer to ${what} yet (${again}); asking again\n`);
      await sleep(this.#p.clock, this.#wait(tries), this.#p.signal);
      if (this.#p.signal.aborted) throw new Stopped({ kind: 'aborted' });
    }
  }

  #wait(tries: number): number {
    const ceiling = doubling(RETRY_MIN_MS, RETRY_MAX_MS, tries);
    return ceiling / 2 + (ceiling / 2) * this.#p.random();
  }

  #post(verb: string, body: object): Promise<Response> {
    return fetch(`${this.modelUrl}/agent/${verb}`, {
      method: 'POST', redirect: 'error', body: JSON.stringify(body),
      headers: { ...this.headers, authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      ...(verb === 'parked' ? {} : { signal: this.#p.signal }),
    });
  }
}

/** Whether to ask again (the reason why), or what ends this: throws it. */
function judge({ status, body, message }: Refusal): string {
  if (status === undefined) return message;
  const parsed = gatewayErrorSchema.safeParse(readJson(body ?? ''));
  // Not one of its own answers: something in between, or the gateway is starting or stopping.
  if (!parsed.success) {
    if (status >= 500 || status === 429 || status === 408) return message;
    throw new Stopped({ kind: 'refused', code: 'GatewayAnswer', message: `${message} without saying why` });
  }
  const { error, ended, why } = parsed.data;
  if (ended !== undefined) throw new Stopped({ kind: 'ended', ended });
  if (error.code === 'Waiting') throw new Stopped({ kind: 'waiting', why: why ?? 'input' });
  if (AGAIN.has(error.code) || status >= 500 || status === 429) return error.message;
  if (RESYNC.has(error.code)) throw new Reopen(error.message);
  throw new Stopped({ kind: 'refused', code: error.code, message: error.message, why });
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
