import { z } from 'zod';
import { revisionSpecSchema } from '../../crds/agent-revision.ts';
import { argumentProblems } from '../../engine/index.ts';
import { approvalById, decideApproval, getAgentRun, getApproval, getRevision, listApprovals, listDoubts, settleDoubt } from '../../prisma/store/index.ts';
import type { ApprovalRow, Decided, DoubtQuery, ListCursor, Refusal } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { storedAs } from '../graphql/json.ts';
import { foreignCursor } from '../graphql/paging.ts';
import { page } from '../operations/entity.ts';
import { anyJson, id, oneOf, pageFields, text } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { Operation, OperationContext, Reached } from '../operations/operation.ts';
import { defined, pageInput, pageValue } from '../operations/paging.ts';
import { InvalidInput, invalidField } from '../operations/problems.ts';
import type { Principal } from '../ports.ts';
import { objectName } from '../workflow/names.ts';
import { AgentApproval, AgentDoubt, approvalEntity, approvalState, doubtEntity } from './decision-entities.ts';
import { AgentRunDetails } from './run-entities.ts';
import { agentRunDetails, reachAgentRun } from './run-operations.ts';
import { tellAndWake } from './wake.ts';

/* What people decide while an agent waits. The store commits a decision and its event in one transaction; what follows here only tells of it. */

const ORDER = 'agent-approval';
const DOUBT_ORDER = 'agent-doubt';
const namespace = objectName('Kubernetes namespace.');
const which = id('Which approval.');
const decision = oneOf('AgentDecision', 'What to do with the call.', { Approve: 'It is made, exactly as decided.', Reject: 'It is not made; the model is told so, and why.' });
const verdict = oneOf('AgentVerdict', 'What is known of a call in doubt.', { Happened: 'It was carried out.', DidNotHappen: 'It was not: it is sent again.', Stop: 'Nobody can tell: the run ends as Failed.' });

async function reachApproval({ services }: OperationContext, input: { id: string }): Promise<Reached<ApprovalRow> | undefined> {
  const row = await approvalById(services.db, input.id);
  return row === undefined ? undefined : { target: { kind: 'namespace', resource: 'agentapprovals', namespace: row.namespace }, row };
}

/** Whoever knows a principal under which names: the approvers of a policy are users and groups. */
export function namesOf(principal: Principal): readonly string[] {
  if (principal.kind === 'kubernetes') return [principal.name, ...principal.groups];
  return principal.email !== undefined && principal.emailVerified ? [principal.name, principal.email] : [principal.name];
}

/** Edited arguments are checked against the tool as the revision of the run has it, before anything is decided. */
async function demandArguments({ services }: OperationContext, approval: ApprovalRow, args: unknown): Promise<void> {
  const run = await getAgentRun(services.db, approval.agentRun);
  const revision = run === undefined ? undefined : storedAs(revisionSpecSchema, await getRevision(services.db, run.revision) ?? null);
  const tool = revision?.tools.find(({ display }) => display === approval.tool);
  if (tool === undefined) throw new ApiError('CONFLICT', `the tool ${approval.tool} is not in the revision of this run any more: reject the call`);
  const problems = await argumentProblems(tool, args);
  if (problems.length > 0) throw new InvalidInput(problems.map((message) => ({ field: 'arguments', reason: 'FieldInvalid', message })));
}

/** What a caller is told of a refusal. */
export function told({ code, message }: Refusal): ApiError {
  switch (code) {
    case 'NotFound': return new ApiError('NOT_FOUND', 'it does not exist or is not yours');
    case 'NotAnApprover':
    case 'FourEyes': return new ApiError('FORBIDDEN', message);
    case 'InvalidArguments': return invalidField('arguments', undefined, message);
    case 'HashMismatch':
    case 'AlreadyDecided':
    case 'Expired':
    case 'RunEnded':
    case 'NotInDoubt':
    case 'NotRaised': return new ApiError('CONFLICT', message);
  }
}

/** A repetition of one's own decision, whose answer was lost, is no second one. */
export function isRepeated(outcome: Decided, state: string, by: string): boolean {
  return !outcome.ok && outcome.code === 'AlreadyDecided' && outcome.decided?.state === state && outcome.decided.by === by;
}

const decide = defineMutation({
  name: 'decideAgentApproval', summary: 'Approves or rejects the call of a tool.',
  description: 'Bound to the hash that the decider was shown: what is otherwise by now is refused. Edited arguments are checked against the schema of the tool and replace those of the model.',
  rest: { method: 'POST', path: '/agent-approvals/{id}/decision' },
  input: z.strictObject({
    id: which, hash: z.string().regex(/^[0-9a-f]{64}$/, 'is no hash: 64 hexadecimal digits').describe('Hash of the approval as it was shown.'), decision,
    reason: text(1_024, 'Why; the model reads it after a rejection.').optional(), arguments: anyJson('Whole arguments in place of those shown; only with Approve.').optional(),
  }),
  output: AgentApproval, right: { verb: 'patch', resource: 'agentapprovals', on: 'namespace' }, reach: reachApproval, audit: ({ hash, decision: what, arguments: args }) => ({ hash, decision: what, edited: args !== undefined }),
  effect: async (context, { hash, decision: what, reason, arguments: args }, row) => {
    const { services, principal } = context;
    if (args !== undefined && what === 'Reject') throw invalidField('arguments', undefined, 'a rejected call has no arguments: leave them out');
    if (args !== undefined) await demandArguments(context, row, args);
    const outcome = await decideApproval(services.db, {
      namespace: row.namespace, approval: row.id, hash, decision: what, by: principal.name, names: namesOf(principal), at: services.clock.now(), ...defined({ reason, arguments: args }),
    });
    if (!outcome.ok && !isRepeated(outcome, what === 'Approve' ? 'Approved' : 'Rejected', principal.name)) throw told(outcome);
    if (outcome.ok) tellAndWake(context, outcome.wake);
    return undefined;
  },
  run: async ({ services }, _input, { namespace: place, id: approval }) => approvalEntity(await getApproval(services.db, place, approval) ?? gone()),
});

