/* Column lists that give rows in the shape of types.ts: aliases in camel case, nothing to map afterwards. */

/** RunSummary: no payloads, so a page of runs stays small. */
export const RUN_SUMMARY = `r.id, r.shard, r.namespace, r.name, r.uid, r.source, r.workflow, r.definition_hash AS "definitionHash",
  r.spec_hash AS "specHash", r.priority, r.principal, r.traceparent, r.created_at AS "createdAt", r.phase, r.started_at AS "startedAt",
  r.finished_at AS "finishedAt", r.cancel, r.suspended, r.exit_phase AS "exitPhase", r.error, r.seq, r.total, r.done, r.counts,
  r.failures, r.review, r.version, r.projected_version AS "projectedVersion"`;

/** RunRecord. */
export const RUN_RECORD = `${RUN_SUMMARY}, r.input, r.outputs, r.workflow_labels AS "workflowLabels"`;

/** NodeRunRow. */
export const NODE_RUN = `n.node, n.item, n.status, n.attempt, n.retries, n.infra, n.output, n.error, n.queued_at AS "queuedAt",
  n.started_at AS "startedAt", n.finished_at AS "finishedAt", n.due_at AS "dueAt", n.items, n.send,
  n.pool, n.mode, n.pod`;

/** AttemptRow. */
export const ATTEMPT = `a.node, a.item, a.attempt, a.status, a.error, a.queued_at AS "queuedAt", a.started_at AS "startedAt",
  a.finished_at AS "finishedAt", a.pod, a.runner`;

/** EventRow. */
export const EVENT = 'e.seq, e.at, e.kind, e.node, e.item, e.attempt, e.reason, e.principal';

/** OutboxRow. */
export const OUTBOX = 'o.id, o.shard, o.run_id AS "runId", o.node, o.item, o.attempt, o.send, o.created_at AS "createdAt"';

/** TimerRow. */
export const TIMER = 't.run_id AS "runId", t.timer, t.shard, t.due_at AS "dueAt"';

/** WorkflowRow. */
export const WORKFLOW = `w.namespace, w.name, w.uid, w.generation, w.resource_version AS "resourceVersion", w.spec, w.hash, w.phase,
  w.node_count AS "nodeCount", w.labels, w.problems, w.updated_at AS "updatedAt"`;

/** RunnerPoolRow. */
export const RUNNER_POOL = `p.namespace, p.name, p.uid, p.generation, p.resource_version AS "resourceVersion", p.spec, p.labels,
  p.updated_at AS "updatedAt"`;
