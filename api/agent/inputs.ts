import { z } from 'zod';
import { inputAnswersSchema } from '../../crds/agent-run.ts';
import { canonicalJson } from '../../crds/canonical.ts';
import { answerProblems } from '../../engine/index.ts';
import { answerInput, answersOf, inputById, listInputs, questionsOf } from '../../prisma/store/index.ts';
import type { InputRow } from '../../prisma/store/index.ts';
import { page } from '../operations/entity.ts';
import { anyJson, id, pageFields } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { Operation, OperationContext, Reached } from '../operations/operation.ts';
import { defined, pageInput, pageValue } from '../operations/paging.ts';
import { InvalidInput } from '../operations/problems.ts';
import { objectName } from '../workflow/names.ts';
import { AgentInput, inputEntity, inputState } from './decision-entities.ts';
import { gone, isRepeated, namesOf, told } from './decisions.ts';
import { tellAndWake } from './wake.ts';

/* What tools ask people in the middle of a call, and the answers. */

const ORDER = 'agent-input';
const which = id('Which of what is asked.');

async function reachInput({ services }: OperationContext, input: { id: string }): Promise<Reached<InputRow> | undefined> {
  const row = await inputById(services.db, input.id);
  return row === undefined ? undefined : { target: { kind: 'namespace', resource: 'agentapprovals', namespace: row.namespace }, row };
}

function invalid(problems: readonly string[]): InvalidInput {
  return new InvalidInput(problems.map((message) => ({ field: 'answers', reason: 'FieldInvalid', message })));
}

const answer = defineMutation({
  name: 'answerAgentInput', summary: 'Answers what a tool asks a person in the middle of a call.',
  description: 'Bound to the hash that was shown: what is asked otherwise by now is not answered. Each question is accepted with its content, declined, or cancelled, as MCP has it; the content is checked against the form, and the call goes on with it.',
  rest: { method: 'POST', path: '/agent-inputs/{id}/answer' },
  input: z.strictObject({
    id: which, hash: z.string().regex(/^[0-9a-f]{64}$/, 'is no hash: 64 hexadecimal digits').describe('Hash of what is asked, as it was shown.'),
    answers: anyJson('By the key of each question: {"action": "accept", "content": {…}}, {"action": "decline"} or {"action": "cancel"}.'),
  }),
  output: AgentInput, right: { verb: 'patch', resource: 'agentapprovals', on: 'namespace' }, reach: reachInput,
  // What was answered may be personal: the journal of the run has it, the audit says who answered what.
  audit: ({ hash, answers }) => ({ hash, actions: actionsOf(answers) }),
  effect: async (context, { hash, answers }, row) => {
    const { services, principal } = context;
    const parsed = inputAnswersSchema.safeParse(answers);
    if (!parsed.success) throw invalid(parsed.error.issues.slice(0, 10).map(({ path, message }) => `answers.${path.join('.')}: ${message}`));
    const problems = await answerProblems(questionsOf(row), parsed.data);
    if (problems.length > 0) throw invalid(problems);
    const outcome = await answerInput(services.db, { namespace: row.namespace, input: row.id, hash, answers: parsed.data, by: principal.name, names: namesOf(principal), at: services.clock.now() });
    if (!outcome.ok && !(isRepeated(outcome, 'Answered', principal.name) && await isSame(context, row.id, parsed.data))) throw told(outcome);
    if (outcome.ok) tellAndWake(context, outcome.wake);
    return undefined;
  },
  run: async ({ services }, _input, row) => inputEntity(await inputById(services.db, row.id) ?? gone()),
});

function actionsOf(answers: unknown): readonly string[] {
  const parsed = inputAnswersSchema.safeParse(answers);
  return parsed.success ? Object.values(parsed.data).map(({ action }) => action).slice(0, 16) : [];
}

/** The same answer again, whose first reply was lost, is no second one; another answer is. */
async function isSame({ services }: OperationContext, input: string, answers: unknown): Promise<boolean> {
  const row = await inputById(services.db, input);
  return row !== undefined && canonicalJson(answersOf(row) ?? null) === canonicalJson(answers);
}

/** Operations on what tools ask. */
export const inputOperations: readonly Operation[] = [
  defineList({
    name: 'agentInputs', summary: 'What tools ask people of a namespace, the newest first.', rest: { method: 'GET', path: '/agent-inputs' },
    input: z.strictObject({ namespace: objectName('Kubernetes namespace.'), state: inputState.optional(), agentRunId: id('Only what this agent run waits for.').optional(), ...pageFields }),
    output: page(AgentInput), right: { verb: 'list', resource: 'agentapprovals', on: 'namespace' },
    run: async ({ services }, { namespace, state, agentRunId, ...rest }) => {
      const { first, after } = pageInput(ORDER, rest);
      const { rows, hasMore } = await listInputs(services.db, {
        namespace, first, ...defined({ state, agentRun: agentRunId }), ...(after === undefined ? {} : { after: { createdAt: z.number().parse(after.value), id: after.id } }),
      });
      return pageValue(ORDER, { items: rows.map(inputEntity), hasMore }, after !== undefined, (item) => [Date.parse(item.createdAt), item.id]);
    },
  }),
  defineQuery({
    name: 'agentInput', summary: 'What one tool asks, with its form.', rest: { method: 'GET', path: '/agent-inputs/{id}' }, input: z.strictObject({ id: which }), output: AgentInput,
    right: { verb: 'get', resource: 'agentapprovals', on: 'namespace' }, reach: reachInput, run: (_, _input, row) => Promise.resolve(inputEntity(row)),
  }),
  answer,
];

