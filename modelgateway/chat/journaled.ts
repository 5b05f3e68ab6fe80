import type { ModelPurpose } from '../../crds/agent-run.ts';
import { eventsOfKinds, type Executor } from '../../prisma/store/index.ts';

/** When the first model call of a step was asked for, epoch milliseconds; undefined where none was. */
export async function firstAsked(db: Executor, agentRun: string, step: number, purpose: ModelPurpose): Promise<number | undefined> {
  let first: number | undefined;
  for (const { event } of await eventsOfKinds(db, [agentRun], ['ModelRequested'], 1_000)) {
    if (event.kind !== 'ModelRequested' || event.payload.step < step) break;
    if (event.payload.step === step && event.payload.purpose === purpose) first = event.at;
  }
  return first;
}
