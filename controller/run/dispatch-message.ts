import { specHash } from '../../crds/canonical.ts';
import type { Dispatch } from '../../engine/types.ts';
import type { DispatchMessage } from '../../platform/messages/payloads.ts';
import type { LiveRun } from './live-run.ts';
import { idempotencyKey, type AttemptSecrets } from './secrets.ts';

/** Hosts and CIDRs that http nodes of a pool may reach although they are private. */
export type HttpAllow = (namespace: string, pool: string) => readonly string[];

/** Signs what opens the model gateway for one attempt; undefined where no gateway is installed. */
export type AgentAccess = ((message: DispatchMessage, withHash: string) => Promise<NonNullable<DispatchMessage['agent']>>) | undefined;

/** The dispatch of an agent with what opens the model gateway for it; any other as it is. */
export async function withAgentAccess(message: DispatchMessage, access: AgentAccess): Promise<DispatchMessage> {
  return access === undefined || message.type !== 'agent' ? message : { ...message, agent: await access(message, specHash(message.with)) };
}

/** Work for a runner, as it goes to the stream or answers a fetch. `send` numbers the sendings of one attempt. */
export function dispatchMessage(
  live: LiveRun, dispatch: Dispatch, send: number, parts: { readonly secrets: AttemptSecrets; readonly httpAllow: HttpAllow },
): DispatchMessage {
  const { id, meta, shard, traceparent } = live;
  const { node, item, attempt, pool, type, timeoutMs } = dispatch;
  const allow = parts.httpAllow(meta.namespace, pool);
  return {
    v: 1, run: id, node, item, attempt, secret: parts.secrets.of(id, node, item, attempt),
    namespace: meta.namespace, pool, shard, send, runName: meta.name,
    type, with: { ...dispatch.with }, env: { ...dispatch.env }, idempotencyKey: idempotencyKey(id, node, item),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(allow.length === 0 ? {} : { httpAllow: [...allow] }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
