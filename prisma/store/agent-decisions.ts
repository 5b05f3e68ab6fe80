import { approvalHash, argumentsHash, callKey } from '../../crds/agent-call.ts';
import { canonicalJson } from '../../crds/canonical.ts';
import type { AgentPhase, NewAgentEvent } from '../../crds/agent-run.ts';
import { approvalOfCall, closeApproval, getApproval, type ApprovalPreview, type ApprovalRow, type ApprovalState } from './agent-approvals.ts';
import type { InputState } from './agent-inputs.ts';
import { journaledLimit, raiseAccount } from './agent-budget.ts';
import { changeAgentCall, editAgentCall, getAgentCall, stillWaiting } from './agent-calls.ts';
import { appendToAgentRun, lockAgentRun, writeAppending, type Appended, type Appending } from './agent-journal.ts';
import type { AgentRunRow, Limit } from './agent-types.ts';
import type { Db, Executor, Statement } from './db.ts';
import { clamp, cut, FIRST_ID } from './pages.ts';
import { iso } from './times.ts';
import type { Page } from './types.ts';

/*
 * What people decide while an agent run waits. Each is one transaction under the run's row: the conditional update, the event, the
 * counters. The API calls these and publishes afterwards; nothing here needs a runner, a gateway or NATS.
 */

/** Whom a decision concerns and how the run stands now. `ready`: nothing is awaited any more, so its node may be woken. */
export interface Wake {
  readonly agentRun: string;
  readonly namespace: string;
  readonly runId: string;
  readonly node: string;
  readonly item: number;
  readonly phase: AgentPhase;
  readonly seq: number;
  readonly ready: boolean;
}

/** Why a decision was refused. What belongs to another namespace is `NotFound`. */
export type RefusalCode = 'NotFound' | 'HashMismatch' | 'AlreadyDecided' | 'Expired' | 'NotAnApprover' | 'FourEyes' | 'RunEnded' | 'InvalidArguments' | 'NotInDoubt' | 'NotRaised';

/** A refused decision; `decided` says what was decided before. */
export interface Refusal {
  readonly ok: false;
  readonly code: RefusalCode;
  readonly message: string;
  readonly decided?: { readonly state: ApprovalState | InputState; readonly by: string | null; readonly at: number | null };
}

/** What became of a decision. */
export type Decided = { readonly ok: true; readonly wake: Wake } | Refusal;

/** A decision about an approval. */
export interface ApprovalVerdict {
  readonly namespace: string;
  readonly approval: string;
  /** As the decider was shown it: whoever decides about something else than what waits is refused. */
  readonly hash: string;
  readonly decision: 'Approve' | 'Reject';
  readonly by: string;
  /** The decider as user and groups, against the approvers named. */
  readonly names: readonly string[];
  readonly reason?: string;
  /** Whole arguments instead of those shown; the caller has checked them by `argumentProblems`, and the gateway does again. */
  readonly arguments?: unknown;
  readonly at: number;
}

/** Largest text of a person that goes into the journal. */
const MAX_TEXT = 65_536;

/** Decides an approval. One conditional update: of two decisions at once one is `AlreadyDecided`. */
export async function decideApproval(db: Db, verdict: ApprovalVerdict): Promise<Decided> {
  const found = await getApproval(db, verdict.namespace, verdict.approval);
  if (found === undefined) return refuse('NotFound', 'there is no such approval');
  const state = verdict.decision === 'Approve' ? 'Approved' : 'Rejected';
  const appended = await decideUnderLock(db, found, verdict.at, async (run, approval, tx) => refusalOf(run, approval, verdict) ?? await fourEyes(tx, run, approval, verdict), { ...verdict, state });
  if (appended === undefined) return refuse('NotFound', 'there is no such approval');
  return appended.result ?? { ok: true, wake: wakeOf(appended.run) };
}

/** Rejects an approval whose time is over; what it wrote. Undefined: somebody decided it, or the run ended. */
export async function expireApproval(db: Db, approval: ApprovalRow, at: number): Promise<Appended<unknown> | undefined> {
  const open = async (run: AgentRunRow, now: ApprovalRow): Promise<Refusal | undefined> => (run.finishedAt !== null || now.state !== 'Pending' ? refuse('AlreadyDecided', 'decided') : undefined);
  const appended = await decideUnderLock(db, approval, at, open, { state: 'Expired', by: 'rambo', reason: 'nobody decided in time' });
  return appended?.result === undefined ? appended : undefined;
}

interface Verdict {
  readonly state: 'Approved' | 'Rejected' | 'Expired';
  readonly by: string;
  readonly reason?: string;
  readonly arguments?: unknown;
}

