import { CASES, GOOD_SPEC, nodes, objectNames, SCRIPT } from './bad-input.ts';
import { manifest, startCrdCluster } from './cluster.ts';
import type { CrdCluster, FieldValidation, Way } from './cluster.ts';

let cluster: CrdCluster;
beforeAll(async () => { cluster = await startCrdCluster('crds-admission'); }, 60_000);
afterAll(async () => { await cluster.remove(); });

const WAYS: readonly { readonly way: Way; readonly fields: FieldValidation }[] = [
  { way: 'create', fields: 'Strict' }, { way: 'create', fields: 'Ignore' }, { way: 'apply', fields: 'Strict' }, { way: 'apply', fields: 'Ignore' },
];

describe.each(WAYS)('$way with fieldValidation=$fields', (way) => {
  test.each(CASES.filter((entry) => entry.refusal === undefined))('$kind takes $what', async ({ kind, spec }) => {
    expect(await cluster.write(manifest(kind, 'x', spec), way)).toMatchObject({ status: 201, message: '' });
  });

  test.each(CASES.filter((entry) => entry.refusal !== undefined))('$kind refuses $what', async ({ kind, spec, refusal }) => {
    const answer = await cluster.write(manifest(kind, 'x', spec), way);
    expect(answer.message).toMatch(refusal ?? /never/);
    expect([400, 422, 500]).toContain(answer.status);
  });

  test.each(objectNames)('a $kind named $name', async ({ kind, name, refusal }) => {
    const answer = await cluster.write(manifest(kind, name, GOOD_SPEC[kind]), way);
    if (refusal === undefined) expect(answer).toMatchObject({ status: 201, message: '' });
    else expect(answer.message).toMatch(refusal);
  });
});

describe('fields nobody knows', () => {
  const pod = { hostNetwork: true, hostPath: { path: '/' }, podSpecPatch: '{}', securityContext: { privileged: true } };
  const spec = { nodes: [{ ...SCRIPT, runner: pod }], ...pod };

  test.each<Way>(['create', 'apply'])('strict clients are refused: %s', async (way) => {
    const answer = await cluster.write(manifest('Workflow', 'x', spec), { way });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.message).toMatch(/hostNetwork|field not declared/);
  });

  test('for others they are pruned, above and below', async () => {
    const answer = await cluster.write(manifest('Workflow', 'x', spec), { fields: 'Ignore' });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ spec: { nodes: [{ ...SCRIPT, runner: {} }] } });
    expect(JSON.stringify(answer.body)).not.toMatch(/hostPath":\{"path|privileged|"podSpecPatch":"/);
  });

  test('a reference into another namespace does not exist', async () => {
    const run = manifest('WorkflowRun', 'x', { workflowRef: { name: 'w', namespace: 'kube-system' } });
    expect((await cluster.write(run)).message).toContain('unknown field "spec.workflowRef.namespace"');
    expect((await cluster.write(run, { fields: 'Ignore' })).body).toMatchObject({ spec: { workflowRef: { name: 'w' } } });
  });
});

