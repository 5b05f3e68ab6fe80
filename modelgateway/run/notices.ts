import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { agentDeltaSubject, agentEventSubject, commandSubject, shardOf } from '../../platform/messages/subjects.ts';
import type { AgentDelta, AgentEventNotice } from '../../platform/messages/payloads.ts';
import type { AgentRunRow, Appended } from '../../prisma/store/index.ts';
import type { Piece } from '../chat/answer.ts';

/** The part of NATS that telling needs. */
export interface Publisher {
  publish(subject: string, payload: Uint8Array): void;
  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
}

const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const WAKE_MS = 2_000;
/** Pieces are told together, at most so late. */
const DELTA_MS = 20;

/** Tells that a journal grew. Call it after the commit; an append that wrote nothing is not told. */
export function tellAppended(bus: Pick<Publisher, 'publish'>, { run, events }: Pick<Appended<unknown>, 'run' | 'events'>): void {
  if (events.length > 0) tellRun(bus, run);
}

/** Tells how far a journal is. */
export function tellRun(bus: Pick<Publisher, 'publish'>, run: AgentRunRow): void {
  const notice: AgentEventNotice = { v: 1, run: run.runId, agentRun: run.id, seq: run.seq, phase: run.phase };
  bus.publish(agentEventSubject(run.namespace, run.id), encode(notice));
}

/** Asks the owner of a run to go on with a node that is parked. False where nobody answered: whoever sweeps asks again. */
export async function wake(bus: Publisher, { runId, node, item }: Pick<AgentRunRow, 'runId' | 'node' | 'item'>): Promise<boolean> {
  try {
    await bus.request(commandSubject(shardOf(runId)), encode({ v: 1, verb: 'wake', runId, node, item }), WAKE_MS);
    return true;
  } catch {
    return false;
  }
}

/** Pieces of one answer for those who watch; what is lost is in the journal soon. */
export class Deltas {
  readonly #bus: Publisher;
  readonly #clock: Clock;
  readonly #subject: string;
  readonly #step: number;
  #n = 0;
  #text = '';
  #reasoning = '';
  #timer: TimerHandle | undefined;

  constructor(bus: Publisher, clock: Clock, run: Pick<AgentRunRow, 'namespace' | 'id'>, step: number) {
    this.#bus = bus;
    this.#clock = clock;
    this.#subject = agentDeltaSubject(run.namespace, run.id);
    this.#step = step;
  }

  add(piece: Piece): void {
    if (piece.type === 'toolCall') {
      this.flush();
      this.#send({ toolCall: { index: piece.index, tool: piece.call.tool, arguments: piece.call.arguments.slice(0, 65_536) } });
      return;
    }
    if (piece.type === 'text') this.#text += piece.text;
    else this.#reasoning += piece.text;
    this.#timer ??= this.#clock.after(DELTA_MS, () => { this.flush(); });
  }

  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#text === '' && this.#reasoning === '') return;
    this.#send({ ...(this.#text === '' ? {} : { text: this.#text }), ...(this.#reasoning === '' ? {} : { reasoning: this.#reasoning }) });
    this.#text = '';
    this.#reasoning = '';
  }

  #send(content: Pick<AgentDelta, 'text' | 'reasoning' | 'toolCall'>): void {
    const delta: AgentDelta = { v: 1, step: this.#step, n: this.#n++, ...content };
    this.#bus.publish(this.#subject, encode(delta));
  }
}