async function decideUnderLock(db: Db, found: ApprovalRow, at: number, refused: (run: AgentRunRow, approval: ApprovalRow, tx: Executor) => Promise<Refusal | undefined>, verdict: Verdict): Promise<Appended<Refusal | undefined> | undefined> {
  return appendToAgentRun<Refusal | undefined>(db, found.agentRun, at, async (run, tx) => {
    const approval = await getApproval(tx, found.namespace, found.id);
    const refusal = approval === undefined ? refuse('NotFound', 'there is no such approval') : await refused(run, approval, tx);
    if (approval === undefined || refusal !== undefined) return { events: [], result: refusal };
    return { ...await writeDecision(tx, run, approval, verdict, at), result: undefined };
  });
}

function refusalOf(run: AgentRunRow, approval: ApprovalRow, { hash, names, at, arguments: edited, decision }: ApprovalVerdict): Refusal | undefined {
  if (approval.state === 'Voided') return refuse('RunEnded', `the agent run has ended: ${run.phase}`);
  if (approval.state === 'Expired') return refuse('Expired', 'the approval has expired');
  if (approval.state !== 'Pending') {
    const decided = { state: approval.state, by: approval.decidedBy, at: approval.decidedAt };
    return { ...refuse('AlreadyDecided', `it was decided before: ${approval.state} by ${approval.decidedBy ?? 'nobody'}`), decided };
  }
  if (run.finishedAt !== null) return refuse('RunEnded', `the agent run has ended: ${run.phase}`);
  if (approval.expiresAt <= at) return refuse('Expired', 'the approval has expired');
  if (approval.hash !== hash) return refuse('HashMismatch', 'what was decided about is not what waits: look at it again');
  if (approval.approvers.length > 0 && !approval.approvers.some((name) => names.includes(name))) return refuse('NotAnApprover', `this call is decided by ${approval.approvers.join(', ')}`);
  if (edited === undefined) return undefined;
  if (decision === 'Reject') return refuse('InvalidArguments', 'a rejected call has no arguments');
  return typeof edited === 'object' && edited !== null && !Array.isArray(edited) && Buffer.byteLength(canonicalJson(edited)) <= MAX_TEXT * 4
    ? undefined : refuse('InvalidArguments', 'the arguments are a JSON object of at most 256 KiB');
}

const STARTER: Statement = { name: 'agent-run-starter', text: 'SELECT r.principal FROM run r WHERE r.id = $1::uuid' };
/** Of a run applied as an object: somebody made it, and nobody here knows who. */
const UNKNOWN_STARTER = /^workflowrun:/;

/** Where two people are needed, the one who started the outermost run cannot be the second. A rejection does no harm: they may reject. */
async function fourEyes(tx: Executor, run: AgentRunRow, approval: ApprovalRow, { decision, names }: ApprovalVerdict): Promise<Refusal | undefined> {
  if (!approval.fourEyes || decision === 'Reject') return undefined;
  const [started] = await tx.query<{ principal: string }>(STARTER, [run.rootRun]);
  const starter = started?.principal ?? run.principal;
  if (names.includes(starter)) return refuse('FourEyes', 'who started the run may not approve this call: another person decides it');
  return UNKNOWN_STARTER.test(starter) ? refuse('FourEyes', `nobody knows who started the run (${starter}), so nobody can be told apart from them: start it over the API`) : undefined;
}

async function writeDecision(tx: Executor, run: AgentRunRow, approval: ApprovalRow, verdict: Verdict, at: number): Promise<Omit<Appending<unknown>, 'result'>> {
  const { state, by, reason } = verdict;
  const call = await getAgentCall(tx, approval.agentRun, approval.callId);
  if (call === undefined) throw new Error('an approval without its call');
  const edit = verdict.arguments === undefined ? undefined : edited(run, approval, call.step, verdict.arguments);
  await closeApproval(tx, approval.id, { state, by, at, reason: reason ?? null, hash: edit?.hash ?? approval.hash, preview: edit?.preview ?? approval.preview });
  if (edit !== undefined) await editAgentCall(tx, call.agentRun, call.callId, edit);
  await changeAgentCall(tx, call.agentRun, call.callId, { state: state === 'Approved' ? 'Requested' : 'Completed' });
  const decided: NewAgentEvent = { kind: 'ApprovalDecided', payload: {
    step: call.step, callId: call.callId, approval: approval.id, decision: state, by,
    ...(reason === undefined ? {} : { reason: reason.slice(0, 1_024) }), ...(edit === undefined ? {} : { arguments: edit.text }),
  } };
  const events = state === 'Approved' ? [decided] : [decided, completed(call.step, call.callId, call.tool, rejection(state, reason), true)];
  return { events, set: { ...await stillWaiting(tx, run, 1), pendingApprovals: Math.max(0, run.pendingApprovals - 1) } };
}

