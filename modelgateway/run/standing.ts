import type { AgentRunRow } from '../../prisma/store/index.ts';
import { Refusal } from '../http/errors.ts';
import { endedOf } from './ending.ts';

/** Which attempt of which agent run asks: what its token says. */
export interface Caller {
  readonly agentRun: string;
  readonly ns: string;
  readonly run: string;
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly pool: string;
  /** SHA-256 (hex) of what the attempt was given. */
  readonly with: string;
}

/** Why an attempt may not write: the agent run ended, or a later attempt has it. Undefined: it may. */
export function standing(run: AgentRunRow, attempt: number): Refusal | undefined {
  const ended = endedOf(run);
  if (ended !== undefined) return new Refusal('Ended', `the agent run has ended: ${ended.phase}`, { ended });
  if (run.epoch > attempt) return new Refusal('Fenced', `attempt ${run.epoch} has this agent run, not ${attempt}`);
  if (run.epoch < attempt) return new Refusal('NotOpened', `attempt ${attempt} has not opened this agent run yet`);
  return undefined;
}

/** An agent run that nobody opened. */
export function notOpened(): Refusal {
  return new Refusal('NotOpened', 'no attempt has opened this agent run yet');
}
