import { GOOD_SPEC, SCRIPT } from './bad-input.ts';
import { manifest, startCrdCluster } from './cluster.ts';
import type { CrdCluster } from './cluster.ts';

let cluster: CrdCluster;
let serial = 0;
beforeAll(async () => { cluster = await startCrdCluster('crds-transitions'); }, 60_000);
afterAll(async () => { await cluster.remove(); });

const INLINE = { workflow: { nodes: [{ ...SCRIPT, with: { ...SCRIPT.with, input: { a: 1 } } }], outputs: { o: 1 } } };
const REF = { workflowRef: { name: 'w' }, input: { a: { b: [1, 2] } }, priority: 1 };

/** A stored run; gives its name. */
async function runWith(spec: unknown): Promise<string> {
  const name = `run-${serial++}`;
  expect(await cluster.write(manifest('WorkflowRun', name, spec), { dryRun: false, way: 'apply' })).toMatchObject({ status: 201, message: '' });
  return name;
}

interface Change { readonly what: string; readonly from: Readonly<Record<string, unknown>>; readonly to: Readonly<Record<string, unknown>>; readonly refusal?: RegExp }

const CHANGES: readonly Change[] = [
  { what: 'suspend set', from: REF, to: { ...REF, suspend: true } },
  { what: 'suspend unset', from: { ...REF, suspend: true }, to: REF },
  { what: 'cancel Graceful', from: REF, to: { ...REF, cancel: 'Graceful' } },
  { what: 'cancel Now', from: REF, to: { ...REF, cancel: 'Now' } },
  { what: 'cancel Graceful to Now', from: { ...REF, cancel: 'Graceful' }, to: { ...REF, cancel: 'Now' } },
  { what: 'cancel Now to Graceful', from: { ...REF, cancel: 'Now' }, to: { ...REF, cancel: 'Graceful' }, refusal: /spec\.cancel.*never unset and may only change from Graceful to Now/ },
  { what: 'cancel unset', from: { ...REF, cancel: 'Graceful' }, to: REF, refusal: /spec\.cancel.*never unset/ },
  { what: 'another workflowRef', from: REF, to: { ...REF, workflowRef: { name: 'v' } }, refusal: /spec\.workflowRef.*is immutable: only suspend and cancel may change/ },
  { what: 'workflowRef to workflow', from: REF, to: { input: REF.input, priority: 1, ...INLINE }, refusal: /spec\.workflow(Ref)?.*is immutable/ },
  { what: 'priority changed', from: REF, to: { ...REF, priority: 2 }, refusal: /spec\.priority.*is immutable/ },
  { what: 'priority removed', from: REF, to: { workflowRef: REF.workflowRef, input: REF.input }, refusal: /spec\.priority.*is immutable/ },
  { what: 'priority added', from: INLINE, to: { ...INLINE, priority: 0 }, refusal: /spec\.priority.*is immutable/ },
  { what: 'serviceAccountName added', from: REF, to: { ...REF, serviceAccountName: 'default' }, refusal: /spec\.serviceAccountName.*is immutable/ },
  { what: 'retryFrom changed', from: { retryFrom: { run: 'a', nodes: ['x'] } }, to: { retryFrom: { run: 'a', nodes: ['y'] } }, refusal: /spec\.retryFrom.*is immutable/ },
  { what: 'input changed deep inside', from: REF, to: { ...REF, input: { a: { b: [1, 3] } } }, refusal: /spec\.input is immutable/ },
  { what: 'input given a __proto__', from: REF, to: { ...REF, input: JSON.parse('{"a":{"b":[1,2],"__proto__":1}}') }, refusal: /spec\.input is immutable/ },
  { what: 'input removed', from: REF, to: { workflowRef: REF.workflowRef, priority: 1 }, refusal: /spec\.input is immutable/ },
  { what: 'input added', from: INLINE, to: { ...INLINE, input: 0 }, refusal: /spec\.input is immutable/ },
  { what: 'input of another type', from: { ...INLINE, input: 1 }, to: { ...INLINE, input: '1' }, refusal: /spec\.input is immutable/ },
  { what: 'a typed field of the inline workflow', from: INLINE, to: { workflow: { ...INLINE.workflow, timeout: '1m' } }, refusal: /spec\.workflow.*is immutable/ },
  { what: 'a node added inline', from: INLINE, to: { workflow: { ...INLINE.workflow, nodes: [...INLINE.workflow.nodes, { ...SCRIPT, name: 'b' }] } }, refusal: /spec\.workflow.*is immutable/ },
  { what: 'a free-form leaf of the inline workflow', from: INLINE, to: { workflow: { ...INLINE.workflow, outputs: { o: 2 } } }, refusal: /spec\.workflow is immutable/ },
  { what: 'a free-form leaf of an inline node', from: INLINE, to: { workflow: { ...INLINE.workflow, nodes: [{ ...SCRIPT, with: { ...SCRIPT.with, input: { a: 2 } } }] } }, refusal: /spec\.workflow is immutable/ },
];

