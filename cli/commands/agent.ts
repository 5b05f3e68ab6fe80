import { Command, Option } from 'commander';
import { z } from 'zod';
import { sleep } from '../../platform/clock/index.ts';
import { systemIds } from '../../platform/ids/index.ts';
import { call } from '../api/call.ts';
import type { Door } from '../api/call.ts';
import { doorOf, readText, withDoor } from '../api/door.ts';
import type { DoorOptions } from '../api/door.ts';
import { follow } from '../api/events.ts';
import type { News } from '../api/events.ts';
import { CliError, EXIT_FAILED } from '../errors.ts';
import { prose, type Io } from '../io/io.ts';
import { plain, plainJson } from '../io/plain.ts';

const startedSchema = z.looseObject({ id: z.string(), runId: z.string() });
const runSchema = z.looseObject({ phase: z.string(), failures: z.array(z.looseObject({ reason: z.string(), message: z.string() })).default([]) });
const endSchema = z.looseObject({ phase: z.string(), reason: z.string().optional(), message: z.string().optional(), output: z.unknown().optional() });
const FINAL = ['Succeeded', 'Failed', 'Cancelled'];
/** Until a runner has it, an agent run is not there; asked again after so long. */
const APPEAR_MS = 300;

interface RunOptions extends DoorOptions { readonly namespace: string; readonly input?: string; readonly conversation?: string; readonly detach?: boolean }
interface EventsOptions extends DoorOptions { readonly from: string; readonly deltas?: boolean }

/** `rambo agent`: starts agents and watches them. */
export function agentCommand(io: Io): Command {
  return new Command('agent').summary('start an agent and watch what it does; go on with a conversation')
    .description('Starts agents and watches them. What else there is of agents: rambo api agentRuns, agentSteps, agentConversations, settleAgentDoubt, raiseAgentBudget.')
    .helpCommand('help [command]', 'explain a command').addCommand(runCommand(io)).addCommand(eventsCommand(io));
}

function runCommand(io: Io): Command {
  return withDoor(new Command('run').argument('<agent>', 'name of the Agent').argument('[input]', 'what to give it; @file reads it from a file, @- from standard input'))
    .summary('start an agent, show what it says, give its output')
    .description(prose(`Starts an agent and waits for its end: its output goes to standard output, what it does meanwhile to standard error.

With --conversation it goes on where an earlier call with the same name ended. A call that waits for a person is shown with its id: rambo approve <id> decides it, and this goes on.`))
    .addOption(new Option('-n, --namespace <namespace>', 'its namespace').makeOptionMandatory())
    .addOption(new Option('-c, --conversation <name>', 'go on with this conversation, or begin it: a name of your own, or an id'))
    .addOption(new Option('--detach', 'give the ids and do not wait'))
    .addHelpText('after', `
Examples:
  rambo agent run -n support triage 'Where is parcel 4711?'
  rambo agent run -n support triage -c monday 'And the other one?'`)
    .action(async (agent: string, input: string | undefined, options: RunOptions) => {
      const door = doorOf(options);
      const pause = (ms: number): Promise<void> => sleep(io.clock, ms);
      const given = input?.startsWith('@') === true ? readText(input.slice(1)) : input;
      const body = { namespace: options.namespace, agent, ...(given === undefined ? {} : { input: given }), ...(options.conversation === undefined ? {} : { conversation: options.conversation }) };
      const started = startedSchema.parse(await call(door, {
        method: 'POST', path: '/api/v1/agent-runs', headers: { 'content-type': 'application/json', 'idempotency-key': systemIds.uuid() }, body: JSON.stringify(body),
      }, pause));
      if (options.detach === true) {
        io.print(`${plainJson(started)}\n`);
        return;
      }
      io.say(`agent run ${started.id}`);
      await appeared(door, started, pause);
      await watch(io, door, started.id, pause);
    });
}

