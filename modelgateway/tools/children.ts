import { createHash } from 'node:crypto';
import { childRunId } from '../../crds/agent-call.ts';
import type { NewAgentEvent } from '../../crds/agent-run.ts';
import type { RevisionTool } from '../../crds/agent-revision.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import { errorMessage, UnavailableError } from '../../platform/errors/index.ts';
import { commandReplySchema, type CommandReply, type RunCommand } from '../../platform/messages/payloads.ts';
import { commandSubject, shardOf } from '../../platform/messages/subjects.ts';
import { appendToAgentRun, changeAgentCall, getAgentCall, getAgentRun, openChildren, type AgentRunRow, type Executor, type OpenChild } from '../../prisma/store/index.ts';
import { wake } from '../run/notices.ts';
import { standing } from '../run/standing.ts';
import { completeCall, type OpenCall } from './complete.ts';
import { storedArguments, type Tools } from './context.ts';
import type { Sending } from './dispatch.ts';

/*
 * Workflows and agents as tools: a call is a workflow run of its own, whose id is a function of the call's key. The agent run waits
 * without a runner; the end of the child, found by a notice or by the sweep, completes the call.
 */

const COMMAND_MS = 5_000;
const PAGE = 200;
/** Characters of what a child says of its failure. */
const MOST_ERROR = 2_000;
const decoder = new TextDecoder();

/** Starts the run of a call, journaled first. Where the start cannot be sent now, the sweep sends it: starting twice is starting once. */
export async function startChild(tools: Tools, sending: Sending, tool: RevisionTool): Promise<void> {
  const { run, call, spec } = sending;
  if (tool.kind === 'agent') {
    const refused = await tooDeep(tools.parts.db, run, spec.limits.maxDepth, tool.server);
    if (refused !== undefined) {
      await completeCall(tools, sending, { text: `The call was not made: ${refused}`, isError: true, ms: 0, ours: true });
      return;
    }
  }
  const child = childRunId(call.key);
  const appended = await appendToAgentRun(tools.parts.db, run.id, tools.parts.clock.now(), async (row, tx) => {
    const refusal = standing(row, sending.attempt);
    if (refusal !== undefined) throw refusal;
    if ((await getAgentCall(tx, run.id, call.callId))?.state !== 'Requested') return { events: [], result: false };
    await changeAgentCall(tx, run.id, call.callId, { state: 'Child', childRun: child });
    const event: NewAgentEvent = { kind: 'ToolDispatched', payload: { step: call.step, callId: call.callId, tries: 1, childRun: child } };
    return { events: [event], set: { awaited: row.awaited + 1 }, result: true };
  });
  if (appended?.result !== true) return;
  tools.parts.notify(appended);
  tools.children.add(child);
  await sendStart(tools, { ...sending, call: { ...call, state: 'Child', childRun: child } }, tool);
}

/** Agents that lead back to themselves, by way of workflows too, end here; what resolution could see was refused there. */
async function tooDeep(db: Executor, run: AgentRunRow, maxDepth: number, agent: string): Promise<string | undefined> {
  if (run.depth + 1 > maxDepth) return `agents below agents are at most ${maxDepth} deep here`;
  for (let at: AgentRunRow | undefined = run; at !== undefined; at = at.parent === null ? undefined : await getAgentRun(db, at.parent)) {
    if (at.agent === agent) return `agent ${agent} would call itself`;
  }
  return undefined;
}

async function sendStart(tools: Tools, open: Traced, tool: RevisionTool): Promise<void> {
  const reply = await command(tools, startOf(open, tool));
  if (reply === undefined || (!reply.ok && (reply.code === 'Unavailable' || reply.code === 'NotOwner'))) return;
  if (reply.ok) {
    await appendToAgentRun(tools.parts.db, open.run.id, tools.parts.clock.now(), async (_row, tx) => {
      const now = await getAgentCall(tx, open.run.id, open.call.callId);
      // The number of tries says that the run was there once: one that vanished is not started again.
      if (now?.state === 'Child' && now.tries === 0) await changeAgentCall(tx, now.agentRun, now.callId, { state: 'Child', tried: true });
      return { events: [], result: undefined };
    });
    return;
  }
  await settled(tools, open, { text: `The ${tool.kind} ${tool.server} could not be started: ${reply.message ?? reply.code ?? 'refused'}`, isError: true, ours: true });
}

/** A call, and the span below which its run belongs where somebody asked for it just now. */
type Traced = OpenCall & Pick<Sending, 'traceparent'>;

