import { openRunFeed } from '../realtime/feeds.ts';
import type { RunFeed } from '../realtime/run-feed.ts';
import { builder } from './builder.ts';
import type { ApiContext } from './context.ts';
import { RunRef } from './run.ts';

builder.subscriptionField('runChanged', (t) => t.field({
  type: RunRef,
  description: 'The run now and after every change, the newest state only; ends after a final phase. NOT_FOUND if it does not exist or is not yours. Needs `watch workflowruns`.',
  args: { id: t.arg.id({ required: true, description: 'Id of the run.' }) },
  subscribe: (_, { id }, context) => openFeed(context, id),
  resolve: (run) => run,
}));

function openFeed(context: ApiContext, id: string): RunFeed {
  const { services, principal, stillValid, gone } = context;
  const feed = services.streams.add(principal.name, (onClose) => openRunFeed({ ...services, canOfRequest: () => services.can }, { principal, stillValid }, id, onClose));
  if (gone.aborted) feed.close();
  gone.addEventListener('abort', () => { feed.close(); }, { once: true });
  return feed;
}
