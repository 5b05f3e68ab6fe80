import { GitopsTool, type AnyObject } from '../../harness/gitops.ts';
import { chain, script, TestStack } from '../../harness/test-stack.ts';

/**
 * What Flux (kstatus) and Argo CD (our Lua) make of our objects in every phase, as the real controller writes them. Also:
 * what no controller has seen yet is never taken for ready.
 */

let t: TestStack;
let tool: GitopsTool;
beforeAll(async () => {
  tool = await GitopsTool.build();
  t = await TestStack.start();
}, 600_000);
afterAll(async () => { await t.stop(); });

const API = { apiVersion: 'rambo.dev/v1alpha1' };
const SLEEP = script('slow', 'export default () => new Promise((resolve) => { setTimeout(resolve, 60000) })');

function workflow(name: string, spec: object = { nodes: chain(1, false) }): object {
  return { ...API, kind: 'Workflow', metadata: { name, namespace: 'default' }, spec };
}

function run(name: string, spec: object): object {
  return { ...API, kind: 'WorkflowRun', metadata: { name, namespace: 'default' }, spec };
}

function pool(name: string, spec: object): object {
  return { ...API, kind: 'RunnerPool', metadata: { name, namespace: 'default' }, spec };
}

async function read(kind: string, name: string): Promise<AnyObject> {
  const object: AnyObject = JSON.parse(await t.stack.kubectl.run('get', kind, name, '-o', 'json'));
  return object;
}

/** Both judgements, once the object is as `like` says. */
async function judged(kind: string, name: string, like: object): Promise<string> {
  const object = await t.until(`${kind} ${name} to be ${JSON.stringify(like)}`, async () => {
    const now = await read(kind, name);
    return matches(now, like) ? now : undefined;
  });
  const [flux, argo] = [await tool.kstatus(object), await tool.health(object)];
  expect([flux.error, argo.error]).toEqual([undefined, undefined]);
  return `${flux.status} ${argo.status}`;
}

function matches(actual: unknown, like: unknown): boolean {
  if (Array.isArray(like)) return Array.isArray(actual) && like.every((entry) => actual.some((one) => matches(one, entry)));
  if (typeof like !== 'object' || like === null) return actual === like;
  return Object.entries(like).every(([key, value]) => matches((actual as Readonly<Record<string, unknown>> | undefined)?.[key], value));
}

const condition = (type: string, status: string, more: object = {}): object => ({ status: { conditions: [{ type, status, ...more }] } });

describe('what no controller has seen', () => {
  /** The verdict on what is written while no controller runs. One runs again afterwards, whatever became of it. */
  async function unseen(kind: string, name: string, object: object, like: object): Promise<string> {
    await t.stack.child('controller-0').stop();
    try {
      await t.apply(object);
      return await judged(kind, name, like);
    } finally {
      t.stack.startController('controller-0');
    }
  }

  test.each([
    ['wf', 'fresh', workflow('fresh'), workflow('fresh', { nodes: chain(2, false) })],
    ['wfr', 'fresh', run('fresh', { workflow: { nodes: chain(1, false) } }), undefined],
    ['pool', 'fresh', pool('fresh', { minReady: 0 }), pool('fresh', { minReady: 0, max: 2 })],
  ])('%s is in progress, and ready later', async (kind, name, object, changed) => {
    expect(await unseen(kind, name, object, { metadata: { generation: 1 } })).toBe('InProgress Progressing');
    expect(await judged(kind, name, { status: { observedGeneration: 1, conditions: [{ type: 'Reconciling', status: 'False' }] } })).toBe('Current Healthy');
    if (changed === undefined) return;
    expect(await unseen(kind, name, changed, { metadata: { generation: 2 } })).toBe('InProgress Progressing');
    expect(await judged(kind, name, { status: { observedGeneration: 2 } })).toBe('Current Healthy');
  }, 120_000);
});

describe('a Workflow', () => {
  test('that can run is ready', async () => {
    await t.apply(workflow('valid'));
    expect(await judged('wf', 'valid', condition('Ready', 'True'))).toBe('Current Healthy');
  });

  test('that cannot run has failed, and is ready again when it is put right', async () => {
    await t.apply(workflow('wrong', { nodes: [{ name: 'x', type: 'transform', with: { output: '${{ nodes.nowhere.output }}' } }] }));
    expect(await judged('wf', 'wrong', condition('Ready', 'False'))).toBe('Failed Degraded');
    await t.apply(workflow('wrong'));
    expect(await judged('wf', 'wrong', condition('Ready', 'True'))).toBe('Current Healthy');
  });

  test('that is suspended is in place, and takes no runs', async () => {
    await t.apply(workflow('resting', { suspend: true, nodes: chain(1, false) }));
    expect(await judged('wf', 'resting', condition('Ready', 'True'))).toBe('Current Suspended');
  });

  test('that the API server takes and our door does not has failed, and costs one write', async () => {
    const deep = JSON.parse(`${'['.repeat(110)}${']'.repeat(110)}`) as unknown;
    await t.apply(workflow('deep', { nodes: chain(1, false), outputs: { deep } }));
    expect(await judged('wf', 'deep', condition('Stalled', 'True'))).toBe('Failed Degraded');
    const writes = await t.metric('rambo_kube_writes_total', /workflows\/status/);
    await new Promise((resolve) => { setTimeout(resolve, 1_500); });
    expect(await t.metric('rambo_kube_writes_total', /workflows\/status/)).toBe(writes);
  });
});

