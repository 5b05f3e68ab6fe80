import { appendToAgentRun, waitingPhase } from '../../prisma/store/index.ts';
import type { Handler } from '../http/server.ts';
import type { Parts } from '../parts.ts';
import { endedOf } from './ending.ts';
import { tellAppended, wake } from './notices.ts';
import { notOpened, standing } from './standing.ts';

/**
 * `POST /v1/agent/parked`: the controller has recorded that the node waits. What was waited for may have come meanwhile, before there
 * was anything to wake: then the node is woken at once.
 */
export function parkedDoor(parts: Parts): Handler {
  return async ({ caller }) => {
    const appended = await appendToAgentRun(parts.db, caller.agentRun, parts.clock.now(), async (run, tx) => {
      const refusal = standing(run, caller.attempt);
      if (refusal?.refused === 'Ended') return { events: [], result: undefined };
      if (refusal !== undefined) return { events: [], result: refusal };
      if (run.parked) return { events: [], result: undefined };
      const phase = await waitingPhase(tx, run.id);
      return { events: [{ kind: 'Parked', payload: { why: run.reason ?? phase } }], set: { parked: true, runner: null, phase }, result: undefined };
    });
    if (appended === undefined) throw notOpened();
    if (appended.result !== undefined) throw appended.result;
    tellAppended(parts.bus, appended);
    const { run } = appended;
    const ended = endedOf(run);
    if (ended !== undefined || run.awaited === 0) void wake(parts.bus, run);
    return { status: 200, body: ended === undefined ? { ok: true } : { ended } };
  };
}
