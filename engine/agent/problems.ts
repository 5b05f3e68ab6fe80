import type { Reason } from '../../crds/conditions.ts';
import { ValueError, firstLine } from '../errors.ts';

/** Something wrong with an agent: in its own spec, or in what the spec names. */
export type AgentProblem = {
  /** Path below the spec: `tools[1].toolServerRef`. */
  readonly field: string;
  readonly message: string;
} & (
  /** Only a new spec helps. */
  | { readonly kind: 'spec'; readonly reason: string }
  /** What it names is missing or unusable, and may come: ModelNotFound, ToolNotFound, AgentCycle, ... */
  | { readonly kind: 'reference'; readonly reason: Reason }
);

/** Collects all that is wrong with an agent, so that a person sees it at once. */
export class AgentProblems {
  readonly found: AgentProblem[] = [];

  /** A problem of the spec itself. */
  spec(field: string, reason: string, message: string): void {
    this.found.push({ kind: 'spec', field, reason, message: `${field}: ${message}` });
  }

  /** A problem of something the spec names. */
  reference(field: string, reason: Reason, message: string): void {
    this.found.push({ kind: 'reference', field, reason, message: `${field}: ${message}` });
  }

  /** Runs something that may throw a ValueError, which becomes a problem of the spec. */
  guard(field: string, run: () => unknown): void {
    try {
      run();
    } catch (error) {
      this.spec(field, error instanceof ValueError ? error.reason : 'ExpressionInvalid', firstLine(error));
    }
  }
}
