import { z } from 'zod';
import { agentRunId } from '../../crds/agent-run.ts';
import type { Json } from '../../engine/types.ts';
import { NO_ITEM } from '../../engine/types.ts';
import { agentEvents, getAgent, getAgentRun, listAgentRuns, readAccounts } from '../../prisma/store/index.ts';
import type { AgentRunRow, BudgetAccountRow } from '../../prisma/store/index.ts';
import { usdOfNano } from '../../crds/money.ts';
import { page } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { anyJson, id, pageFields } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { Operation, OperationContext, Reached } from '../operations/operation.ts';
import { defined, pageInput, pageValue } from '../operations/paging.ts';
import { InvalidInput } from '../operations/problems.ts';
import { objectName } from '../workflow/names.ts';
import { startIn } from '../workflow/run-operations.ts';
import { AgentEvent, agentEventEntity, AgentRun, AgentRunDetails, agentRunEntity, agentPhase, outputOf, StartedAgentRun } from './run-entities.ts';
import type { AgentBudget } from './run-entities.ts';

/* Runs of agents: what is there, what happened in them, and how one is started. */

const ORDER = 'agent-run';
const EVENT_ORDER = 'agent-event';
/** Name of the one node that a start over the API makes. */
const NODE = 'agent';
const which = id('Which agent run.');
const byId = z.strictObject({ id: which });
const namespace = objectName('Kubernetes namespace.');

/** What a start of an agent takes beside its place. */
export const startAgentFields = {
  agent: objectName('Name of an Agent of the namespace.'),
  input: anyJson('What it is given, checked against the inputSchema of the agent: a text or any JSON.').optional(),
  conversation: z.string().min(1).max(253).optional().describe('The conversation it goes on with: an id, or a name of your own. One turn at a time.'),
  name: z.string().max(253).optional().describe('Name of the run around it.'),
};

/** An agent run that is there, and its place. */
export async function reachAgentRun({ services }: OperationContext, input: { id: string }): Promise<Reached<AgentRunRow> | undefined> {
  const row = await getAgentRun(services.db, input.id);
  return row === undefined ? undefined : { target: { kind: 'namespace', resource: 'agentruns', namespace: row.namespace }, row };
}

function budgetEntity({ key, level, limit, reserved, spent }: BudgetAccountRow): EntityValue<typeof AgentBudget> {
  return {
    level, key, limitTokens: limit.tokens, limitUsd: limit.nano === null ? null : usdOfNano(limit.nano), reservedTokens: reserved.tokens, reservedUsd: usdOfNano(reserved.nano), spentTokens: spent.tokens,
    spentUsd: usdOfNano(spent.nano),
  };
}

/** An agent run with its output and its budgets. */
export async function agentRunDetails({ services }: OperationContext, row: AgentRunRow): Promise<EntityValue<typeof AgentRunDetails>> {
  const accounts = new Map((await readAccounts(services.db, row.accounts)).map((account) => [account.key, account]));
  const budgets = row.accounts.flatMap((key) => { const account = accounts.get(key); return account === undefined ? [] : [budgetEntity(account)]; });
  return { ...agentRunEntity(row), output: outputOf(row), budgets };
}

/** A start of an agent: what is given travels as input of the run, so no expression in it is ever evaluated. */
export interface AgentStart {
  readonly namespace: string;
  readonly agent: string;
  readonly input: unknown;
  readonly conversation?: string | undefined;
  readonly name?: string | undefined;
}

