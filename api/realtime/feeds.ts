import type { RunRecord } from '../../prisma/store/index.ts';
import type { Services } from '../graphql/context.ts';
import type { Can } from '../auth/can.ts';
import { ApiError } from '../errors.ts';
import { asRunId } from '../workflow/run-id.ts';
import { RunFeed } from './run-feed.ts';
import type { Feed, Session } from './sockets.ts';

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

/** A run as sockets tell of it: what changes, without payloads; the rest is read by its id. Times are RFC 3339. */
export function runState({ id, namespace, name, workflow, phase, review, suspended, version, done, total, createdAt, startedAt, finishedAt }: RunRecord): object {
  return {
    id, namespace, name, workflow, phase, review, suspended, version, progress: { done, total },
    createdAt: timeText(createdAt), startedAt: timeText(startedAt), finishedAt: timeText(finishedAt),
  };
}

function timeText(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString();
}

/** A feed whose values go out in another shape. */
export function shown<T>(feed: AsyncIterableIterator<T> & { close(): void }, shape: (value: T) => unknown): Feed {
  const end = { done: true, value: undefined } as const;
  return {
    [Symbol.asyncIterator]() { return this; },
    next: async () => {
      const result = await feed.next();
      return result.done === true ? end : { done: false, value: shape(result.value) };
    },
    return: () => {
      feed.close();
      return Promise.resolve(end);
    },
    close: () => { feed.close(); },
  };
}
