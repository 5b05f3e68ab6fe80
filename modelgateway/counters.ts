import type { AgentEventPayload, Usage } from '../crds/agent-run.ts';
import type { FailureCode } from './models/failure.ts';

/** What the gateway counts, as its parts tell it. Seconds. */
export interface GatewayCounters {
  /** A model answered. */
  answered(provider: string, usage: Usage, nano: bigint, seconds: number, firstSeconds: number | undefined, estimated: boolean): void;
  /** A model call brought no answer. */
  failed(provider: string, code: FailureCode | 'Lost'): void;
  /** The same model is asked again, or another one instead. */
  again(how: 'retry' | 'fallback' | 'degraded'): void;
  /** A budget did not pay. */
  exceeded(action: 'Stop' | 'Pause' | 'Degrade'): void;
  /** A call was asked for; tells when it is over. */
  inFlight(): () => void;
  /** An agent run ended here. */
  ended(phase: AgentEventPayload<'RunCompleted'>['phase']): void;
}