/** Starts an agent by a run of one node, in a namespace in which the caller may. Throws what the caller can mend. */
export async function startAgent(context: OperationContext, { namespace: place, agent, input, conversation, name }: AgentStart, key: string | undefined): Promise<EntityValue<typeof StartedAgentRun>> {
  if (await getAgent(context.services.db, place, agent) === undefined) throw new InvalidInput([{ field: 'agent', reason: 'NotFound', message: `there is no Agent ${agent} in namespace ${place}: apply it first` }]);
  const talk = conversation === undefined ? {} : { conversation: '${{ inputs.conversation }}' };
  const given: Json = { input: asJson(input), ...(conversation === undefined ? {} : { conversation }) };
  const runId = await startIn(context, {
    namespace: place, name, idempotencyKey: key, input: given,
    definition: { nodes: [{ name: NODE, type: 'agent', with: { agentRef: { name: agent }, input: '${{ inputs.input }}', ...talk } }], outputs: { output: `\${{ nodes.${NODE}.output }}` } },
  });
  return { id: agentRunId(runId, NODE, NO_ITEM), runId, namespace: place, agent, conversation: conversation ?? null };
}

/** It came out of a JSON body or the JSON scalar. */
function asJson(value: unknown): Json {
  return (value ?? null) as Json;
}

/** Operations on runs of agents. */
export const agentRunOperations: readonly Operation[] = [
  defineList({
    name: 'agentRuns', summary: 'Runs of agents of a namespace, the newest first.', rest: { method: 'GET', path: '/agent-runs' },
    input: z.strictObject({ namespace, agent: objectName('Only those of this Agent.').optional(), runId: id('Only those of this run.').optional(), phase: agentPhase.optional(), ...pageFields }),
    output: page(AgentRun), right: { verb: 'list', resource: 'agentruns', on: 'namespace' },
    run: async ({ services }, { namespace: place, agent, runId, phase, ...rest }) => {
      const { first, after } = pageInput(ORDER, rest);
      const { rows, hasMore } = await listAgentRuns(services.db, { namespace: place, first, ...defined({ agent, runId, phase }), ...(after === undefined ? {} : { after: { at: z.number().parse(after.value), id: after.id } }) });
      return pageValue(ORDER, { items: rows.map(agentRunEntity), hasMore }, after !== undefined, (item) => [Date.parse(item.createdAt), item.id]);
    },
  }),
  defineQuery({
    name: 'agentRun', summary: 'One run of an agent, with its output and its budgets.', rest: { method: 'GET', path: '/agent-runs/{id}' }, input: byId, output: AgentRunDetails,
    right: { verb: 'get', resource: 'agentruns', on: 'namespace' }, reach: reachAgentRun, run: (context, _input, row) => agentRunDetails(context, row),
  }),
  defineList({
    name: 'agentSteps', summary: 'What happened in an agent run, event by event, the oldest first: with tokens, cost and time.', rest: { method: 'GET', path: '/agent-runs/{id}/steps' },
    input: z.strictObject({ id: which, fromSeq: z.int().min(1).max(2_147_483_647).optional().describe('The first event wanted; 1 if not given.'), ...pageFields }),
    output: page(AgentEvent), right: { verb: 'get', resource: 'agentruns', on: 'namespace' }, reach: reachAgentRun,
    run: async ({ services }, { fromSeq = 1, ...rest }, row) => {
      const { first, after } = pageInput(EVENT_ORDER, rest);
      const begin = Math.max(fromSeq - 1, after === undefined ? 0 : z.int().parse(after.value));
      const events = await agentEvents(services.db, row.id, begin, first + 1);
      return pageValue(EVENT_ORDER, { items: events.slice(0, first).map((event) => agentEventEntity(row.id, event)), hasMore: events.length > first }, after !== undefined, (item) => [item.seq, item.agentRunId]);
    },
  }),
  defineMutation({
    name: 'startAgentRun', summary: 'Starts an agent.', description: 'Repeating it with the same idempotency key starts nothing new.', rest: { method: 'POST', path: '/agent-runs', status: 201 },
    input: z.strictObject({ namespace, ...startAgentFields }), output: StartedAgentRun, right: { verb: 'create', resource: 'workflowruns', on: 'namespace' }, audit: ({ agent }) => ({ agent }),
    effect: (context, { namespace: place, input, ...rest }, _row: undefined, key) => startAgent(context, { namespace: place, input, ...defined(rest) }, key),
    run: (_context, _input, _row, started) => Promise.resolve(started),
  }),
];
