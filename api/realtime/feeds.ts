import type { Services } from '../graphql/context.ts';
import type { Can } from '../auth/can.ts';
import { ApiError } from '../errors.ts';
import { asRunId } from '../workflow/run-id.ts';
import { RunFeed } from './run-feed.ts';
import type { Session } from './sockets.ts';

/** What feeds stand on. `can` is made anew for every question: a stream outlives what a request may remember. */
export interface FeedServices extends Pick<Services, 'clock' | 'runs' | 'notices'> {
  readonly canOfRequest: () => Can;
}

/** The states of a run for somebody, asked for again before each. Throws NOT_FOUND for what can be no id. */
export function openRunFeed({ clock, runs, notices, canOfRequest }: FeedServices, { principal, stillValid }: Session, id: string, onClose: () => void): RunFeed {
  const runId = asRunId(id);
  if (runId === undefined) throw new ApiError('NOT_FOUND', 'the run does not exist or is not yours to watch: an id is a UUID');
  return new RunFeed({
    clock, runs, notices,
    mayWatch: async (run) => await stillValid() && await canOfRequest()(principal, 'watch', { kind: 'namespace', resource: 'workflowruns', namespace: run.namespace }),
  }, runId, onClose);
}
