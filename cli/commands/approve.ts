import { Command, Option } from 'commander';
import { sleep } from '../../platform/clock/index.ts';
import { approvalOf, decide, showApproval } from '../agent/approval.ts';
import type { Approval, Verdict } from '../agent/approval.ts';
import { doorOf, withDoor } from '../api/door.ts';
import type { DoorOptions } from '../api/door.ts';
import { prose, type Io } from '../io/io.ts';
import { plainJson } from '../io/plain.ts';
import { demandHash, jsonGiven, LEAST_HASH } from './decision.ts';

interface ApproveOptions extends DoorOptions { readonly hash?: string; readonly reject?: boolean; readonly reason?: string; readonly arguments?: string }

/** `rambo approve`: looks at one call that waits, and decides it. */
export function approveCommand(io: Io): Command {
  return withDoor(new Command('approve').argument('<approval>', 'its id: rambo api agentApprovals --namespace <namespace> -o table lists them'))
    .summary('look at a call of an agent that waits for a person, and approve or reject it')
    .description(prose(`Shows what a call of an agent that waits would do: tool, arguments, hash. With --hash it decides.

As kubectl rambo approve it needs no token of its own: it asks the API server, with your kubeconfig, for one of a service account that is good for ten minutes and for RamBo alone. Whether that account may patch agentapprovals is up to RBAC.

The decision is bound to the hash: when something else waits by now, nothing is decided. The arguments may come from a model that read hostile text: look at them, not at what the agent says of them.`))
    .addOption(new Option('--hash <hash>', `decide about exactly this: the hash that was shown, or its first ${LEAST_HASH} digits or more`))
    .addOption(new Option('--reject', 'the call is not made'))
    .addOption(new Option('--reason <text>', 'why; the model reads it after a rejection'))
    .addOption(new Option('--arguments <json>', 'whole arguments in place of those shown; @file reads them from a file').conflicts('reject'))
    .addHelpText('after', `
Examples:
  kubectl rambo approve <id>
  kubectl rambo approve <id> --hash 3fa4c9d1
  rambo approve <id> --hash 3fa4c9d1 --reject --reason 'not on a Friday'`)
    .action(async (id: string, options: ApproveOptions) => {
      const door = await doorOf(options);
      const pause = (ms: number): Promise<void> => sleep(io.clock, ms);
      const approval = await approvalOf(door, id, pause);
      showApproval(io, approval);
      if (options.hash === undefined) {
        if (approval.state === 'Pending') io.say(`To decide: rambo approve ${approval.id} --hash ${approval.hash.slice(0, 12)} [--reject]`);
        return;
      }
      io.print(`${plainJson(await decide(door, approval, verdictOf(approval, options.hash, options), pause))}\n`);
    });
}

function verdictOf(approval: Approval, hash: string, { reject, reason, arguments: args }: ApproveOptions): Verdict {
  demandHash(hash, approval.hash, 'what waits', 'decided');
  return {
    decision: reject === true ? 'Reject' : 'Approve', ...(reason === undefined ? {} : { reason }), ...(args === undefined ? {} : { arguments: jsonGiven('--arguments', args) }),
  };
}
