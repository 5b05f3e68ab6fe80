import { Command, Option } from 'commander';
import { sleep } from '../../platform/clock/index.ts';
import openapi from '../../docs/openapi.json' with { type: 'json' };
import { call, everyItem, requestOf, type ApiRequest } from '../api/call.ts';
import { doorOf, readText, withDoor, type DoorOptions } from '../api/door.ts';
import { tableOf } from '../api/table.ts';
import { flagOf, placeholderOf, valueOf } from '../api/values.ts';
import { readVerbs, type Verb, type VerbField } from '../api/verbs.ts';
import { prose, type Io } from '../io/io.ts';

const { base, verbs } = readVerbs(openapi);

/** `rambo api`: every verb of the API. */
export function apiCommand(io: Io): Command {
  const command = new Command('api')
    .summary('call the API: projects, tasks, workflows, runs and the rest of its verbs')
    .description(prose(`Every verb of the API as a command, with its fields as flags. Answers are JSON; lists can be tables.

Who calls is said by a token: an access token (rambo api createAccessToken), a token of a sign-in, or a Kubernetes token for the audience of the API.`))
    .helpCommand('help [verb]', 'explain a verb')
    .addHelpText('after', `
Environment: RAMBO_API_URL, where the API is; RAMBO_TOKEN, or RAMBO_TOKEN_FILE, the file it lies in.

Values: @file reads a value from a file, @- from standard input; null clears what may be empty; a list takes its flag several times.

Examples:
  rambo api projects -o table
  rambo api createTask --project-id <id> --title 'Write the tests' --idempotency-key $(uuidgen)
  rambo api tasks --project-id <id> --status TO_DO --all | jq -r '.[].title'`);
  for (const verb of verbs) command.addCommand(verbCommand(io, verb));
  // Each verb goes by the name of its flags' kind too (create-task): the list shows one of the two.
  command.configureHelp({ subcommandTerm: (verb) => `${verb.name()} ${verb.options.length > 0 ? '[options]' : ''}`.trimEnd() });
  return command;
}

interface CommonOptions extends DoorOptions { readonly output?: string; readonly all?: boolean }

function verbCommand(io: Io, verb: Verb): Command {
  const other = flagOf(verb.name).slice(2);
  const command = new Command(verb.name).summary(verb.summary).description(`${verb.summary}\n\n${verb.description}\n\n${verb.method} ${base}${verb.path}`);
  if (other !== verb.name) command.alias(other);
  for (const field of verb.fields) command.addOption(fieldOption(field));
  if (verb.pages) command.addOption(new Option('--all', 'all pages, as one list'));
  command.addOption(new Option('-o, --output <form>', 'form of the answer').choices(['json', 'table']).default('json'));
  return withDoor(command).action(async (options: CommonOptions & Readonly<Record<string, unknown>>) => {
    const door = await doorOf(options);
    const values = valuesOf(verb, options);
    const pause = (ms: number): Promise<void> => sleep(io.clock, ms);
    const request = (more: readonly (readonly [string, unknown])[] = []): ApiRequest => requestOf(base, verb, new Map([...values, ...more]));
    const answer = options.all === true
      ? await everyItem(door, request(), (cursor) => request([['after', cursor]]), pause)
      : await call(door, request(), pause);
    io.print(options.output === 'table' ? tableOf(itemsOf(answer)) : `${JSON.stringify(answer ?? null, null, 2)}\n`);
  });
}

function fieldOption({ name, required, description, schema }: VerbField): Option {
  const option = new Option(`${flagOf(name)} ${placeholderOf(schema)}`, `${required ? '(needed) ' : ''}${description}`);
  // Every value is a text here: what it becomes is settled in one place. A flag may come again, but not swallow what follows it.
  option.variadic = false;
  return option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
}

function valuesOf(verb: Verb, options: Readonly<Record<string, unknown>>): ReadonlyMap<string, unknown> {
  const given = verb.fields.flatMap((field): readonly (readonly [VerbField, readonly string[]])[] => {
    const texts: unknown = options[new Option(flagOf(field.name)).attributeName()];
    return Array.isArray(texts) ? [[field, texts.map(String)]] : [];
  });
  return new Map(given.map(([field, texts]) => [field.name, valueOf(field, texts, readText)]));
}

function itemsOf(answer: unknown): readonly unknown[] {
  const items: unknown = typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'items') : undefined;
  if (Array.isArray(answer)) return answer;
  return Array.isArray(items) ? items : [answer];
}
