import type { AgentMessage } from '../../../crds/agent-fold.ts';
import type { Clock } from '../../../platform/clock/index.ts';
import { failure, type Outcome } from '../../core/types.ts';
import { finishAnswerSchema, openAnswerSchema, toolAnswerSchema, type OpenedRun, type PendingCall, type WaitingFor } from './answers.ts';
import { Reopen, Stopped, type GatewayClient } from './client.ts';
import type { AskModel } from './model.ts';
import { compactable, promptOf, STEP, SUMMARISE } from './prompt.ts';

/** What the loop is made of. */
export interface LoopParts {
  readonly client: Pick<GatewayClient, 'ask'>;
  readonly model: AskModel;
  readonly with: Readonly<Record<string, unknown>>;
  readonly runner: string;
  readonly clock: Clock;
  readonly log: (text: string) => void;
}

/** Where the run is, as this attempt believes; the journal knows. */
interface Place {
  readonly spec: OpenedRun['spec'];
  step: number;
  messages: AgentMessage[];
  pending: readonly PendingCall[];
  contextTokens: number;
}

/** What is waited for, the most urgent first: a person has to do something about the first three. */
const URGENCY: readonly WaitingFor[] = ['inDoubt', 'approval', 'input', 'child'];
/** How often in a row the journal may be elsewhere without this attempt getting anywhere. */
const MAX_REOPENED = 5;

/**
 * The loop of an agent: open, then tools that were asked for, model, tools, ... until the gateway takes the answer.
 *
 *   open -> pending calls? -> all at once, at most parallelTools -> one waits? -> park
 *              | none                                                | none
 *              v                                                     v
 *         last message an answer? -> finish -> done | repair      (again)
 *              | no
 *              v
 *         context too long? -> summary -> open again
 *              | no
 *              v
 *         model step -> (again)
 *
 * It holds no state of record and decides nothing that matters: step, arguments, policy, budget and limits are the gateway's. After
 * every answer it could be killed, and the next attempt goes on from the journal.
 */
export class AgentLoop {
  readonly #p: LoopParts;

  constructor(parts: LoopParts) {
    this.#p = parts;
  }

  /** Until the run ends or waits: throws Stopped with how, unless the answer was taken. */
  async run(): Promise<Outcome> {
    let lastSeen = -1;
    for (let lost = 0; lost < MAX_REOPENED; lost++) {
      const at = await this.#open();
      if (at.step > lastSeen) lost = 0;
      lastSeen = at.step;
      try {
        return await this.#goOn(at);
      } catch (error) {
        if (!(error instanceof Reopen)) throw error;
        this.#p.log(`reading the journal again: ${error.message}\n`);
      }
    }
    return failure('Infra', 'OutOfStep', 'the journal of the agent run does not stand where the gateway says it does');
  }

  async #open(): Promise<Place> {
    const { id, spec, state } = openAnswerSchema.parse(await this.#p.client.ask('open', { with: this.#p.with, runner: this.#p.runner }));
    this.#p.log(`agent run ${id}${spec.agent === undefined ? '' : ` of ${spec.agent}`}, revision ${spec.revision.slice(0, 12)}: ${state.step === 0 ? 'begins' : `goes on after step ${state.step}`}\n`);
    return { spec, step: state.step, messages: [...state.messages], pending: state.pending, contextTokens: state.contextTokens };
  }

  async #goOn(at: Place): Promise<Outcome> {
    for (;;) {
      if (at.pending.length > 0) await this.#tools(at);
      const last = at.messages.at(-1);
      if (last?.role === 'assistant' && last.toolCalls.length === 0) {
        const output = await this.#finish(at, last.text);
        if (output !== undefined) return output;
      }
      if (await this.#compacted(at)) throw new Reopen('older messages were summarised');
      await this.#step(at);
    }
  }

