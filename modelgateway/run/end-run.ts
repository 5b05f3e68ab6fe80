import type { AgentEventPayload } from '../../crds/agent-run.ts';
import type { Ended } from '../../crds/agent-gateway.ts';
import { appendToAgentRun, type AgentRunRow, type Appending } from '../../prisma/store/index.ts';
import type { Parts } from '../parts.ts';
import { endedOf, ending } from './ending.ts';
import { tellAppended, wake } from './notices.ts';

/** Marked as parked whether it is or not: nobody has been told, and the sweep wakes the node until somebody was. */
function endNow(run: AgentRunRow, end: AgentEventPayload<'RunCompleted'>): Appending<boolean> {
  if (run.finishedAt !== null) return { events: [], result: false };
  const { events, set } = ending(end);
  return { events, set: { ...set, parked: true }, result: run.parked };
}

/**
 * Ends an agent run unless it has ended, tells it, and wakes its node where that is parked. Gives how it ended, which is what it ended
 * with before where it had; undefined where there is no such agent run.
 */
export async function endRun(parts: Pick<Parts, 'db' | 'bus' | 'clock' | 'counters'>, agentRun: string, end: AgentEventPayload<'RunCompleted'>): Promise<Ended | undefined> {
  const appended = await appendToAgentRun(parts.db, agentRun, parts.clock.now(), async (run) => endNow(run, end));
  if (appended === undefined) return undefined;
  if (appended.events.length > 0) parts.counters.ended(end.phase);
  tellAppended(parts.bus, appended);
  if (appended.result) void wake(parts.bus, appended.run);
  return endedOf(appended.run);
}
