import { z } from 'zod';
import { inputText } from '../../crds/agent-fold.ts';
import { eventsOfKinds, getTalk, listTalks, listTurns } from '../../prisma/store/index.ts';
import type { AgentRunRow, TalkRow } from '../../prisma/store/index.ts';
import { defineEntity, page } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { anyJson, id, pageFields, time } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { Operation, OperationContext, Reached } from '../operations/operation.ts';
import { pageInput, pageValue } from '../operations/paging.ts';
import { objectName } from '../workflow/names.ts';
import { agentPhase, outputOf, StartedAgentRun } from './run-entities.ts';
import { startAgent } from './run-operations.ts';

/* Conversations: turns that belong together. They are their caller's: somebody else with every right in the namespace is told that they are not there. */

const ORDER = 'agent-conversation';
const TURN_ORDER = 'agent-turn';
const which = id('Which conversation.');
const namespace = objectName('Kubernetes namespace.');

/** A conversation. */
export const AgentConversation = defineEntity('AgentConversation', 'Turns with an agent that belong together. It is its caller\'s alone, and stays with the revision it began with.', z.object({
  id: id('Its id.'), namespace: z.string().describe('Its namespace.'), agent: z.string().describe('Name of the Agent.'), title: z.string().describe('The beginning of its first input.'),
  turns: z.int().describe('Turns so far.'), revision: z.string().nullable().describe('Hash of the revision; null before the first turn.'), createdAt: time('When it began.'), updatedAt: time('When it last went on.'),
}));

/** A turn. */
export const AgentTurn = defineEntity('AgentTurn', 'What was said in one turn.', z.object({
  agentRunId: id('The agent run.'), turn: z.int().describe('Place in the conversation.'), phase: agentPhase, input: z.string().describe('What it was given, as the model reads it.'),
  output: anyJson('What it answered; null until it succeeded.', 5), message: z.string().nullable().describe('Why there is no answer.'), createdAt: time('When.'), finishedAt: time('When it ended.').nullable(),
}));

function conversationOf({ id: talkId, namespace: place, agent, title, turns, revision, createdAt, updatedAt }: TalkRow): EntityValue<typeof AgentConversation> {
  return { id: talkId, namespace: place, agent, title, turns, revision, createdAt: new Date(createdAt).toISOString(), updatedAt: new Date(updatedAt).toISOString() };
}

async function reachTalk({ services, principal }: OperationContext, input: { id: string }): Promise<Reached<TalkRow> | undefined> {
  const row = await getTalk(services.db, input.id);
  if (row?.principal !== principal.name) return undefined;
  return { target: { kind: 'namespace', resource: 'agentruns', namespace: row.namespace }, row };
}

/** To say something is to start a run there. */
async function reachTalkToStart(context: OperationContext, input: { id: string }): Promise<Reached<TalkRow> | undefined> {
  const reached = await reachTalk(context, input);
  return reached === undefined ? undefined : { row: reached.row, target: { kind: 'namespace', resource: 'workflowruns', namespace: reached.row.namespace } };
}

async function turnsOf({ services }: OperationContext, rows: readonly AgentRunRow[]): Promise<readonly EntityValue<typeof AgentTurn>[]> {
  const began = new Map((await eventsOfKinds(services.db, rows.map((row) => row.id), ['RunStarted'], rows.length + 1)).map(({ agentRun, event }) => [agentRun, event]));
  return rows.map((row) => {
    const event = began.get(row.id);
    return {
      agentRunId: row.id, turn: row.turn, phase: row.phase, input: event?.kind === 'RunStarted' ? inputText(event.payload.input) : '', output: outputOf(row), message: row.message,
      createdAt: new Date(row.createdAt).toISOString(), finishedAt: row.finishedAt === null ? null : new Date(row.finishedAt).toISOString(),
    };
  });
}

/** Operations on conversations. */
export const conversationOperations: readonly Operation[] = [
  defineList({
    name: 'agentConversations', summary: 'The caller\'s conversations with an agent, the one that went on last first.', rest: { method: 'GET', path: '/agent-conversations' },
    input: z.strictObject({ namespace, agent: objectName('Name of the Agent.'), ...pageFields }), output: page(AgentConversation), right: { verb: 'list', resource: 'agentruns', on: 'namespace' },
    run: async ({ services, principal }, { namespace: place, agent, ...rest }) => {
      const { first, after } = pageInput(ORDER, rest);
      const { rows, hasMore } = await listTalks(services.db, { namespace: place, agent, principal: principal.name }, after === undefined ? undefined : { at: z.number().parse(after.value), id: after.id }, first);
      return pageValue(ORDER, { items: rows.map(conversationOf), hasMore }, after !== undefined, (item) => [Date.parse(item.updatedAt), item.id]);
    },
  }),
  defineQuery({
    name: 'agentConversation', summary: 'One conversation of the caller.', rest: { method: 'GET', path: '/agent-conversations/{id}' }, input: z.strictObject({ id: which }), output: AgentConversation,
    right: { verb: 'get', resource: 'agentruns', on: 'namespace' }, reach: reachTalk, run: (_, _input, row) => Promise.resolve(conversationOf(row)),
  }),
  defineList({
    name: 'agentConversationTurns', summary: 'What was said in a conversation, the oldest turn first.', rest: { method: 'GET', path: '/agent-conversations/{id}/turns' }, input: z.strictObject({ id: which, ...pageFields }),
    output: page(AgentTurn), right: { verb: 'get', resource: 'agentruns', on: 'namespace' }, reach: reachTalk,
    run: async (context, input, row) => {
      const { first, after } = pageInput(TURN_ORDER, input);
      const { rows, hasMore } = await listTurns(context.services.db, row.id, after === undefined ? 0 : z.int().parse(after.value), first);
      return pageValue(TURN_ORDER, { items: await turnsOf(context, rows), hasMore }, after !== undefined, (item) => [item.turn, item.agentRunId]);
    },
  }),
  defineMutation({
    name: 'sendAgentMessage', summary: 'Says something in a conversation: starts its next turn.', description: 'One turn at a time: the next one waits until the one before has ended.',
    rest: { method: 'POST', path: '/agent-conversations/{id}/messages', status: 201 }, input: z.strictObject({ id: which, input: anyJson('What to say: a text or any JSON.') }), output: StartedAgentRun,
    right: { verb: 'create', resource: 'workflowruns', on: 'namespace' }, reach: reachTalkToStart, audit: ({ id: conversation }) => ({ conversation }),
    effect: (context, { input }, row, key) => startAgent(context, { namespace: row.namespace, agent: row.agent, conversation: row.id, input }, key),
    run: (_context, _input, _row, started) => Promise.resolve(started),
  }),
];
