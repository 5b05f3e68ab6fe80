import { Command, Option } from 'commander';
import { z } from 'zod';
import { sleep } from '../../platform/clock/index.ts';
import { call } from '../api/call.ts';
import type { ApiRequest, Door } from '../api/call.ts';
import { doorOf, withDoor } from '../api/door.ts';
import type { DoorOptions } from '../api/door.ts';
import { prose, type Io } from '../io/io.ts';
import { plain, plainJson } from '../io/plain.ts';
import { demandHash, jsonGiven, LEAST_HASH } from './decision.ts';

const approvalSchema = z.looseObject({
  id: z.string(), agentRunId: z.string(), namespace: z.string(), tool: z.string(), hash: z.string(), arguments: z.unknown(), why: z.string(), approvers: z.array(z.string()), fourEyes: z.boolean().default(false), state: z.string(), expiresAt: z.string(),
  decidedBy: z.string().nullable(),
});
type Approval = z.output<typeof approvalSchema>;

interface ApproveOptions extends DoorOptions { readonly hash?: string; readonly reject?: boolean; readonly reason?: string; readonly arguments?: string }

/** `rambo approve`: looks at one call that waits, and decides it. */
export function approveCommand(io: Io): Command {
  return withDoor(new Command('approve').argument('<approval>', 'its id: rambo api agentApprovals --namespace <namespace> -o table lists them'))
    .summary('look at a call of an agent that waits for a person, and approve or reject it')
    .description(prose(`Shows what a call of an agent that waits would do: tool, arguments, hash. With --hash it decides.

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
      const door = doorOf(options);
      const pause = (ms: number): Promise<void> => sleep(io.clock, ms);
      const approval = approvalSchema.parse(await call(door, requestFor(id), pause));
      show(io, approval);
      if (options.hash === undefined) {
        if (approval.state === 'Pending') io.say(`To decide: rambo approve ${approval.id} --hash ${approval.hash.slice(0, 12)} [--reject]`);
        return;
      }
      io.print(`${plainJson(await decide(door, approval, options.hash, options, pause))}\n`);
    });
}

function requestFor(id: string): ApiRequest {
  return { method: 'GET', path: `/api/v1/agent-approvals/${encodeURIComponent(id)}`, headers: {} };
}

function show(io: Io, { tool, why, namespace, agentRunId, arguments: args, hash, approvers, fourEyes, state, expiresAt, decidedBy }: Approval): void {
  const facts: readonly (readonly [string, string])[] = [
    ['tool', tool], ['why', why], ['agent run', `${agentRunId} in ${namespace}`], ['state', decidedBy === null ? `${state}, until ${expiresAt}` : `${state} by ${decidedBy}`],
    ...(approvers.length === 0 ? [] : [['approvers', approvers.join(', ')] as const]), ...(fourEyes ? [['four eyes', 'not by the one who started the run'] as const] : []), ['hash', hash],
  ];
  for (const [name, text] of facts) io.say(`${`${name}:`.padEnd(11)} ${plain(text)}`);
  io.say('arguments:');
  for (const line of plainJson(args).split('\n')) io.say(`  ${line}`);
}

async function decide(door: Door, approval: Approval, hash: string, { reject, reason, arguments: args }: ApproveOptions, pause: (ms: number) => Promise<void>): Promise<unknown> {
  demandHash(hash, approval.hash, 'what waits', 'decided');
  const body = {
    hash: approval.hash, decision: reject === true ? 'Reject' : 'Approve', ...(reason === undefined ? {} : { reason }), ...(args === undefined ? {} : { arguments: jsonGiven('--arguments', args) }),
  };
  return call(door, { method: 'POST', path: `/api/v1/agent-approvals/${encodeURIComponent(approval.id)}/decision`, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }, pause);
}
