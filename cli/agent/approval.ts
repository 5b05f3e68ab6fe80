import { z } from 'zod';
import { call } from '../api/call.ts';
import type { Door } from '../api/call.ts';
import { sayFacts, sayJson } from '../io/facts.ts';
import type { Io } from '../io/io.ts';

/* One call of an agent that waits for a person: looked at, shown, decided. */

const approvalSchema = z.looseObject({
  id: z.string(), agentRunId: z.string(), namespace: z.string(), tool: z.string(), hash: z.string(), arguments: z.unknown(), why: z.string(), approvers: z.array(z.string()), fourEyes: z.boolean().default(false), state: z.string(), expiresAt: z.string(),
  decidedBy: z.string().nullable(),
});
/** An approval, as far as the command line looks into it. */
export type Approval = z.output<typeof approvalSchema>;

/** What somebody decided. */
export interface Verdict {
  readonly decision: 'Approve' | 'Reject';
  readonly reason?: string;
  /** Whole arguments in place of those shown. */
  readonly arguments?: unknown;
}

type Pause = (ms: number) => Promise<void>;

/** Asks for one. Throws CliError `NOT_FOUND`. */
export async function approvalOf(door: Door, id: string, pause: Pause): Promise<Approval> {
  return approvalSchema.parse(await call(door, { method: 'GET', path: `/api/v1/agent-approvals/${encodeURIComponent(id)}`, headers: {} }, pause));
}

/** Shows what it is about. A terminal obeys nothing of it. */
export function showApproval(io: Io, { tool, why, namespace, agentRunId, arguments: args, hash, approvers, fourEyes, state, expiresAt, decidedBy }: Approval): void {
  const facts: readonly (readonly [string, string])[] = [
    ['tool', tool], ['why', why], ['agent run', `${agentRunId} in ${namespace}`], ['state', decidedBy === null ? `${state}, until ${expiresAt}` : `${state} by ${decidedBy}`],
    ...(approvers.length === 0 ? [] : [['approvers', approvers.join(', ')] as const]), ...(fourEyes ? [['four eyes', 'not by the one who started the run'] as const] : []), ['hash', hash],
  ];
  sayFacts(io, facts);
  io.say('arguments:');
  sayJson(io, args);
}

/** Decides it, as it was shown: where something else waits by now nothing is decided. */
export async function decide(door: Door, approval: Approval, { decision, reason, arguments: args }: Verdict, pause: Pause): Promise<unknown> {
  const body = { hash: approval.hash, decision, ...(reason === undefined ? {} : { reason }), ...(args === undefined ? {} : { arguments: args }) };
  return call(door, { method: 'POST', path: `/api/v1/agent-approvals/${encodeURIComponent(approval.id)}/decision`, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }, pause);
}