describe.each(['merge patch', 'server-side apply', 'update', 'kubectl apply', 'kubectl apply --server-side'])('changes of a run by %s', (way) => {
  async function change(name: string, to: Readonly<Record<string, unknown>>, from: Readonly<Record<string, unknown>>): Promise<{ readonly ok: boolean; readonly message: string }> {
    const object = manifest('WorkflowRun', name, to);
    if (way.startsWith('kubectl')) {
      const flags = way.endsWith('server-side') ? ['--server-side', '--field-manager=test'] : [];
      const { code, stderr } = await cluster.api.kubectl(['apply', '-n', cluster.namespace, ...flags, '-f', '-'], JSON.stringify(object));
      return { ok: code === 0, message: stderr };
    }
    const removed = Object.fromEntries(Object.keys(from).filter((key) => !(key in to)).map((key) => [key, null]));
    const answer = way === 'merge patch' ? await cluster.patch('WorkflowRun', name, { spec: { ...to, ...removed } })
      : way === 'update' ? await update(name, to)
        : await cluster.write(object, { way: 'apply', dryRun: false });
    return { ok: answer.status === 200, message: answer.message };
  }

  async function update(name: string, to: unknown): ReturnType<CrdCluster['get']> {
    const { body } = await cluster.get('WorkflowRun', name);
    return cluster.api.request({ method: 'PUT', path: cluster.path('WorkflowRun', name), body: Object.assign({}, body, { spec: to }) });
  }

  // Client-side apply only removes what it wrote itself, so it starts with its own apply.
  async function start(from: Readonly<Record<string, unknown>>): Promise<string> {
    if (way !== 'kubectl apply') return runWith(from);
    const name = `run-${serial++}`;
    const object = JSON.stringify(manifest('WorkflowRun', name, from));
    expect((await cluster.api.kubectl(['apply', '-n', cluster.namespace, '-f', '-'], object)).stderr).toBe('');
    return name;
  }

  test.each(CHANGES)('$what', async ({ from, to, refusal }) => {
    const name = await start(from);
    const { ok, message } = await change(name, to, from);
    expect(ok ? 'taken' : message).toMatch(refusal ?? /^taken$/);
    if (refusal !== undefined) expect((await cluster.get('WorkflowRun', name)).body).toMatchObject({ spec: from });
  });
});

test('a run that is being deleted is judged like any other', async () => {
  const name = await runWith(REF);
  await cluster.patch('WorkflowRun', name, { metadata: { finalizers: ['rambo.dev/test'] } });
  await cluster.api.request({ method: 'DELETE', path: cluster.path('WorkflowRun', name) });
  expect((await cluster.patch('WorkflowRun', name, { spec: { priority: 2 } })).message).toMatch(/spec\.priority is immutable/);
  expect((await cluster.patch('WorkflowRun', name, { spec: { input: 2 } })).message).toMatch(/spec\.input is immutable/);
  expect((await cluster.patch('WorkflowRun', name, { metadata: { finalizers: null } })).status).toBe(200);
});

describe('final phases', () => {
  const FINAL = /status\.phase is final \(Succeeded, Failed, Cancelled\) and never changes again/;

  test.each(['Succeeded', 'Failed', 'Cancelled'])('%s is never left', async (phase) => {
    const name = await runWith(GOOD_SPEC.WorkflowRun);
    for (const step of ['Pending', 'Running', 'Suspended', 'Running', phase]) {
      expect(await cluster.patch('WorkflowRun', name, { status: { phase: step } }, 'status')).toMatchObject({ status: 200, message: '' });
    }
    for (const status of [{ phase: 'Running' }, { phase: phase === 'Failed' ? 'Succeeded' : 'Failed' }, { phase: null }, null]) {
      expect((await cluster.patch('WorkflowRun', name, { status }, 'status')).message).toMatch(FINAL);
    }
    const applied = await cluster.api.request({
      method: 'PATCH', path: cluster.path('WorkflowRun', name, 'status'), contentType: 'application/apply-patch+yaml',
      query: { fieldManager: 'other', force: 'true' }, body: { ...manifest('WorkflowRun', name, undefined), status: { phase: 'Pending' } },
    });
    expect(applied.message).toMatch(FINAL);
    expect(await cluster.patch('WorkflowRun', name, { status: { progress: '3/3' } }, 'status')).toMatchObject({ status: 200, message: '' });
  });

  test('status is no part of the main resource', async () => {
    const name = await runWith(GOOD_SPEC.WorkflowRun);
    await cluster.patch('WorkflowRun', name, { status: { phase: 'Running' } }, 'status');
    await cluster.patch('WorkflowRun', name, { status: { phase: 'Succeeded' } });
    expect((await cluster.get('WorkflowRun', name)).body).toMatchObject({ status: { phase: 'Running' } });
  });

  test('a bad status is refused', async () => {
    const name = await runWith(GOOD_SPEC.WorkflowRun);
    const bad = { phase: 'Done', startedAt: 'yesterday', failures: Array.from({ length: 11 }, () => ({ node: 'a', reason: 'r', message: 'm' })) };
    const { message } = await cluster.patch('WorkflowRun', name, { status: bad }, 'status');
    expect(message).toMatch(/status\.phase: Unsupported value: "Done"/);
    expect(message).toMatch(/status\.startedAt/);
    expect(message).toMatch(/status\.failures: Too many/);
  });
});