const settle = defineMutation({
  name: 'settleAgentDoubt', summary: 'Says what became of a call whose outcome nobody could know.', rest: { method: 'POST', path: '/agent-runs/{id}/calls/{callId}/settlement' },
  input: z.strictObject({ id: id('Which agent run.'), callId: z.string().min(1).max(128).describe('Which call of it.'), verdict, result: text(65_536, 'Happened: what the tool would have answered, for the model.').optional() }),
  output: AgentRunDetails, right: { verb: 'patch', resource: 'agentapprovals', on: 'namespace' }, audit: ({ callId, verdict: what }) => ({ callId, verdict: what }),
  reach: async (context, input) => {
    const reached = await reachAgentRun(context, input);
    return reached === undefined ? undefined : { row: reached.row, target: { kind: 'namespace', resource: 'agentapprovals', namespace: reached.row.namespace } };
  },
  effect: async (context, { callId, verdict: what, result }, row) => {
    const { services, principal } = context;
    const outcome = await settleDoubt(services.db, { namespace: row.namespace, agentRun: row.id, callId, verdict: what, by: principal.name, at: services.clock.now(), ...defined({ result }) });
    if (!outcome.ok) throw told(outcome);
    tellAndWake(context, outcome.wake);
    return undefined;
  },
  run: async (context, _input, row) => agentRunDetails(context, await getAgentRun(context.services.db, row.id) ?? gone()),
});

const doubtPlaceSchema = z.string().regex(/^\d{1,16} .{1,128}$/s);

/** Where a page of doubts begins: after the moment, the agent run and the call of the one before. */
function doubtPlace({ value, id: agentRun }: ListCursor): NonNullable<DoubtQuery['after']> {
  const text = doubtPlaceSchema.safeParse(value);
  if (!text.success) throw foreignCursor();
  const at = text.data.indexOf(' ');
  return { createdAt: Number(text.data.slice(0, at)), agentRun, callId: text.data.slice(at + 1) };
}

export function gone(): never {
  throw new ApiError('NOT_FOUND', 'it has been deleted meanwhile');
}

/** Operations on approvals and doubts. */
export const decisionOperations: readonly Operation[] = [
  defineList({
    name: 'agentApprovals', summary: 'What agents of a namespace ask people about, the newest first.', rest: { method: 'GET', path: '/agent-approvals' },
    input: z.strictObject({ namespace, state: approvalState.optional(), agentRunId: id('Only those of this agent run.').optional(), ...pageFields }), output: page(AgentApproval),
    right: { verb: 'list', resource: 'agentapprovals', on: 'namespace' },
    run: async ({ services }, { namespace: place, state, agentRunId, ...rest }) => {
      const { first, after } = pageInput(ORDER, rest);
      const { rows, hasMore } = await listApprovals(services.db, {
        namespace: place, first, ...defined({ state, agentRun: agentRunId }), ...(after === undefined ? {} : { after: { createdAt: z.number().parse(after.value), id: after.id } }),
      });
      return pageValue(ORDER, { items: rows.map(approvalEntity), hasMore }, after !== undefined, (item) => [Date.parse(item.createdAt), item.id]);
    },
  }),
  defineQuery({
    name: 'agentApproval', summary: 'One approval, with what it is about.', rest: { method: 'GET', path: '/agent-approvals/{id}' }, input: z.strictObject({ id: which }), output: AgentApproval,
    right: { verb: 'get', resource: 'agentapprovals', on: 'namespace' }, reach: reachApproval, run: (_, _input, row) => Promise.resolve(approvalEntity(row)),
  }),
  decide,
  defineList({
    name: 'agentDoubts', summary: 'Calls of a namespace whose outcome nobody knows, the oldest first.', rest: { method: 'GET', path: '/agent-doubts' },
    input: z.strictObject({ namespace, agentRunId: id('Only those of this agent run.').optional(), ...pageFields }), output: page(AgentDoubt), right: { verb: 'list', resource: 'agentapprovals', on: 'namespace' },
    run: async ({ services }, { namespace: place, agentRunId, ...rest }) => {
      const { first, after } = pageInput(DOUBT_ORDER, rest);
      const from = after === undefined ? undefined : doubtPlace(after);
      const { rows, hasMore } = await listDoubts(services.db, { namespace: place, first, ...defined({ agentRun: agentRunId, after: from }) });
      return pageValue(DOUBT_ORDER, { items: rows.map(doubtEntity), hasMore }, after !== undefined, (item) => [`${Date.parse(item.createdAt)} ${item.callId}`, item.agentRunId]);
    },
  }),
  settle,
];
