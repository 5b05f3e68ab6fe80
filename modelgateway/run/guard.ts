import type { NewAgentEvent } from '../../crds/agent-run.ts';
import type { RevisionGuardrail } from '../../crds/agent-revision.ts';
import type { AgentRunRow } from '../../prisma/store/index.ts';

/** What guardrails say about a text: the text as it may go on, or why it may not; and their decisions for the journal. */
export type Guarded =
  | { readonly ok: true; readonly text: string; readonly decisions: readonly NewAgentEvent[] }
  | { readonly ok: false; readonly message: string; readonly decisions: readonly NewAgentEvent[] };

/** Asks the guardrails of a stage, one after the other. Throws only where nothing can be decided now (UnavailableError). */
export type GuardText = (stage: 'Input' | 'Output', guardrails: readonly RevisionGuardrail[], text: string, run: AgentRunRow) => Promise<Guarded>;

/** Those of a stage. */
export function ofStage(guardrails: readonly RevisionGuardrail[], stage: RevisionGuardrail['stage']): readonly RevisionGuardrail[] {
  return guardrails.filter((guardrail) => guardrail.stage === stage);
}
