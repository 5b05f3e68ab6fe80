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
  /** Whose answer cost what. `agent` is empty for an agent that is written in its node. */
  spent(namespace: string, agent: string, usage: Usage, nano: bigint): void;
  /** A request to a tool is over. */
  tool(kind: string, outcome: 'answered' | 'error' | 'asks' | 'notSent' | 'unknown', seconds: number): void;
  /** An agent run ended here. */
  ended(phase: AgentEventPayload<'RunCompleted'>['phase']): void;
}
