import type { AgentKey } from '../../platform/agent-token/index.ts';
import { signAgentToken } from '../../platform/agent-token/index.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { AgentAccess } from '../run/dispatch-message.ts';

/** Signs the token with which an attempt of an agent speaks to the model gateway at `url`; undefined where there is none. */
export function agentAccess(key: AgentKey, url: string | undefined, clock: Clock): AgentAccess {
  if (url === undefined) return undefined;
  return async ({ namespace, run, node, item, attempt, pool }, withHash) => ({
    url, token: await signAgentToken(key, { ns: namespace, run, node, item, attempt, pool, with: withHash }, clock.now()),
  });
}
