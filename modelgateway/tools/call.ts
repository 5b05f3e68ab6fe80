import { sleep } from '../../platform/clock/index.ts';
import { answerOfStep, eventOfCall, getAgentCall, getAgentRun, openChild, type AgentCallRow, type AgentRunRow } from '../../prisma/store/index.ts';
import { Refusal } from '../http/errors.ts';
import { notOpened, standing, type Caller } from '../run/standing.ts';
import { lookAtChild } from './children.ts';
import type { Tools } from './context.ts';
import { dispatchCall, recoverCall } from './dispatch.ts';
import { requestCall } from './request.ts';

/** What a runner hears of a call. */
export type ToolAnswer =
  | { readonly status: 'completed'; readonly result: { readonly text: string; readonly isError: boolean; readonly truncated: boolean } }
  | { readonly status: 'waiting'; readonly why: 'approval' | 'inDoubt' | 'child' | 'input' }
  | { readonly status: 'running' };

/** How often the call of another gateway is looked at. */
const LOOK_MS = 300;

/**
 * Drives a call until it is completed or waits for somebody. Each round looks at what is stored and does one thing about it, so it does not
 * matter who did the one before. Throws Refusal.
 */
export async function driveCall(tools: Tools, caller: Pick<Caller, 'agentRun' | 'attempt'> & { readonly traceparent?: string | undefined }, step: number, callId: string): Promise<ToolAnswer> {
  for (;;) {
    const run = await getAgentRun(tools.parts.db, caller.agentRun);
    if (run === undefined) throw notOpened();
    const refusal = standing(run, caller.attempt);
    if (refusal !== undefined) throw refusal;
    const call = await getAgentCall(tools.parts.db, run.id, callId);
    if (call === undefined) {
      await request(tools, run, caller.attempt, step, callId);
      continue;
    }
    const answer = await advance(tools, run, caller, step, call);
    if (answer !== undefined) return answer;
  }
}

/** The name and the arguments of a call come from the journal, never from the runner. */
async function request(tools: Tools, run: AgentRunRow, attempt: number, step: number, callId: string): Promise<void> {
  const answer = await answerOfStep(tools.parts.db, run.id, step, 'step');
  const call = answer?.toolCalls.find((entry) => entry.callId === callId);
  if (call === undefined) throw new Refusal('Invalid', `the answer of step ${step} has no tool call ${callId}`);
  await requestCall(tools, { run, spec: await tools.book.revision(run.revision), step, call, attempt });
}

async function advance(tools: Tools, run: AgentRunRow, { attempt, traceparent }: { readonly attempt: number; readonly traceparent?: string | undefined }, step: number, call: AgentCallRow): Promise<ToolAnswer | undefined> {
  if (call.step !== step) throw new Refusal('Invalid', `call ${call.callId} is of step ${call.step}, not ${step}`);
  switch (call.state) {
    case 'Completed': return completed(tools, run, call);
    case 'WaitingApproval': return { status: 'waiting', why: 'approval' };
    case 'InDoubt': return { status: 'waiting', why: 'inDoubt' };
    case 'WaitingInput': return { status: 'waiting', why: 'input' };
    case 'Child': return child(tools, run, call);
    case 'Requested': case 'Dispatched': break;
  }
  if (call.state === 'Dispatched' && call.held) {
    await sleep(tools.parts.clock, LOOK_MS);
    return undefined;
  }
  const spec = await tools.book.revision(run.revision);
  const sending = { run, spec, tool: spec.tools.find(({ name }) => name === call.tool), call, attempt, traceparent };
  await (call.state === 'Requested' ? dispatchCall(tools, sending) : recoverCall(tools, sending));
  return undefined;
}

async function completed(tools: Tools, run: AgentRunRow, call: AgentCallRow): Promise<ToolAnswer> {
  const event = await eventOfCall(tools.parts.db, run.id, 'ToolCompleted', call.callId);
  if (event?.kind !== 'ToolCompleted') throw new Refusal('Unavailable', `the result of call ${call.callId} is not in the journal`);
  const { text, isError, truncated } = event.payload;
  return { status: 'completed', result: { text, isError, truncated } };
}

async function child(tools: Tools, run: AgentRunRow, call: AgentCallRow): Promise<ToolAnswer | undefined> {
  const open = call.childRun === null ? undefined : await openChild(tools.parts.db, call.childRun);
  if (open !== undefined) await lookAtChild(tools, open);
  return (await getAgentCall(tools.parts.db, run.id, call.callId))?.state === 'Child' ? { status: 'waiting', why: 'child' } : undefined;
}