function startOf({ run, call, traceparent }: Traced, tool: RevisionTool): RunCommand {
  const args = storedArguments(call);
  const runId = childRunId(call.key);
  const what = tool.kind === 'workflow' ? { workflow: tool.server } : { inline: JSON.stringify(agentWorkflow(tool.server)) };
  const input = JSON.stringify(tool.kind === 'workflow' ? args : { input: tool.inputArgument === undefined ? args : args[tool.inputArgument] ?? null });
  return {
    v: 1, verb: 'start', runId, namespace: run.namespace, name: `${tool.server.slice(0, 200)}-${runId.slice(-10)}`, principal: `agent:${run.namespace}/${run.agent ?? 'inline'}`,
    idempotencyKey: call.key, bodyHash: createHash('sha256').update(JSON.stringify([what, input])).digest('hex'), input, ...what, ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** A workflow of one node. What the parent gives is an input: no expression is looked for in it. */
function agentWorkflow(agent: string): object {
  return { nodes: [{ name: 'agent', type: 'agent', with: { agentRef: { name: agent }, input: '${{ inputs.input }}' } }], outputs: { output: '${{ nodes.agent.output }}' } };
}

async function command(tools: Tools, message: RunCommand): Promise<CommandReply | undefined> {
  try {
    return commandReplySchema.parse(JSON.parse(decoder.decode(await tools.parts.bus.request(commandSubject(shardOf(message.runId)), Buffer.from(JSON.stringify(message)), COMMAND_MS))));
  } catch {
    return undefined; // nobody answered: the sweep asks again
  }
}

/** Looks at the next calls that wait for a run, a page at a time: the end of a run is heard of by its notice, this is for notices that were lost. */
export async function sweepChildren(tools: Tools, place: { after: string | undefined }): Promise<void> {
  const page = await openChildren(tools.parts.db, place.after, PAGE);
  place.after = page.length < PAGE ? undefined : page.at(-1)?.childRun ?? undefined;
  for (const child of page) await apart(tools, child.namespace, () => lookAtChild(tools, child));
}

/** Does one piece of a sweep: one that cannot be done must not stand in the way of the others. Throws while the database is away. */
export async function apart(tools: Tools, namespace: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof UnavailableError) throw error;
    tools.parts.log.warn({ namespace, err: errorMessage(error) }, 'something that an agent run waits for could not be looked at');
  }
}

/** Looks at one call that waits for a run. */
export async function lookAtChild(tools: Tools, child: OpenChild): Promise<void> {
  const over = child.childPhase !== null && FINAL_PHASES.includes(child.childPhase);
  if (child.parentOver) return endOrphan(tools, child, over);
  if (!over && child.childRun !== null) tools.children.add(child.childRun);
  if (child.childPhase !== null && !over) return;
  const run = await getAgentRun(tools.parts.db, child.agentRun);
  if (run === undefined) return;
  const spec = await tools.book.revision(run.revision);
  const tool = spec.tools.find(({ name }) => name === child.tool);
  const open: OpenCall = { run, spec, tool, call: child };
  if (child.childPhase === null && child.tries === 0 && tool !== undefined) return sendStart(tools, open, tool);
  await settled(tools, open, childResult(child, tool));
}

/** The run of a call whose agent run has ended is cancelled; the call is closed once it is over. */
async function endOrphan(tools: Tools, child: OpenChild, over: boolean): Promise<void> {
  if (!over && child.childRun !== null) {
    const reply = await command(tools, { v: 1, verb: 'cancel', runId: child.childRun, mode: 'Graceful', principal: `agent:${child.namespace}` });
    if (reply?.code !== 'NotFound') return;
  }
  await appendToAgentRun(tools.parts.db, child.agentRun, tools.parts.clock.now(), async (_row, tx) => {
    await changeAgentCall(tx, child.agentRun, child.callId, { state: 'Completed' });
    return { events: [], result: undefined };
  });
}

interface ChildEnd { readonly text: string; readonly isError: boolean; readonly structured?: unknown; readonly ours?: boolean }

function childResult({ childPhase, outputs, error }: OpenChild, tool: RevisionTool | undefined): ChildEnd {
  const what = `${tool?.kind ?? 'workflow'} ${tool?.server ?? ''}`;
  if (childPhase === null) return { text: `The run of ${what} is gone.`, isError: true, ours: true };
  if (childPhase !== 'Succeeded') {
    const told = error === null ? {} : JSON.parse(decoder.decode(error)) as { readonly reason?: string; readonly message?: string };
    return { text: `The ${what} ended ${childPhase}${told.reason === undefined ? '' : `: ${told.reason}: ${(told.message ?? '').slice(0, MOST_ERROR)}`}`, isError: true, ours: true };
  }
  const given = outputs === null ? {} : JSON.parse(decoder.decode(outputs)) as Readonly<Record<string, unknown>>;
  const value = tool?.kind === 'agent' ? given['output'] ?? null : given;
  return { text: typeof value === 'string' ? value : JSON.stringify(value), isError: false, structured: value };
}

async function settled(tools: Tools, open: OpenCall, end: ChildEnd): Promise<void> {
  const after = await completeCall(tools, open, { ...end, ms: tools.parts.clock.now() - open.call.createdAt });
  if (after !== undefined && after.awaited === 0) await wake(tools.parts.bus, after);
}