function rejection(state: 'Rejected' | 'Expired', reason: string | undefined): string {
  const why = reason === undefined ? '' : `: ${reason.slice(0, 1_024)}`;
  return state === 'Rejected' ? `The call was not made. A person rejected it${why}` : 'The call was not made: it needed an approval, and nobody decided in time.';
}

interface Edit { readonly text: string; readonly arguments: Uint8Array<ArrayBuffer>; readonly argsHash: string; readonly key: string; readonly hash: string; readonly preview: Uint8Array<ArrayBuffer> }

/** Other arguments are another call: another hash, another key. */
function edited(run: AgentRunRow, approval: ApprovalRow, step: number, args: unknown): Edit {
  const preview: ApprovalPreview = JSON.parse(new TextDecoder().decode(approval.preview));
  const text = canonicalJson(args);
  return {
    text, arguments: Buffer.from(text), argsHash: argumentsHash(args), key: callKey(approval.agentRun, step, approval.callId, args),
    hash: approvalHash({ revision: run.revision, tool: preview.tool, schemaHash: preview.schemaHash, arguments: args }),
    preview: Buffer.from(JSON.stringify({ ...preview, arguments: args })),
  };
}

/** What a person knows of a call whose outcome is unknown. */
export interface DoubtVerdict {
  readonly namespace: string;
  readonly agentRun: string;
  readonly callId: string;
  /** It happened (with its result), it did not (it is sent again), or the run stops. */
  readonly verdict: 'Happened' | 'DidNotHappen' | 'Stop';
  /** Happened: what the tool would have answered, for the model. */
  readonly result?: string;
  readonly by: string;
  readonly at: number;
}

/** Settles a call in doubt. */
export async function settleDoubt(db: Db, verdict: DoubtVerdict): Promise<Decided> {
  const { namespace, agentRun, callId, result } = verdict;
  if (result !== undefined && (verdict.verdict !== 'Happened' || Buffer.byteLength(result) > MAX_TEXT)) return refuse('InvalidArguments', 'a result of at most 64 KiB belongs to the verdict Happened');
  const appended = await appendToAgentRun<Refusal | undefined>(db, agentRun, verdict.at, async (run, tx) => {
    const call = await getAgentCall(tx, agentRun, callId);
    if (run.namespace !== namespace || call === undefined) return { events: [], result: refuse('NotFound', 'there is no such call') };
    if (run.finishedAt !== null) return { events: [], result: refuse('RunEnded', `the agent run has ended: ${run.phase}`) };
    if (call.state !== 'InDoubt') return { events: [], result: refuse('NotInDoubt', 'the outcome of this call is not in doubt') };
    return { ...await writeSettled(tx, run, { step: call.step, tool: call.tool }, verdict), result: undefined };
  });
  if (appended === undefined) return refuse('NotFound', 'there is no such call');
  return appended.result ?? { ok: true, wake: wakeOf(appended.run) };
}

async function writeSettled(tx: Executor, run: AgentRunRow, { step, tool }: { readonly step: number; readonly tool: string }, { agentRun, callId, verdict, result, by }: DoubtVerdict): Promise<Omit<Appending<unknown>, 'result'>> {
  const settled: NewAgentEvent = { kind: 'DoubtSettled', payload: { step, callId, verdict, by, ...(result === undefined ? {} : { result }) } };
  await changeAgentCall(tx, agentRun, callId, { state: verdict === 'DidNotHappen' ? 'Requested' : 'Completed' });
  const set = await stillWaiting(tx, run, 1);
  if (verdict === 'DidNotHappen') return { events: [settled], set };
  if (verdict === 'Happened') return { events: [settled, completed(step, callId, tool, result ?? 'The call happened; its result is not known.', false)], set };
  const message = `${by} stopped the run: the outcome of ${tool} is unknown`;
  return {
    events: [settled, { kind: 'RunCompleted', payload: { phase: 'Failed', reason: 'StoppedInDoubt', message } }],
    set: { awaited: 0, pendingApprovals: 0, phase: 'Failed', reason: 'StoppedInDoubt', message },
  };
}

/** A new limit of a budget account. */
export interface Raise {
  readonly namespace: string;
  readonly account: string;
  readonly limit: Limit;
  readonly by: string;
  readonly at: number;
}

/** Reason of an agent run that waits for its budget to be raised (phase WaitingInput); `awaited` counts it once. */
export const BUDGET_PAUSED = 'BudgetPaused';

const PAUSED: Statement = {
  name: 'agent-runs-paused',
  text: `SELECT a.id FROM agent_run a WHERE a.finished_at IS NULL AND a.reason = '${BUDGET_PAUSED}' AND $1::text = ANY (a.accounts) ORDER BY a.id`,
};
const ACCOUNT: Statement = { name: 'budget-account-namespace', text: 'SELECT namespace FROM budget_account WHERE key = $1::text' };

