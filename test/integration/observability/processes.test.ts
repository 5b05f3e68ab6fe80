import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BASE_FIELDS, FIELDS } from '../../../platform/log/fields.ts';
import { script, TestStack } from '../../harness/test-stack.ts';
import { Receiver, type ReceivedSpan } from './otlp.ts';

/** What the processes say of themselves while they work: metrics, health, spans, logs. */

let t: TestStack;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await Receiver.start();
  t = await TestStack.start({ api: true, otlpEndpoint: receiver.url });
  await t.pool({ minReady: 1, max: 1 });
}, 120_000);
afterAll(async () => {
  await t.stop();
  receiver.stop();
});

const PARENT = { trace: '0af7651916cd43dd8448eb211c80319c', id: 'b7ad6b7169203331' };
const SECRET = 'a-value-nobody-may-see-4711';

async function read(url: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(url);
  return { status: response.status, text: await response.text() };
}

async function startOverApi(spec: object, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const query = 'mutation($i: StartRunInput!) { r: startRun(input: $i) { ... on RunPayload { run { id } } } }';
  const { data } = await t.ask<{ data: { r: { run: { id: string } } } }>(query, { i: { namespace: 'default', ...spec } }, { headers });
  await t.succeeded([data.r.run.id]);
  return data.r.run.id;
}

async function span(what: Partial<ReceivedSpan>): Promise<ReceivedSpan> {
  return t.until(`the span ${JSON.stringify(what)}`, () => Promise.resolve(receiver.spans.find((s) => Object.entries(what).every(([key, value]) => s[key as keyof ReceivedSpan] === value))));
}

describe('traces', () => {
  test('go from the caller through the API and the controller into the runner and the node', async () => {
    const run = await startOverApi(
      { definition: { nodes: [script('say', 'export default () => process.env.TRACEPARENT;')] }, input: { password: SECRET } },
      { traceparent: `00-${PARENT.trace}-${PARENT.id}-01` });
    const node = await span({ service: 'rambo-runner', name: 'rambo.node', trace: PARENT.trace });
    const start = await span({ service: 'rambo-controller', name: 'rambo.run.start', trace: PARENT.trace });
    const operation = await span({ service: 'rambo-api', trace: PARENT.trace });
    const dispatch = await span({ service: 'rambo-controller', name: 'rambo.dispatch', trace: PARENT.trace });
    const result = await span({ service: 'rambo-controller', name: 'rambo.result', trace: PARENT.trace });
    expect([operation.parent, start.parent, dispatch.parent, node.parent, result.parent]).toEqual([PARENT.id, operation.id, start.id, start.id, node.id]);
    for (const { attributes } of [dispatch, result]) expect(attributes).toMatchObject({ 'rambo.run': run, 'rambo.node': 'say', 'rambo.attempt': 1 });
    expect(node.attributes).toMatchObject({ 'rambo.run': run, 'rambo.node': 'say' });
    const [row] = await t.sql<{ output: Buffer }>('select output from node_run where run_id = $1', [run]);
    expect(JSON.parse(String(row?.output))).toBe(`00-${PARENT.trace}-${node.id}-01`);
  });

  test('begin with the acceptance of an object', async () => {
    const { metadata } = await t.startInline([script('say', 'export default ({ input }) => input;', {}, '${{ inputs.password }}')], { spec: { input: { password: SECRET } } });
    expect((await t.finished(metadata.name)).status?.phase).toBe('Succeeded');
    const accept = await t.until('its span', () => Promise.resolve(receiver.spans.find((s) => s.name === 'rambo.run.accept' && s.attributes['rambo.run'] === metadata.uid)));
    expect(accept.parent).toBe('');
    const node = await span({ name: 'rambo.node', trace: accept.trace });
    expect(node.parent).toBe(accept.id);
  });

  test('hold neither inputs nor outputs nor tokens', () => {
    expect(receiver.spans.length).toBeGreaterThan(4);
    for (const secret of [SECRET, t.addresses.token]) expect(receiver.text).not.toContain(secret);
  });
});