describe('literal data', () => {
  test.each<Way>(['create', 'apply'])('keys and values that look dangerous stay as they are: %s', async (way) => {
    const leaf = '{"__proto__":{"polluted":true},"constructor":{"prototype":null},"text":"{{x}} ${y} ${{ z }}","on":null,"n":1}';
    const text = `{"apiVersion":"rambo.dev/v1alpha1","kind":"Workflow","metadata":{"name":"x"},
      "spec":{"nodes":[{"name":"a","type":"transform","with":{"output":${leaf}}}]}}`;
    const body: unknown = JSON.parse(text);
    const answer = await cluster.write(Object.assign({ kind: 'Workflow' }, body), { way });
    expect(answer.status).toBe(201);
    expect(JSON.stringify(answer.body)).toContain('"__proto__":{"polluted":true}');
    expect(JSON.stringify(answer.body)).toContain('"text":"{{x}} ${y} ${{ z }}"');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  test('defaults of a pool are filled in', async () => {
    const answer = await cluster.write(manifest('RunnerPool', 'x', {}));
    expect(answer.body).toMatchObject({ spec: { minReady: 1, max: 4, idleTTL: '5m', slots: 8, reuse: 'Run' } });
  });
});

describe('large manifests', () => {
  const sources = (count: number): unknown => ({
    nodes: Array.from({ length: count }, (_, i) => ({ name: `n${i}`, type: 'script', with: { language: 'bash', source: '#'.repeat(250_000) } })),
  });

  test('1 MB is taken by server-side apply', async () => {
    const answer = await cluster.write(manifest('Workflow', 'big', sources(4)), { way: 'apply', dryRun: false });
    expect(answer).toMatchObject({ status: 201, message: '' });
  });

  test('1 MB by client-side apply names the limit of its annotation', async () => {
    const text = JSON.stringify(manifest('Workflow', 'annotated', sources(4)));
    const { code, stderr } = await cluster.api.kubectl(['apply', '-n', cluster.namespace, '-f', '-'], text);
    expect(code).toBe(1);
    expect(stderr).toMatch(/metadata\.annotations: Too long: may not be more than 262144 bytes/);
  });

  test.each<Way>(['create', 'apply'])('1.75 MB and 4 MB are refused: %s', async (way) => {
    expect((await cluster.write(manifest('Workflow', 'huge', sources(7)), { way, dryRun: false })).message).toMatch(/request is too large/i);
    expect((await cluster.write(manifest('Workflow', 'huge', sources(16)), { way, dryRun: false })).message).toMatch(/limit is 3145728/);
  });

  test('a source over its limit is named', async () => {
    const spec = { nodes: [{ ...SCRIPT, with: { language: 'bash', source: '#'.repeat(262_145) } }] };
    expect((await cluster.write(manifest('Workflow', 'x', spec))).message).toMatch(/with\.source: Too long.*262144/);
  });

  test('a run with 1,000 nodes inline can still be changed within the cost budget', async () => {
    const spec = { workflow: { nodes: nodes(1_000), onExit: nodes(1_000), defaults: { timeout: '1m' } }, input: { a: 'x'.repeat(100_000) } };
    expect(await cluster.write(manifest('WorkflowRun', 'wide', spec), { dryRun: false })).toMatchObject({ status: 201, message: '' });
    expect(await cluster.patch('WorkflowRun', 'wide', { spec: { suspend: true } })).toMatchObject({ status: 200, message: '' });
    expect(await cluster.patch('WorkflowRun', 'wide', { status: { phase: 'Running' } }, 'status')).toMatchObject({ status: 200, message: '' });
  });
});

describe('kubectl', () => {
  test('applies and refuses the same way by hand', async () => {
    const list = [
      manifest('Workflow', 'k-good', GOOD_SPEC.Workflow), manifest('Workflow', 'k-bad', { nodes: [{ name: 'a', type: 'container' }] }),
      manifest('WorkflowRun', 'k-run', GOOD_SPEC.WorkflowRun), manifest('WorkflowRun', 'k-none', {}), manifest('RunnerPool', 'k-pool', {}),
    ].map((object) => JSON.stringify(object)).join('\n---\n');
    for (const flags of [[], ['--server-side'], ['--validate=ignore']]) {
      const { code, stdout, stderr } = await cluster.api.kubectl(['apply', '-n', cluster.namespace, '--dry-run=server', ...flags, '-f', '-'], list);
      expect(code).toBe(1);
      expect(stdout.split('\n').filter((line) => line !== '')).toHaveLength(3);
      expect(stderr).toMatch(/node a: with\.image is required for type container/);
      expect(stderr).toMatch(/set exactly one of spec\.workflowRef/);
    }
  });

  test('lists by short name and category with the columns people look for', async () => {
    await cluster.write(manifest('RunnerPool', 'columns', { minReady: 0, max: 2 }), { dryRun: false });
    const { stdout } = await cluster.api.kubectl(['get', 'pool', 'columns', '-n', cluster.namespace]);
    expect(stdout.split('\n')[0]?.split(/\s+/).filter(Boolean)).toEqual(['NAME', 'READY', 'STARTING', 'MIN', 'MAX', 'AGE']);
    const all = await cluster.api.kubectl(['get', 'rambo', '-n', cluster.namespace, '-o', 'name']);
    expect(all.stdout).toContain('runnerpool.rambo.dev/columns');
  });
});
