import type { Wake } from '../../prisma/store/index.ts';
import type { OperationContext } from '../operations/operation.ts';

/**
 * After a decision is committed: tells whoever watches, and lets the node go on where nothing more is awaited. Neither is waited for, and
 * neither need arrive: watchers look again by themselves, and the model gateway asks for a wake until it was heard.
 */
export function tellAndWake({ services: { agentNotices, commands } }: OperationContext, wake: Wake): void {
  agentNotices.changed(wake);
  if (!wake.ready) return;
  commands.send({ v: 1, verb: 'wake', runId: wake.runId, node: wake.node, item: wake.item }).catch(() => undefined);
}
