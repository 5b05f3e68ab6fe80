import { Command, Option } from 'commander';
import { sleep } from '../../platform/clock/index.ts';
import { appeared, endText, startAgent, toItsEnd } from '../agent/turn.ts';
import { said } from '../agent/words.ts';
import { doorOf, readText, withDoor } from '../api/door.ts';
import type { DoorOptions } from '../api/door.ts';
import { follow } from '../api/events.ts';
import { jsonOrUndefined } from '../api/json.ts';
import { CliError, EXIT_FAILED } from '../errors.ts';
import { prose, type Io } from '../io/io.ts';
import { plain, plainJson } from '../io/plain.ts';
import { chatCommand } from './agent-chat.ts';
import { runsCommand, showCommand, stepsCommand } from './agent-look.ts';

interface RunOptions extends DoorOptions { readonly namespace: string; readonly input?: string; readonly conversation?: string; readonly json?: boolean; readonly detach?: boolean }
interface EventsOptions extends DoorOptions { readonly from: string; readonly deltas?: boolean }

/** `rambo agent`: starts agents, talks to them and watches them. */
export function agentCommand(io: Io): Command {
  return new Command('agent').summary('start an agent, talk to it, see what it does and what it costs')
    .description('Starts agents, talks to them and watches them. What else there is of agents: rambo approve, and rambo api agentConversations, agentDoubts, settleAgentDoubt, raiseAgentBudget, replayAgentRun.')
    .helpCommand('help [command]', 'explain a command')
    .addCommand(runCommand(io)).addCommand(chatCommand(io)).addCommand(eventsCommand(io)).addCommand(runsCommand(io)).addCommand(showCommand(io)).addCommand(stepsCommand(io));
}

function runCommand(io: Io): Command {
  return withDoor(new Command('run').argument('<agent>', 'name of the Agent').argument('[input]', 'what to give it; @file reads it from a file, @- from standard input'))
    .summary('start an agent, show what it says, give its output')
    .description(prose(`Starts an agent and waits for its end: its output goes to standard output, what it does meanwhile to standard error.

With --conversation it goes on where an earlier call with the same name ended. A call that waits for a person is shown with its id: rambo approve <id> decides it, and this goes on. Ctrl-C leaves; the run goes on.`))
    .addOption(new Option('-n, --namespace <namespace>', 'its namespace').makeOptionMandatory())
    .addOption(new Option('-c, --conversation <name>', 'go on with this conversation, or begin it: a name of your own, or an id'))
    .addOption(new Option('--json', 'the input is JSON, for an Agent whose inputSchema wants more than a text'))
    .addOption(new Option('--detach', 'give the ids and do not wait'))
    .addHelpText('after', `
Examples:
  rambo agent run -n support triage 'Where is parcel 4711?'
  rambo agent run -n support triage -c monday 'And the other one?'
  rambo agent run -n default refund-desk --json '{"order": "A-1042"}'`)
    .action(async (agent: string, input: string | undefined, options: RunOptions) => {
      const caller = { door: await doorOf(options), pause: (ms: number) => sleep(io.clock, ms) };
      const text = input?.startsWith('@') === true ? readText(input.slice(1)) : input;
      const given = options.json === true ? jsonOrUndefined(text ?? '') : text;
      if (options.json === true && given === undefined) throw new CliError('Usage', '--json: the input is no JSON');
      const started = await startAgent(caller, { namespace: options.namespace, agent, ...(given === undefined ? {} : { input: given }), ...(options.conversation === undefined ? {} : { conversation: options.conversation }) });
      if (options.detach === true) {
        io.print(`${plainJson(started)}\n`);
        return;
      }
      io.say(`agent run ${started.id}`);
      await appeared(caller, started);
      const end = await toItsEnd(caller, started.id, (news) => {
        const line = said(news, started.id);
        if (line !== undefined) io.say(line);
      });
      if (end === undefined) return;
      if (end.phase === 'Succeeded') io.print(typeof end.output === 'string' ? `${plain(end.output)}\n` : `${plainJson(end.output)}\n`);
      else {
        io.say(endText(end));
        io.exit(EXIT_FAILED);
      }
    });
}

function eventsCommand(io: Io): Command {
  return withDoor(new Command('events').argument('<agent-run>', 'its id'))
    .summary('give the journal of an agent run as it grows, an event a line').description('Gives every event once, as JSON, until the run ends. A stream that is cut is gone on with.')
    .addOption(new Option('--from <seq>', 'the first event wanted').default('1')).addOption(new Option('--deltas', 'pieces of answers too, which no journal has'))
    .action(async (agentRun: string, options: EventsOptions) => {
      if (!/^[1-9]\d{0,9}$/.test(options.from)) throw new CliError('Usage', `--from: ${options.from} is no number of an event`);
      for await (const news of follow(await doorOf(options), agentRun, Number(options.from), (ms) => sleep(io.clock, ms))) {
        if (news.kind === 'event') io.print(`${JSON.stringify(news.event)}\n`);
        else if (options.deltas === true) io.print(`${JSON.stringify({ delta: news.delta })}\n`);
      }
    });
}
