import type { AgentEventPayload, ModelPurpose } from '../../crds/agent-run.ts';
import { eventsOfKinds, type Executor } from '../../prisma/store/index.ts';

/** Answers looked at first: what is asked again is nearly always the last one. */
const FEW = 6;
const ALL = 100_000;

/** The journaled answer of a step; undefined where there is none. */
export async function findAnswer(db: Executor, agentRun: string, step: number, purpose: ModelPurpose): Promise<AgentEventPayload<'ModelCompleted'> | undefined> {
  for (const limit of [FEW, ALL]) {
    const events = await eventsOfKinds(db, [agentRun], ['ModelCompleted'], limit);
    for (const { event } of events) if (event.kind === 'ModelCompleted' && event.payload.step === step && event.payload.purpose === purpose) return event.payload;
    const last = events.at(-1)?.event;
    if (events.length < limit || (last?.kind === 'ModelCompleted' && last.payload.step < step)) return undefined;
  }
  return undefined;
}

/** When the first model call of a step was asked for, epoch milliseconds; undefined where none was. */
export async function firstAsked(db: Executor, agentRun: string, step: number, purpose: ModelPurpose): Promise<number | undefined> {
  let first: number | undefined;
  for (const { event } of await eventsOfKinds(db, [agentRun], ['ModelRequested'], 1_000)) {
    if (event.kind !== 'ModelRequested' || event.payload.step < step) break;
    if (event.payload.step === step && event.payload.purpose === purpose) first = event.at;
  }
  return first;
}
