import type { AgentEventPayload } from '../../crds/agent-run.ts';
import type { Ended } from '../../crds/agent-gateway.ts';
import { appendToAgentRun } from '../../prisma/store/index.ts';
import type { Parts } from '../parts.ts';
import { endedOf, ending } from './ending.ts';
import { tellAppended, wake } from './notices.ts';

/**
 * Ends an agent run unless it has ended, tells it, and wakes its node where that is parked. Gives how it ended, which is what it ended
 * with before where it had; undefined where there is no such agent run.
 */
export async function endRun(parts: Pick<Parts, 'db' | 'bus' | 'clock' | 'counters'>, agentRun: string, end: AgentEventPayload<'RunCompleted'>): Promise<Ended | undefined> {
  const appended = await appendToAgentRun(parts.db, agentRun, parts.clock.now(), async (run) => (run.finishedAt === null ? { ...ending(end), result: run.parked } : { events: [], result: false }));
  if (appended === undefined) return undefined;
  if (appended.events.length > 0) parts.counters.ended(end.phase);
  tellAppended(parts.bus, appended);
  if (appended.result) void wake(parts.bus, appended.run);
  return endedOf(appended.run);
}