describe('a WorkflowRun', () => {
  beforeAll(async () => { await t.pool(); });

  test('that waits for its Workflow is in progress', async () => {
    await t.apply(run('early', { workflowRef: { name: 'never' } }));
    expect(await judged('wfr', 'early', { spec: { workflowRef: { name: 'never' } } })).toBe('InProgress Progressing');
  });

  test('that runs is in progress; suspended, it is in progress and Suspended; cancelled, it has failed', async () => {
    await t.apply(run('long', { workflow: { nodes: [SLEEP] } }));
    expect(await judged('wfr', 'long', { status: { phase: 'Running' } })).toBe('InProgress Progressing');
    await t.stack.kubectl.run('patch', 'wfr', 'long', '--type', 'merge', '-p', '{"spec":{"suspend":true}}');
    expect(await judged('wfr', 'long', { status: { phase: 'Suspended', observedGeneration: 2 } })).toBe('InProgress Suspended');
    await t.stack.kubectl.run('patch', 'wfr', 'long', '--type', 'merge', '-p', '{"spec":{"cancel":"Now"}}');
    expect(await judged('wfr', 'long', { status: { phase: 'Cancelled', observedGeneration: 3 } })).toBe('Failed Degraded');
  });

  test('that succeeded is current, also when its spec is touched afterwards', async () => {
    await t.apply(run('good', { workflow: { nodes: chain(2, true) } }));
    expect(await judged('wfr', 'good', { status: { phase: 'Succeeded' } })).toBe('Current Healthy');
    await t.stack.kubectl.run('patch', 'wfr', 'good', '--type', 'merge', '-p', '{"spec":{"suspend":true}}');
    expect(await judged('wfr', 'good', { metadata: { generation: 2 }, status: { phase: 'Succeeded', observedGeneration: 2 } })).toBe('Current Healthy');
  });

  test('that failed, or was refused, has failed, and says why', async () => {
    await t.apply(run('bad', { workflow: { nodes: [script('boom', 'export default () => { throw new Error("no luck") }')] } }));
    expect(await judged('wfr', 'bad', { status: { phase: 'Failed' } })).toBe('Failed Degraded');
    expect((await tool.health(await read('wfr', 'bad'))).message).toMatch(/node boom: ScriptError: .*no luck/s);
    expect((await tool.kstatus(await read('wfr', 'bad'))).message).toMatch(/node boom: ScriptError: .*no luck/s);
    await t.apply(run('refused', { workflow: { nodes: [{ name: 'x', type: 'transform', with: { output: '${{ 1 + }}' } }] } }));
    expect(await judged('wfr', 'refused', condition('Accepted', 'False'))).toBe('Failed Degraded');
  });
});

describe('a RunnerPool', () => {
  test('is in progress until its pods are ready', async () => {
    await t.apply(pool('warm', { minReady: 1 }));
    expect(['InProgress Progressing', 'Current Healthy']).toContain(await judged('pool', 'warm', { kind: 'RunnerPool' }));
    expect(await judged('pool', 'warm', condition('Ready', 'True'))).toBe('Current Healthy');
  });

  test('whose pods cannot start has failed', async () => {
    await t.apply(pool('broken', { minReady: 1, image: 'nowhere.invalid/none:1' }));
    expect(await judged('pool', 'broken', condition('Stalled', 'True'))).toBe('Failed Degraded');
  });

  test('is not current while only pods of its former definition are ready, and has failed when the new ones cannot start', async () => {
    await t.apply(pool('rolled', { minReady: 1 }));
    expect(await judged('pool', 'rolled', condition('Ready', 'True'))).toBe('Current Healthy');
    await t.apply(pool('rolled', { minReady: 1, image: 'nowhere.invalid/none:1' }));
    expect(await judged('pool', 'rolled', condition('Stalled', 'True', { observedGeneration: 2 }))).toBe('Failed Degraded');
    await t.apply(pool('rolled', { minReady: 1, slots: 4 }));
    expect(await judged('pool', 'rolled', condition('Ready', 'True', { observedGeneration: 3, reason: 'PoolReady' }))).toBe('Current Healthy');
  }, 90_000);
});
