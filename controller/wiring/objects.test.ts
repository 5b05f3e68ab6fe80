import fc from 'fast-check';
import { MAIN_CONTAINER } from '../run/pod-template.ts';
import { RUNNER_CONTAINER } from '../pool/runner-pod.ts';
import type { KubeObject } from '../runtime/reflector.ts';
import { problemText, toAttemptPod, toKnownWorkflow, toPolicy, toPool, toRunCr, toRunnerPod, toRunObject, toStatusSays, toWorkflow } from './objects.ts';

const META = { name: 'x', namespace: 'ns', uid: 'u1', resourceVersion: '5', generation: 3, creationTimestamp: '2026-01-02T03:04:05Z' };
const object = (kind: string, spec: unknown, more: object = {}): KubeObject => ({ apiVersion: 'rambo.dev/v1alpha1', kind, metadata: META, spec, ...more });
const RUN = { workflowRef: { name: 'w' } };
const WORKFLOW = { nodes: [{ name: 'a', type: 'script', with: { language: 'bash', source: 'true' } }] };
const pod = (status: unknown, metadata: object = {}): unknown => ({ metadata: { ...META, labels: { a: 'b' }, ...metadata }, status });

describe('a WorkflowRun', () => {
  test('that is right', () => {
    expect(toRunCr(object('WorkflowRun', RUN, { status: { phase: 'Running', observedGeneration: 2 } }))).toEqual({ namespace: 'ns', name: 'x', uid: 'u1', generation: 3, createdAt: Date.UTC(2026, 0, 2, 3, 4, 5), spec: RUN, phase: 'Running', observedGeneration: 2, needsReview: false });
  });

  test('that is wrong keeps its name and says what is wrong', () => {
    const cr = toRunCr(object('WorkflowRun', { workflowRef: { name: 'w' }, priority: 'high' }));
    expect([cr?.name, cr?.spec, cr?.problem]).toEqual(['x', undefined, expect.stringMatching(/^spec\.priority: /)]);
  });

  test.each<[string, readonly object[], boolean]>([
    ['that waits for a person', [{ type: 'Stalled', status: 'True', reason: 'NeedsReview' }], true], ['that is stalled for another reason', [{ type: 'Stalled', status: 'True', reason: 'Invalid' }], false], ['that waited once', [{ type: 'Stalled', status: 'False', reason: 'NeedsReview' }], false], ['without conditions', [], false],
  ])('%s', (_, conditions, waits) => {
    const status = { phase: 'Running', conditions: conditions.map((condition) => ({ message: 'm', lastTransitionTime: '2026-01-02T03:04:05Z', ...condition })) };
    expect([toRunCr(object('WorkflowRun', RUN, { status }))?.needsReview, toRunObject(object('WorkflowRun', RUN, { status }))?.needsReview]).toEqual([waits, waits]);
  });

  test.each<[unknown, object]>([[{ phase: 'Running', progress: '3/10' }, { phase: 'Running', progress: '3/10' }], [undefined, {}], [{ phase: 'Odd', progress: 7 }, {}], ['text', {}], [null, {}]])('whose status is %j says %j', (status, says) => {
    expect(toStatusSays(object('WorkflowRun', RUN, { status }))).toMatchObject(says);
    expect(Object.values(toStatusSays(object('WorkflowRun', RUN, { status }))).filter((value) => value !== undefined)).toHaveLength(Object.keys(says).length);
  });

  test('that is gone is nothing', () => {
    expect([toRunCr(undefined), toRunObject(undefined), toStatusSays(undefined), toWorkflow(undefined), toKnownWorkflow(undefined), toPool(undefined), toPolicy(undefined)]).toEqual([undefined, undefined, {}, undefined, undefined, undefined, undefined]);
  });
});

describe('a Workflow', () => {
  test('that is right can be started, and is parsed once per version of the object', () => {
    const one = object('Workflow', { ...WORKFLOW, priority: 7 });
    const known = toKnownWorkflow(one);
    expect([known?.priority, JSON.parse(known?.spec.toString() ?? '')]).toEqual([7, { ...WORKFLOW, priority: 7 }]);
    expect(toKnownWorkflow(one)).toBe(known);
    expect(toKnownWorkflow(object('Workflow', WORKFLOW))).not.toBe(known);
  });

  test('that is wrong cannot, and says at most five things', () => {
    const wrong = toWorkflow(object('Workflow', { nodes: Array.from({ length: 9 }, (_, i) => ({ name: `n${i}`, type: 'nope' })) }));
    expect([wrong?.spec, wrong?.problem?.split('; ').length]).toEqual([undefined, 5]);
    expect(toKnownWorkflow(object('Workflow', { nodes: [{ name: 'A', type: 'script' }] }))).toBeUndefined();
  });

  test('keeps its status where its spec cannot be read: it would be written again with each look', () => {
    expect(toWorkflow(object('Workflow', { nodes: 'none' }, { status: { phase: 'Invalid', observedGeneration: 3 } }))?.status).toMatchObject({ phase: 'Invalid' });
  });
});

