import { Command, Option } from 'commander';
import { sleep } from '../../platform/clock/index.ts';
import { systemIds } from '../../platform/ids/index.ts';
import { Chat } from '../agent/chat.ts';
import { doorOf, withDoor } from '../api/door.ts';
import type { DoorOptions } from '../api/door.ts';
import { CliError } from '../errors.ts';
import { prose, type Io } from '../io/io.ts';

interface ChatOptions extends DoorOptions { readonly namespace: string; readonly conversation?: string; readonly output: string }

/** `rambo agent chat`: a conversation, turn by turn. */
export function chatCommand(io: Io): Command {
  return withDoor(new Command('chat').argument('<agent>', 'name of the Agent'))
    .summary('talk to an agent, turn by turn; it goes on tomorrow')
    .description(prose(`Talks to an agent. Each line is a turn, and a turn is a run: it survives the loss of its pod, is paid from the budgets, and is there tomorrow (--conversation).

In a terminal, answers come as the model gives them, calls of tools are shown, and where a call waits for a person you are shown its arguments and asked. A line that ends with \\ goes on with the next one. /help shows what else there is; /quit or Ctrl-D leaves.

Ctrl-C stops the turn under way: its run is cancelled, and you can say something else. Ctrl-C again leaves at once, and so it does at the prompt. Closing the terminal stops nothing: the run goes on, and --conversation finds its answer.

Without a terminal every line of standard input is a turn, and every answer one line or more of standard output; with --output json exactly one line, with ids, phase, tokens and cost. The first turn that fails ends it with code 1.`))
    .addOption(new Option('-n, --namespace <namespace>', 'its namespace').makeOptionMandatory())
    .addOption(new Option('-c, --conversation <name>', 'go on with this conversation, or begin it: a name of your own, or an id; a new one when absent'))
    .addOption(new Option('-o, --output <format>', 'answers as text, or a line of JSON for each turn').choices(['text', 'json']).default('text'))
    .addHelpText('after', `
Examples:
  rambo agent chat -n support triage
  rambo agent chat -n support triage -c monday
  printf 'Where is parcel 4711?\\nAnd 4712?\\n' | rambo agent chat -n support triage -o json | jq -r .output
  rambo agent steps <agent run>                    # each step of a turn, with tokens, cost and time`)
    .action(async (agent: string, options: ChatOptions) => {
      if (io.open === undefined) throw new CliError('Usage', 'there is no standard input to read from');
      const input = io.open();
      try {
        const conversation = options.conversation ?? systemIds.uuid();
        await new Chat({
          io, input, caller: { door: await doorOf(options), pause: (ms) => sleep(io.clock, ms) }, namespace: options.namespace, agent, conversation, json: options.output === 'json',
        }).talk();
      } finally {
        input.close();
      }
    });
}
