import { Buffer } from 'node:buffer';
import { shardOf } from '../../platform/messages/subjects.ts';
import type { NodeRunRow, RunnerPoolRow, RunRecord, WorkflowRow } from '../../prisma/store/index.ts';

/* Rows for tests, complete and overridable. */

const AT = 1_700_000_000_000;

/** JSON as the store keeps it. */
export function bytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** A UUID that says its number. */
export function uuid(n: number): string {
  return `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
}

/** A run. */
export function runRow(id: string, over: Partial<RunRecord> = {}): RunRecord {
  return {
    id, shard: shardOf(id), namespace: 'team-a', name: `run-${id.slice(-4)}`, uid: null, source: 'api', workflow: 'build', definitionHash: 'h', specHash: null,
    input: bytes({ n: 1 }), workflowLabels: null, priority: 0, principal: 'alice', traceparent: null, createdAt: AT, phase: 'Running', startedAt: AT + 1,
    finishedAt: null, cancel: null, suspended: false, exitPhase: null, outputs: null, error: null, seq: 3, total: 2, done: 1,
    counts: '{"Succeeded":1,"Running":1}', failures: null, review: null, version: 1, projectedVersion: null, ...over,
  };
}

/** A node of a run. */
export function nodeRow(node: string, over: Partial<NodeRunRow> = {}): NodeRunRow {
  return {
    node, item: -1, status: 'Succeeded', attempt: 1, retries: 0, infra: 0, output: bytes({ ok: true }), error: null, queuedAt: AT, startedAt: AT, finishedAt: AT + 5,
    dueAt: null, items: null, send: 0, pool: 'default', mode: 'warm', pod: null, ...over,
  };
}

/** A mirrored Workflow. */
export function workflowRow(namespace: string, name: string): WorkflowRow {
  return {
    namespace, name, uid: 'u', generation: 2, resourceVersion: '5', spec: bytes({ nodes: [] }), hash: 'h', phase: 'Invalid', nodeCount: 1, labels: null,
    problems: bytes([{ node: 'a', field: 'when', reason: 'ExpressionInvalid', message: 'does not parse' }]), updatedAt: AT,
  };
}

/** A mirrored RunnerPool. */
export function poolRow(namespace: string, name: string): RunnerPoolRow {
  return { namespace, name, uid: 'u', generation: 1, resourceVersion: '5', spec: bytes({ max: 4 }), labels: null, updatedAt: AT };
}
