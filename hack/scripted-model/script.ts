import { createHash } from 'node:crypto';
import { z } from 'zod';

/*
 * What the scripted model answers: a function of the prompt alone, so the same question always gets the same answer. A script is a list of
 * turns; which one is due follows from the conversation, not from a counter, so a repeated or replayed request changes nothing.
 */

/** A failure on command. `times`: only the first so many requests with this very prompt (default: all). `models`: only when these are asked. */
const failureSchema = z.strictObject({
  kind: z.enum(['status', 'hang', 'hangAfter', 'cut', 'garbage', 'streamError', 'flood']),
  /** Of kinds `status` and `streamError` (an error in the middle of an answer whose status was 200). */
  status: z.int().min(300).max(599).default(500),
  /** Of the same kinds: the error's code, or its type where the API knows no codes: `insufficient_quota`. */
  code: z.string().optional(),
  /** Seconds, sent as `Retry-After`. */
  retryAfter: z.number().min(0).optional(),
  /** Of kinds `cut`, `hangAfter` and `streamError`: frames of the stream that are still sent, the last ones (finish, usage) counted too. */
  after: z.int().min(0).default(1),
  /** Of kind `flood`: bytes of text that come and come. */
  bytes: z.int().min(1).default(33_554_432),
  times: z.int().min(1).optional(),
  models: z.array(z.string()).optional(),
});

/** One answer. `{{last}}` in texts and arguments is the last message of the prompt, `{{turn}}` the number of the turn. */
const turnSchema = z.strictObject({
  text: z.string().optional(),
  /** Sent as the text, as JSON. */
  json: z.unknown().optional(),
  reasoning: z.string().optional(),
  /** `arguments` as a text is sent as it is, so it can be malformed. */
  tools: z.array(z.strictObject({ name: z.string(), arguments: z.unknown().default({}), id: z.string().optional() })).default([]),
  /** Absent: counted by characters; false: the answer says nothing of usage. `input` counts what was read from and written to a cache too, `output` the reasoning. */
  usage: z.union([z.literal(false), z.strictObject({ input: z.int(), output: z.int(), cached: z.int().default(0), cacheWrite: z.int().default(0), reasoning: z.int().default(0) })]).optional(),
  finish: z.string().optional(),
  /** Milliseconds before the first byte, and between chunks. */
  delayMs: z.int().min(0).default(0),
  chunkMs: z.int().min(0).default(0),
  /** Characters per chunk of text. */
  chunk: z.int().min(1).default(12),
  /** The same turn again for ever: a runaway model. */
  repeat: z.boolean().default(false),
  fail: failureSchema.optional(),
});

/** A script: turns, and what a request to summarise the conversation is answered with. */
export const scriptSchema = z.union([
  z.array(turnSchema).min(1).transform((turns) => ({ turns, summary: undefined })),
  z.strictObject({ turns: z.array(turnSchema).min(1), summary: z.string().optional() }),
]);

/** A script as its author writes it. */
export type ScriptInput = z.input<typeof scriptSchema>;
/** A script. */
export type Script = z.output<typeof scriptSchema>;
/** One of its answers. */
export type Turn = z.output<typeof turnSchema>;

/** A message of a prompt, as far as scripts read it: OpenAI's shape, whatever API was spoken. */
export interface PromptMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly tool_calls?: readonly { readonly id?: string }[] | undefined;
  readonly tool_call_id?: string | undefined;
}

/** What is to be answered, and the key by which requests with the same prompt are counted. */
export interface Due {
  readonly turn: Turn;
  readonly number: number;
  readonly scenario: string | undefined;
  readonly key: string;
}

const INLINE = /\[\[script:\s*([\s\S]*?)\s*\]\](?!\])/g;
const NAMED = /\[\[scenario:\s*([\w./-]+)\s*\]\]/g;

/**
 * The answer that is due. A script is named by the model (`scripted/NAME`) or by the last `[[scenario: NAME]]` in a prompt, or is there itself
 * as `[[script: JSON]]`. Without one the model echoes. Throws where a script is malformed or a scenario unknown.
 */
