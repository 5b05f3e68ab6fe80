import { exactlyOneOf } from './rules.ts';
import type { Rule } from './rules.ts';

/** The fields of a run's spec these rules look at. */
interface SpecShape {
  readonly workflowRef?: unknown;
  readonly workflow?: unknown;
  readonly retryFrom?: unknown;
}

/** Fields that never change after creation. `input` is free-form, so the admission policy guards it. */
const IMMUTABLE = ['workflowRef', 'workflow', 'priority', 'serviceAccountName', 'retryFrom'] as const;

function immutable(field: string): Rule<SpecShape> {
  return {
    cel: `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
    message: `spec.${field} is immutable: only suspend and cancel may change, create a new WorkflowRun instead`,
    fieldPath: `.${field}`,
  };
}

/** Rules of `spec` of a WorkflowRun: where the definition comes from, and what may change afterwards. */
export const workflowRunSpecRules: readonly Rule<SpecShape>[] = [
  exactlyOneOf(
    ['workflowRef', 'workflow', 'retryFrom'],
    'set exactly one of spec.workflowRef, spec.workflow, spec.retryFrom (a retry pins the definition of the run it names)',
  ),
  ...IMMUTABLE.map(immutable),
  {
    cel: "!has(oldSelf.cancel) || (has(self.cancel) && (self.cancel == oldSelf.cancel || (oldSelf.cancel == 'Graceful' && self.cancel == 'Now')))",
    message: 'spec.cancel is never unset and may only change from Graceful to Now: create a new WorkflowRun to run again',
    fieldPath: '.cancel',
  },
];

const FINAL = "['Succeeded', 'Failed', 'Cancelled']";

/** Rules of the whole WorkflowRun: on the root, because a removed `status` runs no rule of its own. */
export const workflowRunRootRules: readonly Rule<never>[] = [{
  cel: `!has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ${FINAL})`
    + ' || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)',
  message: 'status.phase is final (Succeeded, Failed, Cancelled) and never changes again: create a new WorkflowRun to run again',
}];
