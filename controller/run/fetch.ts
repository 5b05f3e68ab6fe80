import { redispatch } from '../../engine/index.ts';
import { fetchSchema, type FetchMessage, type FetchReply } from '../../platform/messages/payloads.ts';
import { dispatchMessage, withAgentAccess, type AgentAccess, type HttpAllow } from './dispatch-message.ts';
import { openMessage, subjectPool, type DeadLetters } from './door.ts';
import { rests, type LiveRun } from './live-run.ts';
import type { AttemptSecrets } from './secrets.ts';

/** What answering a fetch needs of the rest of the room. */
export interface FetchParts {
  readonly secrets: AttemptSecrets;
  readonly httpAllow: HttpAllow;
  readonly agentAccess: AgentAccess;
  readonly dead: DeadLetters;
  readonly live: (run: string) => LiveRun | undefined;
}

/**
 * A runner in a pod of its own asks for its one dispatch. Asking again gives the same answer: the pod is one process
 * that never restarts, so an answer that was lost may be given twice. Whatever is not current any more is refused, and
 * the runner ends.
 */
export async function takeFetch(parts: FetchParts, subject: string, payload: Uint8Array): Promise<FetchReply> {
  const message = openMessage(fetchSchema, subject, payload, parts.dead);
  if (message === undefined) return refused('the message cannot be read');
  if (!parts.secrets.verify(message.run, message.node, message.item, message.attempt, message.secret)) {
    parts.dead({ subject, reason: 'the attempt secret does not match', payload });
    return refused('not your attempt');
  }
  const live = parts.live(message.run);
  if (live !== undefined && rests(live)) return refused('this run waits for a person');
  return live === undefined ? refused('this run has ended') : answer(parts, live, message, subject);
}

async function answer(parts: FetchParts, live: LiveRun, message: FetchMessage, subject: string): Promise<FetchReply> {
  const dispatch = redispatch(live.state, message.node, message.item);
  const { namespace, pool } = subjectPool(subject);
  if (dispatch?.mode !== 'pod' || dispatch.attempt !== message.attempt) return refused('this attempt no longer counts');
  if (live.meta.namespace !== namespace || dispatch.pool !== pool) return refused('this attempt belongs to another pool');
  return { v: 1, dispatch: await withAgentAccess(dispatchMessage(live, dispatch, 1, parts), parts.agentAccess) };
}

function refused(reason: string): FetchReply {
  return { v: 1, refused: reason };
}