export function dueTurn(model: string, messages: readonly PromptMessage[], scenarios: ReadonlyMap<string, Script>): Due {
  const key = createHash('sha256').update(JSON.stringify([model, messages])).digest('hex');
  const found = findScript(model, messages, scenarios);
  if (found === undefined) return { turn: plain(`You said: ${lastText(messages)}`), number: 1, scenario: undefined, key };
  const { script, scenario, from } = found;
  if (script.summary !== undefined && /summari[sz]e/i.test(textOf(messages.at(-1)?.content))) return { turn: plain(script.summary), number: 0, scenario, key };
  const number = turnNumber(messages, from);
  const last = script.turns.at(-1);
  const turn = script.turns[number - 1] ?? (last?.repeat === true ? last : plain('The script has ended.'));
  return { turn: filled(turn, lastText(messages), number), number, scenario, key };
}

interface Found {
  readonly script: Script;
  readonly scenario: string | undefined;
  /** Index of the message that brought it: turns count from there. */
  readonly from: number;
}

function findScript(model: string, messages: readonly PromptMessage[], scenarios: ReadonlyMap<string, Script>): Found | undefined {
  for (let at = messages.length - 1; at >= 0; at--) {
    const { role, content } = messages[at] ?? { role: '' };
    if (role !== 'user' && role !== 'system' && role !== 'developer') continue;
    const text = textOf(content);
    const inline = [...text.matchAll(INLINE)].at(-1)?.[1];
    if (inline !== undefined) return { script: scriptSchema.parse(JSON.parse(inline)), scenario: undefined, from: at };
    const named = [...text.matchAll(NAMED)].at(-1)?.[1];
    if (named !== undefined) return { script: known(named, scenarios), scenario: named, from: at };
  }
  const name = model.startsWith('scripted/') ? model.slice('scripted/'.length) : undefined;
  return name === undefined ? undefined : { script: known(name, scenarios), scenario: name, from: 0 };
}

function known(name: string, scenarios: ReadonlyMap<string, Script>): Script {
  const script = scenarios.get(name);
  if (script === undefined) throw new Error(`no scenario ${JSON.stringify(name)} is registered`);
  return script;
}

/**
 * Which answer comes next. RamBo's tool-call ids (`s<step>c<n>`) say how many steps there were even where older messages have been replaced
 * by a summary; otherwise answers since the script appeared are counted.
 */
function turnNumber(messages: readonly PromptMessage[], from: number): number {
  let turn = 0;
  for (const [at, message] of messages.entries()) {
    if (message.role !== 'assistant') continue;
    const step = Math.max(0, ...(message.tool_calls ?? []).map(({ id }) => Number(/^s(\d+)c\d+$/.exec(id ?? '')?.[1] ?? 0)));
    if (step > 0) turn = Math.max(turn, step);
    else if (at > from) turn += 1;
  }
  return turn + 1;
}

function filled(turn: Turn, last: string, number: number): Turn {
  const fill = (text: string): string => text.replaceAll(/\{\{(last|turn)\}\}/g, (_, name) => (name === 'last' ? last : String(number)));
  const inJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value), (_key, part: unknown) => (typeof part === 'string' ? fill(part) : part));
  return {
    ...turn, ...(turn.text === undefined ? {} : { text: fill(turn.text) }),
    tools: turn.tools.map((tool) => ({ ...tool, arguments: typeof tool.arguments === 'string' ? fill(tool.arguments) : inJson(tool.arguments) })),
  };
}

function plain(text: string): Turn {
  return turnSchema.parse({ text });
}

function lastText(messages: readonly PromptMessage[]): string {
  return textOf(messages.at(-1)?.content).replaceAll(INLINE, '').replaceAll(NAMED, '').trim();
}

/** Text of a message's content, which is a text or a list of parts. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return Array.isArray(content) ? content.map((part: { text?: unknown }) => (typeof part.text === 'string' ? part.text : '')).join('') : '';
}