/** Sets the limit of an account and lets every run go on that waits for it. A run that meets another limit pauses again. */
export async function raiseBudget(db: Db, { namespace, account, limit, by, at }: Raise): Promise<{ readonly ok: true; readonly wakes: readonly Wake[] } | Refusal> {
  const [owner] = await db.query<{ namespace: string }>(ACCOUNT, [account]);
  if (owner?.namespace !== namespace) return refuse('NotFound', 'there is no such budget');
  if ((limit.tokens !== null && limit.tokens < 0) || (limit.nano !== null && limit.nano < 0n)) return refuse('NotRaised', 'a limit is not negative');
  await raiseAccount(db, account, limit);
  const wakes: Wake[] = [];
  for (const { id } of await db.query<{ id: string }>(PAUSED, [account])) {
    const wake = await db.transaction((tx) => resumePaused(tx, id, { account, limit, by, at }));
    if (wake !== undefined) wakes.push(wake);
  }
  return { ok: true, wakes };
}

async function resumePaused(tx: Executor, id: string, { account, limit, by, at }: Omit<Raise, 'namespace'>): Promise<Wake | undefined> {
  const run = await lockAgentRun(tx, id);
  if (run === undefined || run.finishedAt !== null || run.reason !== BUDGET_PAUSED) return undefined;
  const raised: NewAgentEvent = { kind: 'BudgetRaised', payload: {
    account, by, limit: journaledLimit(limit),
  } };
  const written = await writeAppending(tx, run, at, { events: [raised], set: { awaited: Math.max(0, run.awaited - 1), reason: null, message: null }, result: undefined });
  return wakeOf(written.run);
}

/** A call whose outcome is unknown. */
export interface DoubtRow {
  readonly agentRun: string;
  readonly callId: string;
  readonly namespace: string;
  readonly step: number;
  readonly tool: string;
  readonly arguments: Uint8Array;
  readonly createdAt: number;
}

const DOUBT = `c.agent_run AS "agentRun", c.call_id AS "callId", c.namespace, c.step, c.tool, c.arguments, c.created_at AS "createdAt"`;
const PLACE = '(c.created_at, c.agent_run, c.call_id) > ($2::timestamptz, $3::uuid, $4::text) ORDER BY c.created_at, c.agent_run, c.call_id LIMIT $5::int4';
const DOUBTS: Statement = { name: 'agent-doubts', text: `SELECT ${DOUBT} FROM agent_call c WHERE c.state = 'InDoubt' AND c.namespace = $1::text AND ${PLACE}` };
const DOUBTS_OF: Statement = { name: 'agent-doubts-of', text: `SELECT ${DOUBT} FROM agent_call c WHERE c.state = 'InDoubt' AND c.namespace = $1::text AND c.agent_run = $6::uuid AND ${PLACE}` };

/** Window on calls in doubt, the oldest first. */
export interface DoubtQuery {
  readonly namespace: string;
  readonly agentRun?: string;
  readonly after?: Pick<DoubtRow, 'createdAt' | 'agentRun' | 'callId'>;
  /** 1 to 500; clamped. */
  readonly first: number;
}

/** Calls in doubt of a namespace, oldest first; of one agent run where it is given. */
export async function listDoubts(db: Executor, { namespace, agentRun, after, first }: DoubtQuery): Promise<Page<DoubtRow>> {
  const limit = clamp(first);
  const from = [namespace, after === undefined ? '-infinity' : iso(after.createdAt), after?.agentRun ?? FIRST_ID, after?.callId ?? '', limit + 1];
  return cut(await (agentRun === undefined ? db.query<DoubtRow>(DOUBTS, from) : db.query<DoubtRow>(DOUBTS_OF, [...from, agentRun])), limit);
}

/** Whether the newest approval of a call allows exactly this; undefined where none was ever asked for. */
export async function approvedExactly(db: Executor, agentRun: string, callId: string, hash: string): Promise<boolean | undefined> {
  const approval = await approvalOfCall(db, agentRun, callId);
  return approval === undefined ? undefined : approval.state === 'Approved' && approval.hash === hash;
}

function completed(step: number, callId: string, tool: string, text: string, isError: boolean): NewAgentEvent {
  return { kind: 'ToolCompleted', payload: { step, callId, tool, text, isError, bytes: Buffer.byteLength(text), truncated: false, ms: 0 } };
}

/** How a run stands after a decision. */
export function wakeOf(run: AgentRunRow): Wake {
  const { id, namespace, runId, node, item, phase, seq, awaited } = run;
  return { agentRun: id, namespace, runId, node, item, phase, seq, ready: awaited === 0 };
}

/** A refused decision. */
export function refuse(code: RefusalCode, message: string): Refusal {
  return { ok: false, code, message };
}
