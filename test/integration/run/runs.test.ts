import { chain, script, TestStack } from '../../harness/test-stack.ts';

let t: TestStack;
beforeAll(async () => {
  t = await TestStack.start();
  await t.pool();
}, 120_000);
afterAll(async () => { await t.stop(); });

describe('a run applied with kubectl', () => {
  test('runs a warm chain to its end, with outputs, progress and conditions', async () => {
    const { metadata } = await t.startInline(chain(10, true), { workflow: { outputs: { last: '${{ nodes.n9.output }}' } } });
    const run = await t.finished(metadata.name);
    expect(run.status).toMatchObject({ phase: 'Succeeded', progress: '10/10', outputs: { last: 10 } });
    const condition = (type: string): string | undefined => run.status?.conditions?.find((c) => c.type === type)?.status;
    expect(['Accepted', 'Completed', 'Reconciling', 'Stalled'].map(condition)).toEqual(['True', 'True', 'False', 'False']);
  });

  test('says which node failed, why, and with what message', async () => {
    const { metadata } = await t.startInline([script('bad', 'export default () => { throw new Error("no luck") }'), script('after', 'export default () => 1', { dependsOn: ['bad'] })]);
    const run = await t.finished(metadata.name);
    expect(run.status).toMatchObject({ phase: 'Failed', failures: [{ node: 'bad', reason: 'ScriptError', message: expect.stringContaining('no luck') }] });
    const rows = await t.sql<{ node: string; status: string }>('select node, status from node_run where run_id = $1 order by node', [metadata.uid]);
    expect(rows).toEqual([{ node: 'after', status: 'Omitted' }, { node: 'bad', status: 'Failed' }]);
    const events = await t.until('the Event', async () => {
      const out: { items: readonly unknown[] } = JSON.parse(await t.stack.kubectl.run('get', 'events', '--field-selector', `involvedObject.name=${metadata.name}`, '-o', 'json'));
      return out.items.length > 0 ? out.items : undefined;
    });
    expect(events).toHaveLength(1);
  });

  test('fans out in item order, with retries per item', async () => {
    const source = 'export default ({ input }) => { if (input === 3 && process.env.RAMBO_ATTEMPT === "1") throw new Error("again"); return input * input }';
    const { metadata } = await t.startInline([script('sq', source, { forEach: 'range(20)', parallelism: 5, retry: { limit: 1, backoff: { duration: '10ms' } } }, '${{ item }}')], { workflow: { outputs: { all: '${{ nodes.sq.output }}' } } });
    const run = await t.finished(metadata.name);
    expect(run.status).toMatchObject({ phase: 'Succeeded', outputs: { all: Array.from({ length: 20 }, (_, i) => i * i) } });
    const attempts = await t.sql<{ item: number; n: string }>('select item, count(*) n from attempt where run_id = $1 group by item having count(*) > 1', [metadata.uid]);
    expect(attempts).toEqual([{ item: 3, n: '2' }]);
  });

  test('runs containers in pods of their own and leaves none behind', async () => {
    const { metadata } = await t.startInline([
      { name: 'c', type: 'container', with: { image: 'local/sh', command: ['sh', '-c', 'echo "{\\"n\\":$RAMBO_INPUT}" > $RAMBO_OUTPUT_FILE; echo said'], input: 7 } },
      { name: 'bad', type: 'container', with: { image: 'local/sh', command: ['sh', '-c', 'exit 3'] }, continueOnFailure: true },
    ], { workflow: { outputs: { n: '${{ nodes.c.output.n }}', why: '${{ nodes.bad.error.reason }}' } } });
    const run = await t.finished(metadata.name);
    expect(run.status).toMatchObject({ phase: 'Succeeded', outputs: { n: 7, why: 'ExitCode' } });
    await t.until('no pod of the run', async () => (await t.stack.kubectl.run('get', 'pods', '-l', `rambo.dev/run-id=${metadata.uid}`, '-o', 'name')) === '');
  });

  test('costs at most four API-server writes, its creation included', async () => {
    const before = await t.metric('rambo_kube_writes_total', /workflowruns|events|pods/);
    const { metadata } = await t.startInline(chain(10, true));
    await t.finished(metadata.name);
    const after = await t.metric('rambo_kube_writes_total', /workflowruns|events|pods/);
    expect(after - before).toBeLessThanOrEqual(3);
  });
});