  async #step(at: Place): Promise<void> {
    const step = at.step + 1;
    const began = this.#p.clock.monotonic();
    const answer = await this.#p.model({ spec: at.spec, messages: STEP, step });
    at.step = step;
    at.contextTokens = answer.inputTokens + answer.outputTokens;
    at.messages.push({ role: 'assistant', text: answer.text, toolCalls: answer.toolCalls });
    at.pending = answer.toolCalls.map((call) => ({ ...call, step }));
    const asked = answer.toolCalls.length === 0 ? 'an answer' : answer.toolCalls.map(({ tool }) => display(at, tool)).join(', ');
    this.#p.log(`step ${step}: ${answer.inputTokens} + ${answer.outputTokens} tokens, ${this.#since(began)} ms: ${asked}\n`);
  }

  /** Calls all that are pending, some at a time; where some wait the others are done first. Throws Stopped when the run has to wait. */
  async #tools(at: Place): Promise<void> {
    const waiting = new Set<WaitingFor>();
    const left = [...at.pending];
    const worker = async (): Promise<void> => {
      for (let call = left.shift(); call !== undefined; call = left.shift()) {
        const why = await this.#tool(at, call);
        if (why !== undefined) waiting.add(why);
      }
    };
    const workers = Array.from({ length: Math.max(1, Math.min(at.spec.limits.parallelTools, left.length)) }, worker);
    // All have to be still before the attempt ends, or one would go on behind its back; `all` then throws what the first of them threw.
    await Promise.allSettled(workers);
    await Promise.all(workers);
    const why = URGENCY.find((one) => waiting.has(one));
    if (why !== undefined) throw new Stopped({ kind: 'waiting', why });
    at.pending = [];
  }

  async #tool(at: Place, { step, callId, tool }: PendingCall): Promise<WaitingFor | undefined> {
    const began = this.#p.clock.monotonic();
    for (;;) {
      const answer = toolAnswerSchema.parse(await this.#p.client.ask('tool', { step, callId }));
      if (answer.status === 'running') continue;
      const how = answer.status === 'waiting' ? `waits (${answer.why})` : `${answer.result.isError ? 'failed' : 'done'}${answer.result.truncated === true ? ', cut' : ''}`;
      this.#p.log(`step ${step}: ${display(at, tool)} ${how}, ${this.#since(began)} ms\n`);
      if (answer.status === 'waiting') return answer.why;
      at.messages.push({ role: 'tool', callId, tool, text: answer.result.text, isError: answer.result.isError });
      return undefined;
    }
  }

  /** The output of the node, or undefined where the model has to try again. */
  async #finish(at: Place, text: string): Promise<Outcome | undefined> {
    const answer = finishAnswerSchema.parse(await this.#p.client.ask('finish', { text }));
    if (answer.status === 'done') return { ok: true, output: JSON.stringify(answer.output ?? null) };
    this.#p.log(`step ${at.step}: the answer does not fit; asking again\n`);
    at.messages.push({ role: 'user', text: answer.message });
    return undefined;
  }

  /** Has older messages summarised where the context has grown too long; true when the journal has changed for it. */
  async #compacted({ spec, step, messages, contextTokens }: Place): Promise<boolean> {
    if (spec.compaction === undefined || contextTokens <= spec.compaction.atTokens) return false;
    const count = compactable(messages, spec.compaction.keepLast);
    if (count === 0) return false;
    const instructions = messages[0]?.role === 'system' ? 1 : 0;
    const old: AgentMessage[] = [...messages.slice(0, instructions + count), { role: 'user', text: SUMMARISE }];
    const began = this.#p.clock.monotonic();
    const answer = await this.#p.model({ spec, messages: promptOf(old), step: step + 1, compact: count });
    this.#p.log(`before step ${step + 1}: ${count} older messages summarised, ${answer.inputTokens} + ${answer.outputTokens} tokens, ${this.#since(began)} ms\n`);
    return true;
  }

  #since(began: number): number {
    return Math.round(this.#p.clock.monotonic() - began);
  }
}

/** A tool as people know it. */
function display({ spec }: Place, name: string): string {
  return spec.tools.find((tool) => tool.name === name)?.display ?? name;
}
