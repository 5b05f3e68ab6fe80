import { z } from 'zod';
import { callId } from '../../crds/agent-run.ts';
import { answersOf, questionsOf } from '../../prisma/store/index.ts';
import type { ApprovalRow, ApprovalState, DoubtRow, InputRow, InputState } from '../../prisma/store/index.ts';
import { jsonOf, storedAs } from '../graphql/json.ts';
import { defineEntity } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { anyJson, id, oneOf, time } from '../operations/fields.ts';

/* What people are asked about, as the API shows it. */

/** Where an approval stands. */
export const approvalState = oneOf('AgentApprovalState', 'Where an approval stands; only Pending is ever left.', {
  Pending: 'It waits.', Approved: 'The call is made.', Rejected: 'The call is not made.', Expired: 'Nobody decided in time: the call is not made.', Voided: 'The agent run has ended meanwhile.',
} satisfies Record<ApprovalState, string>);

const call = callId.describe('Which call of it.');
const args = anyJson('The arguments. They may come from a model that read hostile text: look at them.', 5);

/** An approval. */
export const AgentApproval = defineEntity('AgentApproval', 'A decision that is asked of people about one call of a tool.', z.object({
  id: id('Its id.'), agentRunId: id('The agent run that waits.'), callId: call, namespace: z.string().describe('Its namespace.'), tool: z.string().describe('The tool.'),
  hash: z.string().describe('Over revision, tool, its schema and the arguments: give it with the decision.'), arguments: args, why: z.string().describe('Why it is asked for.'),
  approvers: z.array(z.string()).describe('Users and groups who may decide; empty: whoever has the right.'), fourEyes: z.boolean().describe('Whether it takes another person than the one who started the run.'), state: approvalState, expiresAt: time('It is good until then.'),
  decidedBy: z.string().nullable().describe('Who decided.'), decidedAt: time('When.').nullable(), reason: z.string().nullable().describe('What they said.'), createdAt: time('When it was asked for.'),
}));

/** A call in doubt. */
export const AgentDoubt = defineEntity('AgentDoubt', 'A call that was sent, and of which nobody knows whether it happened.', z.object({
  agentRunId: id('The agent run that waits.'), callId: call, namespace: z.string().describe('Its namespace.'), step: z.int().describe('The answer of the model that asked for it.'),
  tool: z.string().describe('The tool.'), arguments: args, createdAt: time('When it was asked for.'),
}));

/** Where a question of a tool stands. */
export const inputState = oneOf('AgentInputState', 'Where what a tool asks stands; only Pending is ever left.', {
  Pending: 'It waits.', Answered: 'Somebody answered.', Expired: 'Nobody answered in time: the tool was told `cancel`.', Voided: 'The agent run has ended meanwhile.',
} satisfies Record<InputState, string>);

/** One question of a tool. */
export const AgentQuestion = defineEntity('AgentQuestion', 'One form that a tool asks a person to fill in.', z.object({
  key: z.string().describe('Its name; the answer goes by it.'), message: z.string().describe('What it says. It was written by the tool: give it no secrets.'), schema: anyJson('JSON Schema of the answer: an object of plain fields.', 5),
}));

/** What a tool asks. */
export const AgentInput = defineEntity('AgentInput', 'What a tool asks a person in the middle of a call, by `input_required` of MCP.', z.object({
  id: id('Its id.'), agentRunId: id('The agent run that waits.'), callId: call, namespace: z.string().describe('Its namespace.'), tool: z.string().describe('The tool that asks.'),
  round: z.int().describe('How often this call has asked, this time included.'), hash: z.string().describe('Over revision, tool, arguments and questions: give it with the answer.'),
  questions: z.array(AgentQuestion.schema).describe('What is asked; all of it is answered at once.'), answerers: z.array(z.string()).describe('Users and groups who may answer; empty: whoever has the right.'),
  state: inputState, expiresAt: time('It can be answered until then.'), answeredBy: z.string().nullable().describe('Who answered.'), answeredAt: time('When.').nullable(),
  answers: anyJson('What was answered, by the keys of the questions; null before.'), createdAt: time('When it was asked.'),
}));

const previewSchema = z.object({ arguments: z.unknown(), reason: z.string().default('') });

/** An approval from its row. */
export function approvalEntity(row: ApprovalRow): EntityValue<typeof AgentApproval> {
  const { id: approvalId, agentRun, callId: of, namespace, tool, hash, approvers, fourEyes, state, decidedBy, decidedAt, reason } = row;
  const preview = storedAs(previewSchema, row.preview);
  return {
    id: approvalId, agentRunId: agentRun, callId: of, namespace, tool, hash, arguments: preview?.arguments ?? null, why: preview?.reason ?? '', approvers: [...approvers], fourEyes, state,
    expiresAt: new Date(row.expiresAt).toISOString(), decidedBy, decidedAt: decidedAt === null ? null : new Date(decidedAt).toISOString(), reason, createdAt: new Date(row.createdAt).toISOString(),
  };
}

/** What a tool asks, from its row. */
export function inputEntity(row: InputRow): EntityValue<typeof AgentInput> {
  const { id: inputId, agentRun, callId: of, namespace, tool, round, hash, answerers, state, decidedBy, decidedAt } = row;
  return {
    id: inputId, agentRunId: agentRun, callId: of, namespace, tool, round, hash, questions: questionsOf(row).map(({ key, message, schema }) => ({ key, message, schema })), answerers: [...answerers], state,
    expiresAt: new Date(row.expiresAt).toISOString(), answeredBy: decidedBy, answeredAt: decidedAt === null ? null : new Date(decidedAt).toISOString(), answers: answersOf(row) ?? null,
    createdAt: new Date(row.createdAt).toISOString(),
  };
}

/** A call in doubt from its row. */
export function doubtEntity({ agentRun, callId: of, namespace, step, tool, arguments: given, createdAt }: DoubtRow): EntityValue<typeof AgentDoubt> {
  return { agentRunId: agentRun, callId: of, namespace, step, tool, arguments: jsonOf(given), createdAt: new Date(createdAt).toISOString() };
}
