import type { RunRecord } from '../../prisma/store/index.ts';
import { newsOf, openAgentFeed } from '../agent/agent-stream.ts';
import { openRunFeed } from '../graphql/run-changes.ts';
import { changeOf } from '../project/entities.ts';
import { openProjectFeed } from '../project/subscription.ts';
import { runMoments } from '../workflow/run-entity.ts';
import type { Feed, OpenFeed } from './sockets.ts';

/** What can be watched over a socket, by kind: the feeds of the subscriptions. */
export const FEEDS: Readonly<Record<string, OpenFeed>> = {
  run: (context, { id }) => shown(openRunFeed(context, id), runState),
  agentRun: (context, { id, after }) => shown(openAgentFeed(context, id, after), (news) => newsOf(id.toLowerCase(), news)),
  project: (context, { id, after }) => shown(openProjectFeed(context, id, after), changeOf),
};

/** A run as sockets tell of it: what changes, without payloads; the rest is read by its id. Times are RFC 3339. */
function runState(run: RunRecord): object {
  const { id, namespace, name, workflow, phase, review, suspended, version, done, total } = run;
  return { id, namespace, name, workflow, phase, review, suspended, version, progress: { done, total }, ...runMoments(run) };
}

/** A feed whose values go out in another shape. */
function shown<T>(feed: AsyncIterableIterator<T> & { close(): void }, shape: (value: T) => unknown): Feed {
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