/** Labels a metric may have: each has few values, whatever runs. */
const LABELS = new Set(['process', 'verb', 'resource', 'code', 'queue', 'outcome', 'phase', 'status', 'namespace', 'pool', 'state', 'field', 'type', 'kind', 'result', 'le', 'quantile', 'version', 'major', 'minor', 'patch', 'space', 'reason', 'dependency', 'direction', 'class', 'what']);
const CONTROLLER = [
  'rambo_run_advance_seconds', 'rambo_commit_batch_size', 'rambo_commit_seconds', 'rambo_dispatch_seconds', 'rambo_run_backlog', 'rambo_outbox_pending', 'rambo_shards_owned', 'rambo_replicas', 'rambo_runs',
  'rambo_runs_finished_total', 'rambo_nodes_finished_total', 'rambo_messages_dead_lettered_total', 'rambo_pool_runners', 'rambo_pool_queue_depth', 'rambo_pool_in_flight', 'rambo_kube_requests_total', 'rambo_kube_writes_total',
  'rambo_workqueue_depth', 'rambo_workqueue_seconds', 'rambo_reflector_events_total', 'rambo_reflector_relists_total', 'rambo_reflector_stalls_total', 'rambo_nats_reconnects_total', 'rambo_dependency_up', 'rambo_postgres_connections', 'rambo_postgres_waiting', 'rambo_faults_total', 'rambo_commit_failures_total', 'rambo_outbox_oldest_seconds', 'rambo_shards_moved_total', 'rambo_run_seconds',
  'rambo_node_errors_total', 'rambo_pool_runners_busy', 'rambo_pool_runners_max', 'rambo_pool_trouble', 'rambo_pods_queue_depth', 'rambo_pods_in_flight', 'rambo_nodejs_eventloop_lag_seconds', 'rambo_process_resident_memory_bytes',
];
const API = ['rambo_dependency_up', 'rambo_kube_requests_total', 'rambo_postgres_connections', 'rambo_faults_total', 'rambo_api_requests_total', 'rambo_api_reviews_total', 'rambo_api_request_seconds', 'rambo_api_subscriptions', 'rambo_nodejs_eventloop_lag_seconds'];

describe('metrics', () => {
  const pages = (): readonly [string, readonly string[]][] => [[t.stack.controllerUrl(), CONTROLLER], [t.stack.apiHealthUrl(), API]];

  test('have the names that dashboards and alerts are built on, one prefix and closed labels', async () => {
    for (const [url, names] of pages()) {
      const { status, text } = await read(`${url}/metrics`);
      expect(status).toBe(200);
      const types = [...text.matchAll(/^# TYPE (\S+) /gm)].map((match) => match[1] ?? '');
      expect(types.filter((name) => !name.startsWith('rambo_'))).toEqual([]);
      expect(names.filter((name) => !types.includes(name))).toEqual([]);
      const labels = new Set([...text.matchAll(/[{,]([a-zA-Z_]+)="/g)].map((match) => match[1] ?? ''));
      expect([...labels].filter((label) => !LABELS.has(label))).toEqual([]);
    }
  });

  test('move with a run and do not name it', async () => {
    const before = await t.metric('rambo_nodes_finished_total', /Succeeded/);
    const run = await startOverApi({ name: 'odd-name-of-a-run', definition: { nodes: [script('oddname', 'export default () => 1;'), script('odder', 'export default () => 2;')] } });
    expect(await t.metric('rambo_nodes_finished_total', /Succeeded/)).toBe(before + 2);
    for (const [url] of pages()) {
      const { text } = await read(`${url}/metrics`);
      for (const name of [run, 'odd-name-of-a-run', 'oddname']) expect(text).not.toContain(name);
    }
  });
});

describe('logs', () => {
  test('are JSON of one shape, without a field that docs/logs.md does not know, and hold neither inputs nor tokens nor credentials', () => {
    const dir = path.join(path.dirname(path.dirname(t.addresses.natsCreds)), 'logs');
    const seed = readFileSync(path.join(path.dirname(t.addresses.natsCreds), 'account.seed'), 'utf8').trim();
    for (const name of readdirSync(dir).filter((file) => /^(controller|api)/.test(file))) {
      const text = readFileSync(path.join(dir, name), 'utf8');
      const lines = text.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(lines.length).toBeGreaterThan(0);
      expect([...new Set(lines.flatMap((line) => Object.keys(line)))].filter((field) => !Object.hasOwn({ ...BASE_FIELDS, ...FIELDS }, field))).toEqual([]);
      for (const line of lines) expect(line).toMatchObject({ level: expect.stringMatching(/^(debug|info|warn|error)$/), time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/), process: name.replace(/(-\d+)?\.log$/, ''), msg: expect.any(String) });
      for (const secret of [SECRET, t.addresses.token, seed]) expect(text).not.toContain(secret);
    }
  });
});

describe('health', () => {
  test('an unknown path is not found', async () => {
    expect((await read(`${t.stack.controllerUrl()}/other`)).status).toBe(404);
  });

  test('a Postgres that is away makes both not ready, and says so; they live all the same, and are ready again after it is back', async () => {
    const urls = [t.stack.controllerUrl(), t.stack.apiHealthUrl()];
    for (const url of urls) expect((await read(`${url}/readyz`)).status).toBe(200);
    await t.stack.postgres.kill();
    for (const url of urls) {
      const { text } = await t.until('not ready', async () => read(`${url}/readyz`).then((answer) => (answer.status === 503 ? answer : undefined)));
      expect(text).toMatch(/postgres/i);
      expect((await read(`${url}/healthz`)).status).toBe(200);
    }
    await t.stack.postgres.restart();
    for (const url of urls) await t.until('ready again', async () => (await read(`${url}/readyz`)).status === 200);
  });
});
