import { textOf, type Due, type PromptMessage, type Turn } from './script.ts';

/** The body of a request. */
export interface ModelRequest extends Readonly<Record<string, unknown>> {
  readonly model: string;
  readonly stream?: boolean;
}

/** An error as it is answered. */
export interface WireError {
  readonly status: number;
  readonly message: string;
  /** Code, or type where the API knows no codes. */
  readonly code?: string | undefined;
}

/** How one API says what a script answers. */
export interface Wire {
  readonly name: 'openai' | 'anthropic';
  /** What its server would refuse in a request. */
  problem(body: ModelRequest): WireError | undefined;
  /** The prompt in the terms of scripts. */
  prompt(body: ModelRequest): readonly PromptMessage[];
  whole(n: number, due: Due, body: ModelRequest): object;
  /** The answer as frames of server-sent events. */
  frames(n: number, due: Due, body: ModelRequest): readonly string[];
  /** A piece of text as a frame. */
  text(n: number, text: string): string;
  error(error: WireError): object;
  /** An error as a frame in the middle of an answer. */
  errorFrame(error: WireError): string;
  /** The list of models. */
  models(names: readonly string[]): object;
}

/** The text of a turn. */
export function answerText(turn: Turn): string {
  return turn.json === undefined ? turn.text ?? '' : JSON.stringify(turn.json);
}

/** Arguments of a tool call as text; a text is sent as it is. */
export function argumentsText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A text in pieces of the turn's size. */
export function pieces(turn: Turn, text: string): readonly string[] {
  return text.match(new RegExp(`[\\s\\S]{1,${turn.chunk}}`, 'g')) ?? [];
}

/** What is counted of a turn. */
export interface Counted { readonly input: number; readonly output: number; readonly cached: number; readonly cacheWrite: number; readonly reasoning: number }

/** Tokens of a turn: as the script says, else by characters. Undefined where it says nothing of usage. */
export function counted(turn: Turn, prompt: readonly PromptMessage[]): Counted | undefined {
  if (turn.usage === false) return undefined;
  const input = Math.ceil(prompt.reduce((sum, message) => sum + textOf(message.content).length + JSON.stringify(message.tool_calls ?? '').length, 0) / 4);
  const output = Math.max(1, Math.ceil((answerText(turn).length + JSON.stringify(turn.tools).length) / 4));
  return turn.usage ?? { input, output, cached: 0, cacheWrite: 0, reasoning: 0 };
}
