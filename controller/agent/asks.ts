import { doubling, type Clock } from '../../platform/clock/index.ts';
import type { AgentAnswer, AgentAskCode } from '../../platform/messages/agent-ask.ts';

/** What asking came to: the gateway's answer, or nothing at all. */
export type Answer = { readonly kind: 'Answered'; readonly answer: AgentAnswer } | { readonly kind: 'NoGateway' };

/** Asks the gateway once. Rejects never: no answer is an answer. */
export type Ask = (verb: 'discover' | 'probe', object: { readonly namespace: string; readonly name: string; readonly uid: string; readonly generation: number }) => Promise<Answer>;

/** What stands of an object: the last answer, and when it is asked for again. */
export interface Standing {
  /** The last answer to the present question; absent while there is none. */
  readonly answer?: AgentAnswer;
  /** The gateway did not answer the last time. */
  readonly silent: boolean;
  /** Milliseconds until it is asked again. */
  readonly waitMs: number;
  /** This look brought an answer that was not there before. */
  readonly fresh: boolean;
}

/** Asked again without any change after so long. */
export const AGAIN_MS = 600_000;
const FIRST_MS = 5_000;
const FAILED_MS = 60_000;
/** The gateway reads mirrors that were written a moment ago. */
const SOON_MS = 1_000;
const PASSING: ReadonlySet<AgentAskCode> = new Set<AgentAskCode>(['NotMirrored', 'Busy']);

interface Memory {
  question: string;
  answer: AgentAnswer | undefined;
  silent: boolean;
  failures: number;
  notBefore: number;
}

/**
 * When the gateway is asked about an object, and what it said last. A question is an object in one version, as its owner wrote it;
 * a new question is asked at once, the same one after ten minutes, a failed one after 5 s, 10 s, … a minute. However often
 * something wakes the object in between: nobody is asked.
 */
export class Asks {
  readonly #clock: Clock;
  readonly #ask: Ask;
  readonly #verb: 'discover' | 'probe';
  readonly #memory = new Map<string, Memory>();

  constructor(clock: Clock, verb: 'discover' | 'probe', ask: Ask) {
    this.#clock = clock;
    this.#verb = verb;
    this.#ask = ask;
  }

  /** What stands for the question about an object; asks where it is time. `before` runs before the gateway is asked. */
  async look(key: string, object: { readonly namespace: string; readonly name: string; readonly uid: string; readonly generation: number }, question: string, before: () => Promise<void>): Promise<Standing> {
    const memory = this.#remember(key, question);
    if (this.#clock.now() < memory.notBefore) return standing(memory, this.#clock.now(), false);
    await before();
    const { namespace, name, uid, generation } = object;
    const answer = await this.#ask(this.#verb, { namespace, name, uid, generation });
    const now = this.#clock.now();
    memory.silent = answer.kind === 'NoGateway';
    if (answer.kind === 'Answered' && answer.answer.ok) {
      Object.assign(memory, { answer: answer.answer, failures: 0, notBefore: now + AGAIN_MS });
      return standing(memory, now, true);
    }
    memory.failures += 1;
    const passing = answer.kind === 'Answered' && !answer.answer.ok && PASSING.has(answer.answer.error.code);
    memory.notBefore = now + doubling(passing ? SOON_MS : FIRST_MS, FAILED_MS, memory.failures - 1);
    if (answer.kind === 'Answered' && !passing) memory.answer = answer.answer;
    return standing(memory, now, answer.kind === 'Answered' && !passing);
  }

  /** The object is gone, or another replica asks from now on. */
  forget(key?: string): void {
    if (key === undefined) this.#memory.clear();
    else this.#memory.delete(key);
  }

  #remember(key: string, question: string): Memory {
    const known = this.#memory.get(key);
    if (known?.question === question) return known;
    const made: Memory = { question, answer: undefined, silent: false, failures: 0, notBefore: 0 };
    this.#memory.set(key, made);
    return made;
  }
}

function standing(memory: Memory, now: number, fresh: boolean): Standing {
  return { ...(memory.answer === undefined ? {} : { answer: memory.answer }), silent: memory.silent, waitMs: Math.max(1, memory.notBefore - now), fresh };
}
