import { approvalHash, argumentsHash, callKey } from '../../crds/agent-call.ts';
import type { Effect, NewAgentEvent, ToolCall } from '../../crds/agent-run.ts';
import type { RevisionSpec, RevisionTool } from '../../crds/agent-revision.ts';
import { canonicalJson } from '../../crds/canonical.ts';
import { argumentProblems, decide, modelArguments, type PolicyDecision } from '../../engine/index.ts';
import type { Json } from '../../engine/types.ts';
import { addAgentCall, addApproval, appendToAgentRun, getAgentCall, lastAgentCalls, type AgentRunProgress, type AgentRunRow, type ApprovalPreview, type Executor } from '../../prisma/store/index.ts';
import { ending, REASONS } from '../run/ending.ts';
import { standing } from '../run/standing.ts';
import { runFacts, shownTool, type Tools } from './context.ts';
import { guardText } from './guardrails.ts';

/** A call as the model asked for it, in the run that asked. */
export interface Asked {
  readonly run: AgentRunRow;
  readonly spec: RevisionSpec;
  readonly step: number;
  readonly call: ToolCall;
  /** Attempt that drives the run. */
  readonly attempt: number;
}

/** What is known of a call before anything is written. */
interface Judged {
  readonly tool: RevisionTool | undefined;
  /** Canonical JSON; what the model wrote where that is none. */
  readonly text: string;
  readonly args: unknown;
  readonly decisions: readonly NewAgentEvent[];
  /** Why it is not made; for the model. */
  readonly refused?: string;
  readonly policy?: PolicyDecision;
}

const MAX_TEXT = 65_536;

/**
 * Journals a call: what it is, what policy and guardrails say, its key. Nothing has left when this returns. A call that may not be made
 * is answered to the model at once; the same call too often in a row ends the run. Repeating it changes nothing.
 */
export async function requestCall(tools: Tools, asked: Asked): Promise<void> {
  const judged = await judge(tools, asked);
  const at = tools.parts.clock.now();
  const appended = await appendToAgentRun(tools.parts.db, asked.run.id, at, async (run, tx) => {
    const refusal = standing(run, asked.attempt);
    if (refusal !== undefined) throw refusal;
    if (await getAgentCall(tx, run.id, asked.call.callId) !== undefined) return { events: [], result: undefined };
    const argsHash = argumentsHash(judged.args);
    const repeated = await timesInARow(tx, run.id, asked, argsHash);
    if (repeated >= asked.spec.limits.repeatWindow) {
      const message = `the model made the same call of ${shownTool(judged.tool, asked.call.tool)} ${repeated} times in a row`;
      return { ...ending({ phase: 'Failed', reason: REASONS.repeated, message }), result: undefined };
    }
    return { ...await write(tx, run, asked, judged, argsHash, tools, at), result: undefined };
  });
  if (appended !== undefined) tools.parts.notify(appended);
}

async function judge(tools: Tools, { run, spec, call }: Asked): Promise<Judged> {
  const tool = spec.tools.find(({ name }) => name === call.tool);
  const raw = { tool, text: call.arguments.slice(0, MAX_TEXT), args: call.arguments, decisions: [] };
  if (tool === undefined) return { ...raw, refused: `There is no tool ${JSON.stringify(call.tool.slice(0, 128))}. The tools are: ${spec.tools.map(({ name }) => name).join(', ') || 'none'}.` };
  const parsed = await modelArguments(tool, call.arguments);
  if (!parsed.ok) return { ...raw, refused: `The call was not made, because its arguments are wrong: ${parsed.problems.join('; ')}` };
  const known = { tool, text: canonicalJson(parsed.value), args: parsed.value, decisions: [] };
  if (tool.kind === 'mcp' || tool.kind === 'http') {
    const target = await tools.book.target(run.namespace, tool);
    if ('refused' in target) return { ...known, refused: `The call was not made. ${target.refused}` };
  }
  const facts = { tool, arguments: parsed.value, run: runFacts(run) };
  const guarded = await guardText(tools.parts, 'ToolCall', spec.guardrails, known.text, { namespace: run.namespace, agentRun: run.id, callId: call.callId, facts });
  const { decisions } = guarded;
  if (!guarded.ok) return { ...known, decisions, refused: `The call is not allowed: ${guarded.message}` };
  const edited = guarded.text === known.text ? { args: parsed.value } : await editedArguments(tool, guarded.text);
  if ('problem' in edited) return { ...known, decisions, refused: `The call was not made: a guardrail changed its arguments, and ${edited.problem}` };
  const policy = decide(spec.policy, { ...facts, arguments: edited.args });
  const strictest = guarded.ask !== undefined && policy.decision === 'Allow' ? { ...policy, decision: 'RequireApproval' as const, reason: guarded.ask } : policy;
  const judged = { tool, text: canonicalJson(edited.args), args: edited.args, decisions, policy: strictest };
  return strictest.decision === 'Deny' ? { ...judged, refused: `The call is not allowed: ${strictest.reason}` } : judged;
}

