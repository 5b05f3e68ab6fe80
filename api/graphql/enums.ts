import { builder } from './builder.ts';

/** Phases of a run. */
export const RunPhaseEnum = builder.enumType('RunPhase', {
  description: 'Where a run stands. The last three are final.',
  values: {
    Pending: { description: 'Accepted, not begun.' },
    Running: { description: 'Nodes run or may run.' },
    Suspended: { description: 'Starts no more nodes until it is resumed; running ones finish.' },
    Succeeded: { description: 'Final: every node that had to succeed did.' },
    Failed: { description: 'Final: a node failed for good, the run timed out or its definition is invalid.' },
    Cancelled: { description: 'Final: somebody cancelled it.' },
  } as const,
});

/** Statuses of nodes. */
export const NodeStatusEnum = builder.enumType('NodeStatus', {
  description: 'Where a node, or one item of a forEach, stands.',
  values: {
    Pending: { description: 'Waits for the nodes it depends on.' },
    Queued: { description: 'Ready; waits for room in its pool.' },
    Running: { description: 'A runner works on it.' },
    Waiting: { description: 'Waits for a time, or for its next attempt.' },
    Succeeded: { description: 'Final: done.' },
    Failed: { description: 'Final: no attempt is left.' },
    Skipped: { description: 'Final: its `when` was false.' },
    Omitted: { description: 'Final: something it depends on did not succeed.' },
    Cancelled: { description: 'Final: stopped.' },
  } as const,
});

/** Outcomes of attempts. */
export const AttemptStatusEnum = builder.enumType('AttemptStatus', {
  description: 'How an attempt ended.',
  values: {
    Succeeded: { description: 'It gave an output.' },
    Failed: { description: 'It gave an error.' },
    Cancelled: { description: 'It was stopped.' },
    Parked: { description: 'An agent waits: the next attempt goes on where this one stopped.' },
  } as const,
});

/** Classes of errors. */
export const ErrorClassEnum = builder.enumType('ErrorClass', {
  description: 'What kind of thing went wrong; retry rules go by it.',
  values: {
    User: { description: 'The work itself failed.' },
    Infra: { description: 'A pod, a node or an image was lost: tried again without counting as a retry.' },
    Timeout: { description: 'It took longer than allowed.' },
    Cancelled: { description: 'It was stopped.' },
    Invalid: { description: 'A definition, an expression or a value is wrong: trying again cannot help.' },
  } as const,
});

/** Ways to cancel. */
export const CancelModeEnum = builder.enumType('CancelMode', {
  description: 'How to cancel a run. Graceful may become Now, never the other way.',
  values: {
    Graceful: { description: 'Start nothing more, give running nodes 30 s, then run onExit.' },
    Now: { description: 'Kill running nodes; onExit does not run.' },
  } as const,
});

/** States of a mirrored definition. */
export const WorkflowPhaseEnum = builder.enumType('WorkflowPhase', {
  description: 'Whether a workflow can be run.',
  values: {
    Ready: { description: 'It can be run.' },
    Invalid: { description: 'It cannot; `problems` says why.' },
  } as const,
});
