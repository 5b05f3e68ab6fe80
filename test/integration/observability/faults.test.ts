import { TestStack } from '../../harness/test-stack.ts';
import { SentryReceiver, type SentryEvent } from './sentry-receiver.ts';

/** Faults of ours are counted and reported, scrubbed; what may fail in the world is not. */

let t: TestStack;
let sentry: SentryReceiver;
beforeAll(async () => {
  sentry = await SentryReceiver.start();
  t = await TestStack.start({ api: true, network: {
    open: () => Promise.resolve(), close: () => Promise.resolve(),
    lead: (_, env) => ({ ...env, RAMBO_SENTRY_DSN: sentry.dsn, RAMBO_SENTRY_ENVIRONMENT: 'test', A_VARIABLE: SECRET }),
  } });
}, 120_000);
afterAll(async () => {
  await t.stop();
  sentry.stop();
});

const SECRET = 'a-value-nobody-may-see-4711';
/** All that an event may have. */
const ALLOWED = new Set(['event_id', 'timestamp', 'platform', 'level', 'environment', 'transaction', 'tags', 'exception', 'sdk']);
const FRAME = new Set(['filename', 'function', 'lineno', 'colno', 'in_app', 'module']);

async function start(input: object, nodes: readonly object[]): Promise<string> {
  const query = 'mutation($i: StartRunInput!) { r: startRun(input: $i) { ... on RunPayload { run { id } } } }';
  const { data } = await t.ask<{ data: { r: { run: { id: string } } } }>(query, { i: { namespace: 'default', definition: { nodes }, input } });
  return data.r.run.id;
}

async function faults(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^rambo_faults_total\{[^}]*\} (\d+)$/m.exec(text)?.[1]);
}

async function event(of: string): Promise<SentryEvent> {
  return t.until(`the event "${of}"`, () => Promise.resolve(sentry.events.find(({ transaction }) => transaction === of)));
}

test('what the world may do is no fault: Postgres goes away and comes back, a caller errs, a node fails', async () => {
  await t.stack.postgres.kill();
  const { errors } = await t.ask<{ errors: readonly { extensions: { code: string } }[] }>('{ runs(namespace: "default", first: 1) { edges { node { id } } } }');
  expect(errors[0]?.extensions.code).toBe('UNAVAILABLE');
  await t.stack.postgres.restart();
  const wrong = await t.ask<{ errors: readonly unknown[] }>('{ nothing }');
  expect(wrong.errors).toHaveLength(1);
  const failing = await t.until('the API to start runs again', () => start({}, [{ name: 'no', type: 'transform', with: { output: '${{ inputs.absent }}' } }]).catch(() => undefined));
  await t.until('the run to fail', async () => (await t.sql("select 1 from run where id = $1 and phase = 'Failed'", [failing])).length === 1);
  for (const url of [t.stack.controllerUrl(), t.stack.apiHealthUrl()]) expect(await faults(url)).toBe(0);
  expect([sentry.events, sentry.others]).toEqual([[], []]);
});

test('a fault of the API: the caller gets an id, the log has its place, Sentry the same id', async () => {
  const run = await start({ password: SECRET }, [{ name: 'one', type: 'transform', with: { output: 1 } }]);
  await t.succeeded([run]);
  await t.sql('update run set outputs = $2 where id = $1', [run, Buffer.from(`{"password": ${SECRET}`)]);
  const { errors } = await t.ask<{ errors: readonly { extensions: { code: string; errorId: string } }[] }>('query($id: ID!) { run(id: $id) { outputs } }', { id: run });
  expect(errors[0]?.extensions.code).toBe('INTERNAL');
  const reported = await event('an operation failed by a fault of ours');
  expect(reported).toMatchObject({ environment: 'test', platform: 'node', level: 'error', tags: { process: 'api', errorId: errors[0]?.extensions.errorId } });
  expect(reported.exception?.values[0]).toMatchObject({ type: 'RamboError', value: 'stored bytes are not JSON' });
  expect(reported.exception?.values[0]?.stacktrace?.frames.length).toBeGreaterThan(2);
  expect(await faults(t.stack.apiHealthUrl())).toBe(1);
});

test('a fault of the controller: a stored definition that does not compile', async () => {
  const run = await start({ password: SECRET }, [{ name: 'long', type: 'wait', with: { duration: '1h' } }]);
  await t.sql('update definition set spec = $2 where hash = (select definition_hash from run where id = $1)', [run, Buffer.from(JSON.stringify({ nodes: [{ name: 'a', type: 'transform', dependsOn: ['ghost'], with: { output: SECRET } }] }))]);
  t.stack.child('controller-0').kill();
  const reported = await event('the stored definition of a live run does not compile');
  expect(reported.tags).toEqual({ process: 'controller', run });
  await t.until('the controller to listen again and to have counted it', () => faults(t.stack.controllerUrl()).then((n) => n === 1, () => false));
});

test('events hold what is allowed and nothing else: no environment, no header, no host, no payload, no token', () => {
  expect(sentry.events.length).toBeGreaterThan(1);
  for (const reported of sentry.events) {
    expect(Object.keys(reported).filter((key) => !ALLOWED.has(key))).toEqual([]);
    for (const { stacktrace } of reported.exception?.values ?? []) for (const frame of stacktrace?.frames ?? []) expect(Object.keys(frame).filter((key) => !FRAME.has(key))).toEqual([]);
  }
  expect(sentry.others).toEqual([]);
  for (const secret of [SECRET, t.addresses.token, 'postgres:postgres']) expect(sentry.text).not.toContain(secret);
});
