import { z } from 'zod';
import { agentEvents, getAgentRun } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { builder } from '../graphql/builder.ts';
import type { StreamContext } from '../graphql/context.ts';
import { defineEntity } from '../operations/entity.ts';
import type { EntityValue } from '../operations/entity.ts';
import { id as idSchema } from '../operations/fields.ts';
import { entityRef } from '../operations/graphql-types.ts';
import { openStream } from '../realtime/streams.ts';
import { AgentFeed } from './agent-feed.ts';
import type { AgentNews } from './agent-feed.ts';
import { AgentEvent, agentEventEntity } from './run-entities.ts';

/* The stream of an agent run: over GraphQL here, over sockets in realtime/feeds.ts, over plain server-sent events in agent-sse.ts. */

const asId = idSchema('An agent run.');
/** No journal has a number above this. */
export const MOST_SEQ = 2_147_483_647;

/** A piece of an answer. */
export const AgentDelta = defineEntity('AgentDelta', 'A piece of an answer while the model gives it. It is in no journal and comes at most once: the event ModelCompleted with the whole text takes its place.', z.object({
  step: z.int().describe('The answer it is of.'), n: z.int().describe('Place of the piece in it; where one is missing it was lost.'), text: z.string().nullable().describe('More text.'), reasoning: z.string().nullable().describe('More reasoning.'),
  tool: z.string().nullable().describe('Name of the tool that is being called.'), arguments: z.string().nullable().describe('More of its arguments.'),
}));

/** What a stream gives. */
export interface NewsValue {
  readonly seq: number | null;
  readonly event: EntityValue<typeof AgentEvent> | null;
  readonly delta: EntityValue<typeof AgentDelta> | null;
}

const NewsRef = builder.objectRef<NewsValue>('AgentNews').implement({
  description: 'One thing a stream of an agent run gives: an event, or a piece of an answer that is no event yet.',
  fields: (t) => ({
    seq: t.exposeInt('seq', { nullable: true, description: 'Number of the event: subscribe from one above it to go on. Null for a piece.' }),
    event: t.field({ type: entityRef(AgentEvent), nullable: true, description: 'The event.', resolve: ({ event }) => event }),
    delta: t.field({ type: entityRef(AgentDelta), nullable: true, description: 'The piece. Ephemeral.', resolve: ({ delta }) => delta }),
  }),
});

builder.subscriptionField('agentEvents', (t) => t.field({
  type: NewsRef,
  description: 'The journal of an agent run from an event on, every event once and in order, and pieces of answers between them; ends with the run. NOT_FOUND if it does not exist or is not yours; so it ends, too, when the right is gone. Needs `watch agentruns`.',
  args: {
    agentRun: t.arg.id({ required: true, description: 'Which agent run.' }),
    fromSeq: t.arg.int({ description: 'The first event wanted: one above the last `seq` you know; 1 if not given.' }),
  },
  subscribe: (_, { agentRun, fromSeq }, context) => openAgentFeed(context, agentRun, (fromSeq ?? 1) - 1),
  resolve: (news: AgentNews, { agentRun }) => newsOf(agentRun.toLowerCase(), news),
}));

/** The stream of an agent run for one caller; counted among their open streams. `after`: the last number they know. Throws NOT_FOUND for what can be no id. */
export function openAgentFeed(context: StreamContext, given: string, after: number | undefined): AgentFeed {
  const { services, principal } = context;
  const agentRun = asId.safeParse(given);
  if (!agentRun.success) throw new ApiError('NOT_FOUND', `agent run ${given.slice(0, 64)} does not exist or is not yours to watch`);
  return openStream(context, (onClose) => new AgentFeed({
    clock: services.clock, notices: services.agentNotices, run: (id) => getAgentRun(services.db, id), events: (id, seq, first) => agentEvents(services.db, id, seq, first),
    mayWatch: async ({ namespace }) => await context.stillValid() && await services.can(principal, 'watch', { kind: 'namespace', resource: 'agentruns', namespace }),
  }, agentRun.data, Math.min(MOST_SEQ, Math.max(0, after ?? 0)), onClose));
}

/** What a stream gives, as all surfaces show it. */
export function newsOf(agentRun: string, news: AgentNews): NewsValue {
  if (news.kind === 'event') return { seq: news.event.seq, event: agentEventEntity(agentRun, news.event), delta: null };
  const { step, n, text = null, reasoning = null, toolCall } = news.delta;
  return { seq: null, event: null, delta: { step, n, text, reasoning, tool: toolCall?.tool ?? null, arguments: toolCall?.arguments ?? null } };
}
