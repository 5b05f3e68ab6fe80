import type { NewAgentEvent } from '../../crds/agent-run.ts';
import type { RevisionSpec, RevisionTool } from '../../crds/agent-revision.ts';
import { schemaProblems } from '../../engine/index.ts';
import { appendToAgentRun, changeAgentCall, getAgentCall, stillWaiting, type AgentCallRow, type AgentRunRow } from '../../prisma/store/index.ts';
import { runFacts, storedArguments, type Tools } from './context.ts';
import { guardText } from './guardrails.ts';
import { keep } from './result.ts';

/** What a call came to, before guardrails and caps. */
export interface Result {
  readonly text: string;
  readonly isError: boolean;
  readonly structured?: unknown;
  readonly type?: string | undefined;
  /** Duration of the call in milliseconds. */
  readonly ms: number;
  /** Ours: neither its schema nor guardrails are looked at. */
  readonly ours?: boolean;
  /** No answer of the tool, but what this gateway makes of its own failure: it counts only while this gateway makes the call. */
  readonly by?: string;
}

/** A call and where it belongs. */
export interface OpenCall {
  readonly run: AgentRunRow;
  readonly spec: RevisionSpec;
  readonly tool: RevisionTool | undefined;
  readonly call: AgentCallRow;
}

/**
 * Journals the result of a call. The first result counts, whoever brings it: also one that comes after the lease was lost, after
 * the call was put in doubt, or for an attempt that is over. Gives the run as it is then; undefined where there was nothing to write.
 */
export async function completeCall(tools: Tools, open: OpenCall, result: Result): Promise<AgentRunRow | undefined> {
  const { run, call } = open;
  const checked = result.ours === true ? { ...result, decisions: [] } : await lookAt(tools, open, result);
  const kept = await keep(tools.parts, run, call.callId, checked);
  const completed: NewAgentEvent = { kind: 'ToolCompleted', payload: { step: call.step, callId: call.callId, tool: call.tool, isError: checked.isError, ms: Math.max(0, Math.round(result.ms)), ...kept } };
  const appended = await appendToAgentRun(tools.parts.db, run.id, tools.parts.clock.now(), async (row, tx) => {
    const now = await getAgentCall(tx, run.id, call.callId);
    if (now === undefined || now.state === 'Completed' || now.state === 'WaitingApproval' || now.state === 'WaitingInput' || (result.by !== undefined && (now.state !== 'Dispatched' || now.holder !== result.by))) return { events: [], result: false };
    await changeAgentCall(tx, run.id, call.callId, { state: 'Completed' });
    if (row.finishedAt !== null) return { events: [], result: false };
    const waited = now.state === 'InDoubt' || now.state === 'Child' ? 1 : 0;
    return { events: [...checked.decisions, completed], set: { toolCalls: row.toolCalls + 1, ...await stillWaiting(tx, row, waited) }, result: true };
  });
  if (appended?.result !== true) return undefined;
  tools.parts.notify(appended);
  return appended.run;
}

async function lookAt(tools: Tools, { run, spec, tool, call }: OpenCall, result: Result): Promise<Result & { readonly decisions: readonly NewAgentEvent[] }> {
  const lie = await brokenPromise(tool, result);
  if (lie !== undefined) return { ...result, text: lie, isError: true, decisions: [] };
  const facts = { ...(tool === undefined ? {} : { tool }), arguments: storedArguments(call) as never, run: runFacts(run) };
  const guarded = await guardText(tools.parts, 'ToolResult', spec.guardrails, result.text, { namespace: run.namespace, agentRun: run.id, callId: call.callId, facts });
  if (guarded.ok) return { ...result, text: guarded.text, decisions: guarded.decisions };
  return { ...result, text: `The call was made, but its result is withheld: ${guarded.message}`, isError: true, decisions: guarded.decisions };
}

/** What a tool said of its results, and what it gave. */
async function brokenPromise(tool: RevisionTool | undefined, { isError, structured }: Result): Promise<string | undefined> {
  if (tool?.outputSchema === undefined || isError) return undefined;
  if (structured === undefined) return 'The call was made, but the tool answered without the structured content that it promises.';
  const problems = await schemaProblems(tool.outputSchema, structured, 'result');
  return problems.length === 0 ? undefined : `The call was made, but its result is not what the tool promises: ${problems.join('; ')}`;
}
