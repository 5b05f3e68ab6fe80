import { ApiError } from '../errors.ts';
import { RunFeed } from '../realtime/run-feed.ts';
import { openStream } from '../realtime/streams.ts';
import { asRunId } from '../workflow/run-id.ts';
import { builder } from './builder.ts';
import type { StreamContext } from './context.ts';
import { RunRef } from './run.ts';

builder.subscriptionField('runChanged', (t) => t.field({
  type: RunRef,
  description: 'The run now and after every change, the newest state only; ends after a final phase. NOT_FOUND if it does not exist or is not yours. Needs `watch workflowruns`.',
  args: { id: t.arg.id({ required: true, description: 'Id of the run.' }) },
  subscribe: (_, { id }, context) => openRunFeed(context, id),
  resolve: (run) => run,
}));

/** The states of a run for one caller, asked for again before each; counted among their open streams. Throws NOT_FOUND for what can be no id. */
export function openRunFeed(context: StreamContext, id: string): RunFeed {
  const { services, principal, stillValid } = context;
  const runId = asRunId(id);
  if (runId === undefined) throw new ApiError('NOT_FOUND', 'the run does not exist or is not yours to watch: an id is a UUID');
  return openStream(context, (onClose) => new RunFeed({
    clock: services.clock, runs: services.runs, notices: services.notices,
    mayWatch: async (run) => await stillValid() && await services.can(principal, 'watch', { kind: 'namespace', resource: 'workflowruns', namespace: run.namespace }),
  }, runId, onClose));
}