/** What a guardrail made of the arguments, looked at like anything else that comes from outside. */
async function editedArguments(tool: RevisionTool, text: string): Promise<{ readonly args: Json } | { readonly problem: string }> {
  try {
    const args: Json = JSON.parse(text);
    const problems = await argumentProblems(tool, args);
    return problems.length > 0 ? { problem: problems.join('; ') } : { args };
  } catch {
    return { problem: 'they are no JSON any more' };
  }
}

/** How often the model has made this call in a row, this time included. */
async function timesInARow(tx: Executor, agentRun: string, { call, spec }: Asked, argsHash: string): Promise<number> {
  let times = 1;
  for (const before of await lastAgentCalls(tx, agentRun, spec.limits.repeatWindow)) {
    if (before.tool !== call.tool || before.argsHash !== argsHash) break;
    times += 1;
  }
  return times;
}

async function write(tx: Executor, run: AgentRunRow, asked: Asked, judged: Judged, argsHash: string, tools: Tools, at: number): Promise<{ readonly events: readonly NewAgentEvent[]; readonly set?: Partial<AgentRunProgress> }> {
  const { step, call } = asked;
  const { tool, policy, refused, decisions } = judged;
  const effect: Effect = tool?.effect ?? 'ReadOnly';
  const key = callKey(run.id, step, call.callId, judged.args);
  const ask = refused === undefined && policy?.decision === 'RequireApproval';
  await addAgentCall(tx, {
    agentRun: run.id, callId: call.callId, namespace: run.namespace, step, tool: call.tool, effect, key, argsHash, arguments: Buffer.from(judged.text),
    state: refused !== undefined ? 'Completed' : ask ? 'WaitingApproval' : 'Requested', createdAt: at,
  });
  const requested: NewAgentEvent = { kind: 'ToolRequested', payload: {
    step, callId: call.callId, tool: call.tool, arguments: judged.text, argsHash, key, effect, decision: refused !== undefined ? 'Deny' : policy?.decision ?? 'Allow',
    ...(policy === undefined ? {} : { reason: policy.reason.slice(0, 1_024) }),
  } };
  if (refused !== undefined) {
    const text = refused.slice(0, MAX_TEXT);
    const completed: NewAgentEvent = { kind: 'ToolCompleted', payload: { step, callId: call.callId, tool: call.tool, text, isError: true, bytes: Buffer.byteLength(text), truncated: false, ms: 0 } };
    return { events: [...decisions, requested, completed] };
  }
  if (!ask || tool === undefined || policy === undefined) return { events: [...decisions, requested] };
  const preview: ApprovalPreview = { tool: tool.display, schemaHash: tool.schemaHash, arguments: judged.args, reason: policy.reason };
  const approval = tools.parts.ids.uuid();
  const hash = approvalHash({ revision: run.revision, tool: tool.display, schemaHash: tool.schemaHash, arguments: judged.args });
  const expiresAt = at + policy.timeoutMs;
  await addApproval(tx, { id: approval, agentRun: run.id, callId: call.callId, namespace: run.namespace, tool: tool.display, hash, preview: Buffer.from(JSON.stringify(preview)), approvers: policy.approvers, fourEyes: policy.fourEyes, expiresAt, createdAt: at });
  const waiting: NewAgentEvent = { kind: 'ApprovalRequested', payload: { step, callId: call.callId, tool: call.tool, approval, hash, expiresAt, approvers: [...policy.approvers] } };
  return { events: [...decisions, requested, waiting], set: { awaited: run.awaited + 1, pendingApprovals: run.pendingApprovals + 1 } };
}