test('a pool that cannot be read is none; one that can is parsed once', () => {
  expect(toPool(object('RunnerPool', { max: 'many' }))).toBeUndefined();
  const one = object('RunnerPool', { image: 'i', max: 2 });
  expect(toPool(one)).toMatchObject({ namespace: 'ns', name: 'x', generation: 3, spec: { max: 2 }, conditions: [] });
  expect(toPool(one)).toBe(toPool(one));
});

test.each<[unknown, object]>([
  [{ phase: 'Running', containerStatuses: [{ name: MAIN_CONTAINER, state: { running: { startedAt: 't' } } }] }, { phase: 'Running', runner: false, main: { running: { startedAt: 't' } } }],
  [{ phase: 'Running', containerStatuses: [{ name: 'istio', state: { running: {} } }, { name: RUNNER_CONTAINER, state: { waiting: { reason: 'x' } } }] }, { runner: true, main: { waiting: { reason: 'x' } } }],
  [{ phase: 'Failed', reason: 'Evicted', message: 'no disk' }, { phase: 'Failed', reason: 'Evicted', message: 'no disk', main: undefined }],
  [{ conditions: [{ type: 'PodScheduled', status: 'False', message: 'no node' }] }, { unschedulable: 'no node' }], [{ conditions: [{ type: 'PodScheduled', status: 'True', message: 'fine' }] }, { unschedulable: undefined }], [undefined, { phase: undefined, main: undefined }],
])('a pod of an attempt with status %j', (status, view) => {
  expect(toAttemptPod(pod(status))).toMatchObject({ namespace: 'ns', name: 'x', uid: 'u1', labels: { a: 'b' }, view });
});

test.each<[string, unknown, object, object]>([
  ['ready', { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }, {}, { ready: true, phase: 'Running', problem: undefined }], ['not ready', { conditions: [{ type: 'Ready', status: 'False' }] }, {}, { ready: false, phase: 'Pending' }], ['without a status', undefined, {}, { ready: false, phase: 'Pending' }],
  ['being deleted', {}, { deletionTimestamp: '2026-01-02T03:04:05Z' }, { deleting: true }], ['that ended badly', { containerStatuses: [{ name: RUNNER_CONTAINER, state: { terminated: { exitCode: 1, reason: 'Error', message: 'no NATS' } } }] }, {}, { problem: 'Error (exit code 1): no NATS' }],
  ['that ended without a word', { containerStatuses: [{ name: RUNNER_CONTAINER, state: { terminated: { exitCode: 137, message: '' } } }] }, {}, { problem: 'Error (exit code 137)' }], ['that ended well', { containerStatuses: [{ name: RUNNER_CONTAINER, state: { terminated: { exitCode: 0 } } }] }, {}, { problem: undefined }],
  ['that cannot have its image', { containerStatuses: [{ name: RUNNER_CONTAINER, state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } } }] }, {}, { problem: 'ImagePullBackOff: no such image' }], ['that was evicted', { message: 'The node was low on memory' }, {}, { problem: 'The node was low on memory' }],
  ['beside a container of a mesh that failed', { containerStatuses: [{ name: 'istio-proxy', state: { terminated: { exitCode: 1, reason: 'Error' } } }, { name: RUNNER_CONTAINER, state: { running: {} } }] }, {}, { problem: undefined }],
  ['that failed beside a container of a mesh that runs', { containerStatuses: [{ name: 'istio-proxy', state: { running: {} } }, { name: RUNNER_CONTAINER, state: { terminated: { exitCode: 2, reason: 'Error' } } }] }, {}, { problem: 'Error (exit code 2)' }],
])('a runner pod %s', (_, status, metadata, expected) => {
  expect(toRunnerPod(pod(status, metadata))).toMatchObject({ namespace: 'ns', name: 'x', createdAt: Date.UTC(2026, 0, 2, 3, 4, 5), ...expected });
});

test('whatever an object holds, reading it never throws', () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (spec, status, labels) => {
    const odd = { metadata: { ...META, labels, generation: spec }, spec, status } as unknown as KubeObject;
    for (const read of [toRunCr, toRunObject, toStatusSays, toWorkflow, toKnownWorkflow, toPool, toPolicy, toAttemptPod, toRunnerPod]) expect(() => read(odd)).not.toThrow();
    for (const read of [toAttemptPod, toRunnerPod]) expect(read(spec) === undefined || typeof read(spec) === 'object').toBe(true);
  }), { numRuns: 200 });
});

test('problems are one line, with their node', () => {
  expect(problemText([{ path: 'spec.nodes[0].with', message: 'is wrong', node: 'a' }, { path: 'spec', message: 'is odd' }] as Parameters<typeof problemText>[0])).toBe('node a: spec.nodes[0].with: is wrong; spec: is odd');
});
