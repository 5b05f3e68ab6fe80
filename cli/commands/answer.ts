import { Command, Option } from 'commander';
import { z } from 'zod';
import { sleep } from '../../platform/clock/index.ts';
import { call } from '../api/call.ts';
import type { Door } from '../api/call.ts';
import { doorOf, withDoor } from '../api/door.ts';
import type { DoorOptions } from '../api/door.ts';
import { CliError } from '../errors.ts';
import { sayFacts, sayJson } from '../io/facts.ts';
import { prose, type Io } from '../io/io.ts';
import { plain, plainJson } from '../io/plain.ts';
import { demandHash, jsonGiven } from './decision.ts';

const inputSchema = z.looseObject({
  id: z.string(), agentRunId: z.string(), namespace: z.string(), tool: z.string(), round: z.number(), hash: z.string(), questions: z.array(z.looseObject({ key: z.string(), message: z.string(), schema: z.unknown() })),
  answerers: z.array(z.string()), state: z.string(), expiresAt: z.string(), answeredBy: z.string().nullable(),
});
type Input = z.output<typeof inputSchema>;

interface AnswerOptions extends DoorOptions { readonly hash?: string; readonly content?: string; readonly answers?: string; readonly decline?: boolean; readonly cancel?: boolean }

/** `rambo answer`: looks at what a tool asks a person, and answers it. */
export function answerCommand(io: Io): Command {
  return withDoor(new Command('answer').argument('<input>', 'its id: rambo api agentInputs --namespace <namespace> -o table lists them'))
    .summary('look at what a tool asks in the middle of a call, and answer it')
    .description(prose(`Shows what a tool asks a person before it goes on: its questions, their forms, the hash. With --hash it answers.

The answer is bound to the hash: when something else is asked by now, nothing is answered. What is asked was written by the tool: never give it passwords or keys.`))
    .addOption(new Option('--hash <hash>', 'answer exactly this: the hash that was shown, or its first 8 digits or more'))
    .addOption(new Option('--content <json>', 'accept, with this content for the one question; @file reads it from a file').conflicts(['answers', 'decline', 'cancel']))
    .addOption(new Option('--answers <json>', 'each question by its key, {"action": ..., "content": ...}; @file reads it from a file').conflicts(['decline', 'cancel']))
    .addOption(new Option('--decline', 'say no to all of it').conflicts('cancel'))
    .addOption(new Option('--cancel', 'dismiss all of it without a choice'))
    .addHelpText('after', `
Examples:
  kubectl rambo answer <id>
  kubectl rambo answer <id> --hash 3fa4c9d1 --content '{"seats": 4}'
  rambo answer <id> --hash 3fa4c9d1 --decline`)
    .action(async (id: string, options: AnswerOptions) => {
      const door = await doorOf(options);
      const pause = (ms: number): Promise<void> => sleep(io.clock, ms);
      const input = inputSchema.parse(await call(door, { method: 'GET', path: pathOf(id), headers: {} }, pause));
      show(io, input);
      if (options.hash === undefined) {
        if (input.state === 'Pending') io.say(`To answer: rambo answer ${input.id} --hash ${input.hash.slice(0, 12)} --content '{...}' | --decline | --cancel`);
        return;
      }
      io.print(`${plainJson(await answer(door, input, options.hash, options, pause))}\n`);
    });
}

function pathOf(id: string): string {
  return `/api/v1/agent-inputs/${encodeURIComponent(id)}`;
}

function show(io: Io, { tool, namespace, agentRunId, round, questions, hash, answerers, state, expiresAt, answeredBy }: Input): void {
  const facts: readonly (readonly [string, string])[] = [
    ['tool', tool], ['agent run', `${agentRunId} in ${namespace}`], ['round', String(round)], ['state', answeredBy === null ? `${state}, until ${expiresAt}` : `${state} by ${answeredBy}`],
    ...(answerers.length === 0 ? [] : [['answerers', answerers.join(', ')] as const]), ['hash', hash],
  ];
  sayFacts(io, facts);
  for (const { key, message, schema } of questions) {
    io.say(`${plain(key)}: ${plain(message)}`);
    sayJson(io, schema);
  }
}

async function answer(door: Door, input: Input, hash: string, options: AnswerOptions, pause: (ms: number) => Promise<void>): Promise<unknown> {
  demandHash(hash, input.hash, 'what is asked', 'answered');
  const body = JSON.stringify({ hash: input.hash, answers: answersOf(input, options) });
  return call(door, { method: 'POST', path: `${pathOf(input.id)}/answer`, headers: { 'content-type': 'application/json' }, body }, pause);
}

function answersOf({ questions }: Input, { content, answers, decline, cancel }: AnswerOptions): unknown {
  if (answers !== undefined) return jsonGiven('--answers', answers);
  if (decline === true || cancel === true) return Object.fromEntries(questions.map(({ key }) => [key, { action: decline === true ? 'decline' : 'cancel' }]));
  if (content === undefined) throw new CliError('Usage', 'give --content, --answers, --decline or --cancel');
  const [only, ...others] = questions;
  if (only === undefined || others.length > 0) throw new CliError('Usage', `--content answers one question, and there are ${questions.length}: use --answers`);
  return { [only.key]: { action: 'accept', content: jsonGiven('--content', content) } };
}
