import { z } from 'zod';
import { nanoOfUsd, usdOfNano } from '../../crds/money.ts';
import { getAgentRun, getBudgetLimit, listBudgetLimits, raiseBudget, readAccounts, setBudgetLimit } from '../../prisma/store/index.ts';
import type { AgentRunRow, BudgetLevel, Limit, SetLimitRow } from '../../prisma/store/index.ts';
import { demand } from '../auth/can.ts';
import { ApiError } from '../errors.ts';
import { decodeCursor, encodeCursor, pageSize } from '../graphql/paging.ts';
import { defineEntity, page } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { id, oneOf, pageFields, time } from '../operations/fields.ts';
import { defineList, defineMutation } from '../operations/operation.ts';
import type { Operation, OperationContext } from '../operations/operation.ts';
import { invalidField, InvalidInput } from '../operations/problems.ts';
import { objectName } from '../workflow/names.ts';
import { AgentRunDetails } from './run-entities.ts';
import { agentRunDetails, reachAgentRun } from './run-operations.ts';
import { tellAndWake } from './wake.ts';

/* What agents may spend. A run's own limits are raised by whoever manages the project; those of a day, and of the namespace, by administrators. */

const namespace = objectName('Kubernetes namespace.');
const level = oneOf('BudgetLevel', 'What a budget is for.', {
  AgentRun: 'One agent run, with those it starts.', Run: 'One run at the top, with all below it.', AgentDay: 'One Agent, on one day (UTC).', NamespaceDay: 'A namespace, on one day (UTC).',
} satisfies Record<BudgetLevel, string>);
const tokens = z.int().min(0).max(Number.MAX_SAFE_INTEGER).nullable().optional().describe('Tokens at most; null for any number.');
const usd = z.number().min(0).max(1_000_000_000).nullable().optional().describe('USD at most; null for any amount.');

/** A limit that was set. */
export const BudgetLimit = defineEntity('BudgetLimit', 'A limit set by an administrator, over that of the installation. It holds for what begins after it.', z.object({
  namespace: z.string().describe('Its namespace.'), level, agent: z.string().nullable().describe('Of AgentDay: the Agent; null for all that have none of their own.'),
  tokens: z.number().nullable().describe('Tokens at most; null for any number.'), usd: z.string().nullable().describe('USD at most, decimal text; null for any amount.'),
  updatedBy: z.string().describe('Who set it.'), updatedAt: time('When.'),
}));

function limitEntity({ namespace: place, level: on, name, limit, updatedBy, updatedAt }: SetLimitRow): EntityValue<typeof BudgetLimit> {
  return { namespace: place, level: on, agent: name === '' ? null : name, tokens: limit.tokens, usd: limit.nano === null ? null : usdOfNano(limit.nano), updatedBy, updatedAt: new Date(updatedAt).toISOString() };
}

/** Money as the tables have it. Nothing at all is a limit too. */
function nanoOf(amount: number): bigint {
  return amount === 0 ? 0n : BigInt(nanoOfUsd(amount));
}

const limitPlace = z.tuple([z.string().max(64), z.string().max(253)]);

interface Given { readonly tokens?: number | null | undefined; readonly usd?: number | null | undefined }

/** What is left out stays as it is. */
function changed(before: Limit, given: Given): Limit {
  if (given.tokens === undefined && given.usd === undefined) throw new InvalidInput([{ field: '', reason: 'Required', message: 'changes nothing: give tokens, usd or both' }]);
  return { tokens: given.tokens === undefined ? before.tokens : given.tokens, nano: given.usd === undefined ? before.nano : given.usd === null ? null : nanoOf(given.usd) };
}

async function raise(context: OperationContext, row: AgentRunRow, on: BudgetLevel, given: Given): Promise<void> {
  const { services, principal } = context;
  if (on === 'AgentDay' || on === 'NamespaceDay') await demand(services.can, principal, 'patch', { kind: 'installation', resource: 'budgets' });
  const account = (await readAccounts(services.db, row.accounts)).find((each) => each.level === on);
  if (account === undefined) throw invalidField('level', on, 'no budget of that level pays for this agent run');
  const outcome = await raiseBudget(services.db, { namespace: account.namespace, account: account.key, limit: changed(account.limit, given), by: principal.name, at: services.clock.now() });
  if (!outcome.ok) throw new ApiError(outcome.code === 'NotFound' ? 'NOT_FOUND' : 'CONFLICT', outcome.message);
  for (const wake of outcome.wakes) tellAndWake(context, wake);
}

/** Operations on budgets. */
export const budgetOperations: readonly Operation[] = [
  defineMutation({
    name: 'raiseAgentBudget', summary: 'Sets the limit of a budget that pays for an agent run; what waits for it goes on.', description: 'Budgets of a day are for administrators.',
    rest: { method: 'POST', path: '/agent-runs/{id}/budget' }, input: z.strictObject({ id: id('Which agent run.'), level, tokens, usd }), output: AgentRunDetails,
    right: { verb: 'patch', resource: 'agentruns', on: 'namespace' }, reach: reachAgentRun, audit: ({ level: on }) => ({ level: on }),
    effect: (context, { level: on, ...given }, row) => raise(context, row, on, given),
    run: async (context, _input, row) => agentRunDetails(context, await getAgentRun(context.services.db, row.id) ?? row),
  }),
  defineList({
    name: 'budgetLimits', summary: 'Limits that were set in a namespace.', rest: { method: 'GET', path: '/budget-limits' }, input: z.strictObject({ namespace, ...pageFields }), output: page(BudgetLimit),
    right: { verb: 'list', resource: 'budgets', on: 'installation', admin: true },
    run: async ({ services }, { namespace: place, first, after }) => {
      const from = decodeCursor(limitPlace, after);
      const { rows, hasMore } = await listBudgetLimits(services.db, place, from === undefined ? undefined : { level: from[0], name: from[1] }, pageSize(first));
      return { items: rows.map(limitEntity), hasMore, started: from !== undefined, cursorOf: (item) => encodeCursor([item.level, item.agent ?? '']) };
    },
  }),
  defineMutation({
    name: 'setBudgetLimit', summary: 'Sets what the agents of a namespace may spend, over the limit of the installation.', rest: { method: 'PUT', path: '/budget-limits' },
    input: z.strictObject({ namespace, level, agent: objectName('Of AgentDay: only this Agent.').optional(), tokens, usd }), output: BudgetLimit,
    right: { verb: 'patch', resource: 'budgets', on: 'installation', admin: true }, audit: ({ namespace: place, level: on }) => ({ namespace: place, level: on }),
    effect: async ({ services, principal }, { namespace: place, level: on, agent, ...given }) => {
      if (agent !== undefined && on !== 'AgentDay') throw invalidField('agent', agent, 'goes with level AgentDay alone');
      const before = (await getBudgetLimit(services.db, { namespace: place, level: on, name: agent ?? '' }))?.limit ?? { tokens: null, nano: null };
      return setBudgetLimit(services.db, { namespace: place, level: on, name: agent ?? '', limit: changed(before, given), updatedBy: principal.name, updatedAt: services.clock.now() });
    },
    run: (_context, _input, _row: undefined, set) => Promise.resolve(limitEntity(set)),
  }),
];
