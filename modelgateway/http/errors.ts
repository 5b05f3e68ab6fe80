import type { Ended, GatewayCode } from '../../crds/agent-gateway.ts';
import { RamboError } from '../../platform/errors/index.ts';

const STATUS: Readonly<Record<GatewayCode, number>> = {
  Ended: 409, Waiting: 409, Fenced: 409, StepMismatch: 409, NotOpened: 409, Invalid: 400, Unauthenticated: 401, NotFound: 404, TooLarge: 413, Busy: 503, Unavailable: 503,
};

/** What a caller is refused with; the message is for people and safe to show. */
export class Refusal extends RamboError {
  readonly refused: GatewayCode;
  readonly ended: Ended | undefined;
  /** Why an attempt waits, or which rule an input breaks. */
  readonly why: string | undefined;

  constructor(code: GatewayCode, message: string, more: { readonly ended?: Ended; readonly why?: string; readonly cause?: unknown } = {}) {
    super(code, message, more.cause === undefined ? {} : { cause: more.cause });
    this.refused = code;
    this.ended = more.ended;
    this.why = more.why;
  }

  get status(): number { return STATUS[this.refused]; }

  /** Body of the answer: OpenAI's shape, so that its clients understand it too. */
  body(): object {
    return {
      error: { code: this.refused, message: this.message, type: this.why ?? this.refused },
      ...(this.ended === undefined ? {} : { ended: this.ended }), ...(this.why === undefined ? {} : { why: this.why }),
    };
  }
}
