import { z } from 'zod';
import { call } from '../api/call.ts';
import type { News } from '../api/events.ts';
import { CliError, EXIT_FAILED, EXIT_INTERRUPTED } from '../errors.ts';
import type { Input, Io } from '../io/io.ts';
import { AnswerWriter } from './answer-writer.ts';
import { approvalOf, decide, showApproval } from './approval.ts';
import { appeared, cancelRun, endText, startAgent, toItsEnd } from './turn.ts';
import type { Caller, End, Started } from './turn.ts';
import { said } from './words.ts';

/** What a conversation needs. */
export interface ChatParts {
  readonly io: Io;
  readonly input: Input;
  readonly caller: Caller;
  readonly namespace: string;
  readonly agent: string;
  readonly conversation: string;
  /** A line of JSON for each turn instead of its text. */
  readonly json: boolean;
}

/** What one turn came to. */
interface Turn {
  readonly started: Started;
  readonly end: End;
}

const totalsSchema = z.looseObject({ inputTokens: z.number(), outputTokens: z.number(), costUsd: z.string(), modelCalls: z.number(), toolCalls: z.number() });
const approvalSchema = z.looseObject({ approval: z.string() });

const HELP = `  a line is said to the agent; one that ends with \\ goes on with the next
  /help    this
  /quit    leave (Ctrl-D does too); the conversation stays
  Ctrl-C   stop the turn under way; again: leave at once`;

/** A conversation with an agent: lines in, answers out, until there are no more lines. */
export class Chat {
  readonly #p: ChatParts;
  readonly #leave = new AbortController();
  /** The turn under way; Ctrl-C stops it. */
  #turn: { readonly started: Started; stopping: boolean } | undefined;
  /** Ctrl-C ends a program: its code says so, however the turn ends. */
  #stopped = false;

  constructor(parts: ChatParts) {
    this.#p = parts;
  }