function eventsCommand(io: Io): Command {
  return withDoor(new Command('events').argument('<agent-run>', 'its id'))
    .summary('give the journal of an agent run as it grows, an event a line').description('Gives every event once, as JSON, until the run ends. A stream that is cut is gone on with.')
    .addOption(new Option('--from <seq>', 'the first event wanted').default('1')).addOption(new Option('--deltas', 'pieces of answers too, which no journal has'))
    .action(async (agentRun: string, options: EventsOptions) => {
      if (!/^[1-9]\d{0,9}$/.test(options.from)) throw new CliError('Usage', `--from: ${options.from} is no number of an event`);
      for await (const news of follow(doorOf(options), agentRun, Number(options.from), (ms) => sleep(io.clock, ms))) {
        if (news.kind === 'event') io.print(`${JSON.stringify(news.event)}\n`);
        else if (options.deltas === true) io.print(`${JSON.stringify({ delta: news.delta })}\n`);
      }
    });
}

/** Waits until a runner has begun it. Throws CliError where the run around it has ended before. */
async function appeared(door: Door, { id, runId }: { readonly id: string; readonly runId: string }, pause: (ms: number) => Promise<void>): Promise<void> {
  for (;;) {
    const there = await call(door, { method: 'GET', path: `/api/v1/agent-runs/${encodeURIComponent(id)}`, headers: {} }, pause).then(() => true, (error: unknown) => {
      if (error instanceof CliError && error.code === 'NOT_FOUND') return false;
      throw error;
    });
    if (there) return;
    const { phase, failures } = runSchema.parse(await call(door, { method: 'GET', path: `/api/v1/runs/${encodeURIComponent(runId)}`, headers: {} }, pause));
    if (FINAL.includes(phase)) throw new CliError('RunEnded', `run ${runId} has ended before the agent began: ${phase}${failures.map(({ reason, message }) => `\n  ${reason}: ${plain(message)}`).join('')}`);
    await pause(APPEAR_MS);
  }
}

/** Shows what an agent run does; its output is the answer. */
async function watch(io: Io, door: Door, agentRun: string, pause: (ms: number) => Promise<void>): Promise<void> {
  for await (const news of follow(door, agentRun, 1, pause)) {
    const line = said(news);
    if (line !== undefined) io.say(line);
    if (news.kind !== 'event' || news.event.kind !== 'RunCompleted') continue;
    const { phase, reason, message, output } = endSchema.parse(news.event.payload);
    if (phase === 'Succeeded') io.print(typeof output === 'string' ? `${plain(output)}\n` : `${plainJson(output)}\n`);
    else {
      io.say(`${phase}${reason === undefined ? '' : ` (${reason})`}${message === undefined ? '' : `: ${plain(message)}`}`);
      io.exit(EXIT_FAILED);
    }
  }
}

const callsSchema = z.looseObject({ tool: z.string().default(''), arguments: z.string().default(''), callId: z.string().default(''), approval: z.string().default(''), input: z.string().default(''), text: z.string().default(''), isError: z.boolean().default(false), message: z.string().default('') });

/** What is said of an event while it goes on; of most nothing. */
function said(news: News): string | undefined {
  if (news.kind === 'delta') return undefined;
  const of = callsSchema.safeParse(news.event.payload);
  if (!of.success) return undefined;
  const { tool, arguments: args, callId, approval, input, text, isError, message } = of.data;
  switch (news.event.kind) {
    case 'ModelCompleted': return text === '' ? undefined : `  ${plain(text).replaceAll('\n', '\n  ')}`;
    case 'ToolRequested': return `> ${plain(tool)} ${plain(args).slice(0, 500)}`;
    case 'ToolCompleted': return `< ${plain(tool)}${isError ? ' failed' : ''}: ${plain(text).slice(0, 200).replaceAll('\n', ' ')}`;
    case 'ApprovalRequested': return `? ${plain(tool)} waits for a person: rambo approve ${plain(approval)}`;
    case 'InputRequested': return `? ${plain(tool)} asks a person: rambo answer ${plain(input)}`;
    case 'ToolInDoubt': return `? nobody knows whether ${plain(tool)} happened: rambo api settleAgentDoubt --call-id ${plain(callId)} (${plain(message)})`;
    case 'BudgetExceeded': return `! ${plain(message)}`;
    default: return undefined;
  }
}