describe('steering', () => {
  const sleeper = script('slow', 'export default ({ signal }) => new Promise((resolve) => { setTimeout(resolve, 60000); signal.addEventListener("abort", () => process.exit(1)) })');

  test('cancel: Graceful stops running nodes and runs onExit', async () => {
    const { metadata } = await t.startInline([sleeper], { workflow: { onExit: [{ name: 'bye', type: 'transform', with: { output: '${{ run.phase }}' } }] } });
    await running(metadata.uid, 'slow');
    await t.stack.kubectl.run('patch', 'wfr', metadata.name, '--type', 'merge', '-p', '{"spec":{"cancel":"Graceful"}}');
    const run = await t.finished(metadata.name);
    expect(run.status?.phase).toBe('Cancelled');
    expect(await t.sql('select status from node_run where run_id = $1 and node = $2', [metadata.uid, 'bye'])).toEqual([{ status: 'Succeeded' }]);
  });

  test('deleting a live run cancels it', async () => {
    const { metadata } = await t.startInline([sleeper]);
    await running(metadata.uid, 'slow');
    await t.stack.kubectl.run('delete', 'wfr', metadata.name);
    await t.until('the row to be cancelled', async () => (await phase(metadata.uid)) === 'Cancelled');
  });

  test('suspend lets running nodes finish and starts no others until it is taken back', async () => {
    const { metadata } = await t.startInline([script('a', 'export default () => new Promise((r) => setTimeout(() => r(1), 2500))'), { name: 'b', type: 'transform', dependsOn: ['a'], with: { output: 2 } }]);
    await running(metadata.uid, 'a');
    await t.stack.kubectl.run('patch', 'wfr', metadata.name, '--type', 'merge', '-p', '{"spec":{"suspend":true}}');
    await t.until('a to end', async () => (await t.sql('select 1 from node_run where run_id = $1 and node = $2 and status = $3', [metadata.uid, 'a', 'Succeeded'])).length === 1);
    expect(await phase(metadata.uid)).toBe('Suspended');
    expect(await t.sql('select 1 from node_run where run_id = $1 and node = $2 and status <> $3', [metadata.uid, 'b', 'Pending'])).toEqual([]);
    await t.until('the object to say so', async () => (await t.stack.kubectl.run('get', 'wfr', metadata.name, '-o', 'jsonpath={.status.phase} {.status.counts}')) === 'Suspended {"pending":1,"succeeded":1}');
    await t.stack.kubectl.run('patch', 'wfr', metadata.name, '--type', 'merge', '-p', '{"spec":{"suspend":false}}');
    // A merge patch keeps what it does not name: nothing of the way there may be left.
    expect((await t.finished(metadata.name)).status).toMatchObject({ phase: 'Succeeded', counts: { succeeded: 2 } });
    expect(await t.stack.kubectl.run('get', 'wfr', metadata.name, '-o', 'jsonpath={.status.counts}')).toBe('{"succeeded":2}');
  });
});

describe('what cannot run', () => {
  test('a run of a workflow that comes later waits for it', async () => {
    const { metadata } = await t.create({ apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { generateName: 'late-', namespace: 'default' }, spec: { workflowRef: { name: 'latecomer' } } });
    await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: 'latecomer', namespace: 'default' }, spec: { nodes: chain(1, false) } });
    expect((await t.finished(metadata.name)).status?.phase).toBe('Succeeded');
  });

  test('an invalid inline workflow fails its run, naming node, field and value', async () => {
    const { metadata } = await t.startInline([
      { name: 'a', type: 'transform', dependsOn: ['b'], with: { output: 1 } }, { name: 'b', type: 'transform', dependsOn: ['a'], with: { output: 1 } },
      { name: 'c', type: 'transform', with: { output: '${{ nodes.nowhere.output }}' } },
    ]);
    const run = await t.finished(metadata.name);
    expect(run.status?.phase).toBe('Failed');
    const message = run.status?.conditions?.find((c) => c.type === 'Completed')?.message ?? '';
    expect(message).toContain('nowhere');
    expect(message).toMatch(/a -> b -> a|b -> a -> b/);
  });

  test('an invalid Workflow says so in its status', async () => {
    await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: 'broken', namespace: 'default' }, spec: { nodes: [{ name: 'x', type: 'transform', with: { output: '${{ 1 + }}' } }] } });
    const status = await t.until('the status', async () => {
      const object: { status?: { phase?: string; conditions: readonly { type: string; status: string; reason: string; message: string }[] } } = JSON.parse(await t.stack.kubectl.run('get', 'wf', 'broken', '-o', 'json'));
      return object.status?.phase === undefined ? undefined : object.status;
    });
    expect(status.phase).toBe('Invalid');
    expect(status.conditions.find((c) => c.type === 'Ready')).toMatchObject({ status: 'False', reason: 'Invalid', message: expect.stringContaining('x') });
  });

  test('an input that breaks the schema fails the run', async () => {
    const { metadata } = await t.startInline(chain(1, false), { workflow: { inputs: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } }, spec: { input: { n: 'seven' } } });
    const run = await t.finished(metadata.name);
    expect(run.status?.conditions?.find((c) => c.type === 'Completed')?.message).toMatch(/\bn\b/);
    expect(run.status?.phase).toBe('Failed');
  });

  test('an output over the cap is an error of its node', async () => {
    const { metadata } = await t.startInline([script('big', 'export default () => "x".repeat(300000)')]);
    expect((await t.finished(metadata.name)).status?.failures?.[0]?.reason).toBe('OutputTooLarge');
  });
});

async function phase(id: string): Promise<string | undefined> {
  return (await t.sql<{ phase: string }>('select phase from run where id = $1', [id]))[0]?.phase;
}

async function running(id: string, node: string): Promise<void> {
  await t.until(`${node} to run`, async () => (await t.sql('select 1 from node_run where run_id = $1 and node = $2 and status = $3', [id, node, 'Running'])).length === 1);
}