  /** Talks until the lines end, somebody leaves, or, without a terminal, a turn fails. */
  async talk(): Promise<void> {
    const { io, input } = this.#p;
    input.interrupted(() => { this.#interrupt(); });
    if (input.interactive) io.say(`${this.#p.agent} in ${this.#p.namespace}; /help explains, /quit leaves`);
    for (let line = await this.#line(); line !== undefined; line = await this.#line()) {
      if (line.trim() === '') continue;
      if (input.interactive && (line === '/quit' || line === '/exit')) break;
      if (input.interactive && line === '/help') io.say(HELP);
      else if (!await this.#say(line)) break;
    }
    input.interrupted(undefined);
    if (input.interactive) io.say(`to go on: rambo agent chat -n ${this.#p.namespace} ${this.#p.agent} -c ${this.#p.conversation}`);
  }

  /** A whole turn of a person: lines that end with a backslash go on. */
  async #line(): Promise<string | undefined> {
    const { input } = this.#p;
    const first = await this.#asked('> ');
    if (!input.interactive) return first;
    let text = first;
    while (text?.endsWith('\\') === true) {
      const more = await this.#asked('. ');
      text = more === undefined ? text.slice(0, -1) : `${text.slice(0, -1)}\n${more}`;
    }
    return text;
  }

  /** A line, or undefined once somebody leaves. */
  #asked(prompt: string): Promise<string | undefined> {
    const { signal } = this.#leave;
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const left = (): void => { resolve(undefined); };
      signal.addEventListener('abort', left, { once: true });
      this.#p.input.line(prompt).then(resolve, reject).finally(() => { signal.removeEventListener('abort', left); });
    });
  }

  /** One turn; false when nothing more can be said. */
  async #say(line: string): Promise<boolean> {
    const { io, input, json } = this.#p;
    try {
      const turn = await this.#take(line);
      if (turn === undefined) return false;
      if (json) await this.#printJson(turn);
      if (turn.end.phase === 'Succeeded') {
        if (input.interactive && !json) await this.#sayCost(turn);
        return !this.#leave.signal.aborted;
      }
      io.say(endText(turn.end));
    } catch (error) {
      // A person reads it and says something else; a program is told by the code.
      if (!input.interactive || !(error instanceof CliError)) throw error;
      io.say(`rambo: ${error.message}`);
      return true;
    }
    if (input.interactive) return !this.#leave.signal.aborted;
    if (!this.#stopped) io.exit(EXIT_FAILED);
    return false;
  }

  async #take(line: string): Promise<Turn | undefined> {
    const { io, input, caller, namespace, agent, conversation, json } = this.#p;
    const started = await startAgent(caller, { namespace, agent, input: line, conversation });
    this.#turn = { started, stopping: false };
    try {
      if (!await appeared(caller, started, this.#leave.signal)) return undefined;
      const writer = new AnswerWriter((text) => { io.print(text); }, input.interactive && !json);
      const end = await toItsEnd(caller, started.id, (news) => this.#hear(started, writer, news), this.#leave.signal);
      if (end !== undefined && !json) writer.end(end.phase === 'Succeeded' ? end.output : undefined);
      return end === undefined ? undefined : { started, end };
    } finally {
      this.#turn = undefined;
    }
  }

  async #hear(started: Started, writer: AnswerWriter, news: News): Promise<void> {
    const { io, input, json } = this.#p;
    writer.hear(news);
    const line = said(news, started.id, false);
    if (line === undefined) return;
    writer.pause();
    io.say(line);
    if (news.kind !== 'event' || news.event.kind !== 'ApprovalRequested' || !input.interactive || json) return;
    const of = approvalSchema.safeParse(news.event.payload);
    if (of.success) await this.#ask(of.data.approval);
  }

  /** Shows a call that waits, and asks whether it is to be made. Whoever may not decide is told so, and the turn goes on waiting. */
  async #ask(id: string): Promise<void> {
    const { io, caller: { door, pause } } = this.#p;
    const approval = await approvalOf(door, id, pause);
    if (approval.state !== 'Pending') return;
    showApproval(io, approval);
    const answer = (await this.#asked('make this call? [y]es, [n]o, anything else leaves it to somebody: '))?.trim().toLowerCase() ?? '';
    const decision = ['y', 'yes'].includes(answer) ? 'Approve' as const : ['n', 'no'].includes(answer) ? 'Reject' as const : undefined;
    if (decision === undefined) io.say('left open; Ctrl-C stops the turn');
    else {
      await decide(door, approval, { decision }, pause).catch((error: unknown) => {
        if (!(error instanceof CliError)) throw error;
        io.say(`rambo: ${error.message}`);
      });
    }
  }

  #interrupt(): void {
    const { io, caller } = this.#p;
    const turn = this.#turn;
    if (turn === undefined || turn.stopping) {
      if (turn !== undefined) io.say(`left; agent run ${turn.started.id}`);
      io.exit(EXIT_INTERRUPTED);
      this.#leave.abort();
      return;
    }
    turn.stopping = true;
    io.say('stopping the turn; Ctrl-C again leaves at once');
    if (!this.#p.input.interactive) {
      this.#stopped = true;
      io.exit(EXIT_INTERRUPTED);
    }
    cancelRun(caller, turn.started.runId).catch((error: unknown) => { io.say(`rambo: it could not be stopped: ${error instanceof Error ? error.message : String(error)}`); });
  }

  async #totals({ started }: Turn): Promise<z.output<typeof totalsSchema>> {
    const { door, pause } = this.#p.caller;
    return totalsSchema.parse(await call(door, { method: 'GET', path: `/api/v1/agent-runs/${encodeURIComponent(started.id)}`, headers: {} }, pause));
  }

  async #sayCost(turn: Turn): Promise<void> {
    const { inputTokens, outputTokens, costUsd, modelCalls, toolCalls } = await this.#totals(turn);
    this.#p.io.say(`  (${modelCalls} model, ${toolCalls} tool calls, ${inputTokens} + ${outputTokens} tokens, ${costUsd} USD, agent run ${turn.started.id})`);
  }

  async #printJson(turn: Turn): Promise<void> {
    const { started, end: { phase, reason, message, output } } = turn;
    const { inputTokens, outputTokens, costUsd, modelCalls, toolCalls } = await this.#totals(turn);
    this.#p.io.print(`${JSON.stringify({
      conversation: this.#p.conversation, agentRunId: started.id, runId: started.runId, phase, ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }), output: output ?? null,
      modelCalls, toolCalls, inputTokens, outputTokens, costUsd,
    })}\n`);
  }
}
