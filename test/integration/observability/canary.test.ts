import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { AttemptSecrets } from '../../../controller/run/secrets.ts';
import { script, TestStack } from '../../harness/test-stack.ts';
import { Receiver } from './otlp.ts';

/**
 * T5 of the reliability page: secrets planted wherever RamBo has any, then work, failures and faults all around, then a look
 * into everything people and machines can read: logs, objects, Events, messages, spans, metrics, rows.
 */

/** In a Secret that a pool brings into the environment of its nodes. */
const CANARY = 'canary-4711-in-the-environment-of-a-pool';
/** In an output, where it belongs: shows that the places are really looked into. */
const CONTROL = 'control-4711-which-must-be-found';

let t: TestStack;
let receiver: Receiver;
let nats: NatsConnection | undefined;
let target: Server;
/** Messages by subject, as the account sees them. */
const messages: { readonly subject: string; readonly text: string }[] = [];
const runs: string[] = [];

beforeAll(async () => {
  receiver = await Receiver.start();
  target = createServer((request, response) => { response.statusCode = request.url === '/good' ? 200 : 500; response.end('{"said":"something"}'); });
  await new Promise<void>((resolve) => { target.listen(0, '127.0.0.1', resolve); });
  t = await TestStack.start({ api: true, otlpEndpoint: receiver.url });
  nats = await connect({ servers: t.addresses.natsUrl, timeout: 20_000, authenticator: credsAuthenticator(Buffer.from(`${readFileSync(t.addresses.natsCreds, 'utf8').trim()}\n`)) });
  nats.subscribe('>', { callback: (_, message) => { messages.push({ subject: message.subject, text: new TextDecoder().decode(message.data) }); } });
  await t.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'canary', namespace: 'default' }, stringData: { CANARY } });
  await t.pool({ minReady: 1, max: 2, envFrom: [{ secretRef: { name: 'canary' } }], http: { allow: ['127.0.0.0/8'] } });
}, 120_000);
afterAll(async () => {
  await nats?.close();
  await t.stop();
  receiver.stop();
  target.close();
});

function http(name: string, url: string): object {
  return { name, type: 'http', with: { url, headers: [{ name: 'authorization', fromEnv: 'CANARY' }] } };
}

/** What uses the secret, in all ways it can go right and wrong. */
function nodes(): readonly object[] {
  const { port } = target.address() as AddressInfo;
  const uses = script('uses', `export default ({ log }) => { log("length " + process.env.CANARY.length); return { length: process.env.CANARY.length, control: ${JSON.stringify(CONTROL)} }; };`);
  return [
    uses, script('own', 'export default () => process.env.CANARY.length;', { runner: { isolation: 'pod' } }),
    script('throws', 'export default () => { throw new Error("cannot log in"); };'), script('dies', 'process.exit(3);'), script('hangs', 'export default () => new Promise(() => setInterval(() => 0, 1000));', { timeout: '500ms' }),
    { name: 'bash', type: 'script', with: { language: 'bash', source: 'test -n "$CANARY" && echo 1 > "$RAMBO_OUTPUT_FILE"' } },
    http('good', `http://127.0.0.1:${port}/good`), http('bad', `http://127.0.0.1:${port}/bad`), http('refused', 'http://169.254.169.254/'), http('nowhere', 'http://127.0.0.1:9/'),
  ];
}

async function work(): Promise<void> {
  const { metadata } = await t.startInline(nodes());
  runs.push(metadata.uid);
  const query = 'mutation($i: StartRunInput!) { r: startRun(input: $i) { ... on RunPayload { run { id } } } }';
  const { data } = await t.ask<{ data: { r: { run: { id: string } } } }>(query, { i: { namespace: 'default', definition: { nodes: nodes() } } });
  runs.push(data.r.run.id);
  await t.until('both runs to end', async () => (await t.sql("select 1 from run where id = any ($1::uuid[]) and phase = 'Failed'", [runs])).length === 2, 60_000);
  await t.finished(metadata.name);
}

/** Callers that err with their token, and servers that go away: what is then said of them. */
async function trouble(): Promise<void> {
  const { apiUrl, token } = t.addresses;
  for (const headers of [{ authorization: token }, { authorization: `Basic ${token}` }, { authorization: `Bearer ${token}x` }, { 'x-token': token }]) {
    await fetch(`${apiUrl}/graphql?token=${token}`, { method: 'POST', body: `{"query":"{ ${token} }"}`, headers: { 'content-type': 'application/json', ...headers } });
  }
  await t.ask(`{ runs(namespace: "${token}") { edges { node { id } } } }`);
  await t.stack.postgres.kill();
  await t.ask('{ runs(namespace: "default", first: 1) { edges { node { id } } } }');
  await t.stack.postgres.restart();
  await t.stack.child('nats').stop();
  t.stack.child('nats').start();
  t.stack.child('controller-0').kill();
  await t.until('all to be ready again', async () => (await Promise.all([t.stack.controllerUrl(), t.stack.apiHealthUrl()].map((url) => fetch(`${url}/readyz`).then(({ ok }) => ok, () => false)))).every(Boolean), 60_000);
}

/** Everything that can be read, by where it was found. */
async function everything(): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>();
  const root = path.dirname(path.dirname(t.addresses.natsCreds));
  for (const folder of ['logs', 'node-logs']) {
    for (const file of readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })) if (file.isFile()) places.set(`${folder}/${file.name}`, readFileSync(path.join(file.parentPath, file.name), 'utf8'));
  }
  for (const kind of ['workflows.rambo.dev', 'workflowruns.rambo.dev', 'runnerpools.rambo.dev', 'events', 'pods', 'configmaps']) places.set(kind, await t.stack.kubectl.run('get', kind, '-A', '-o', 'json', '--show-managed-fields'));
  for (const name of (await t.stack.kubectl.run('get', 'pods', '-o', 'name')).split('\n').filter((line) => line !== '')) places.set(`log of ${name}`, await t.stack.kubectl.run('logs', name));
  for (const url of [t.stack.controllerUrl(), t.stack.apiHealthUrl()]) for (const page of ['metrics', 'readyz']) places.set(`${url}/${page}`, await (await fetch(`${url}/${page}`)).text());
  places.set('spans', receiver.text);
  for (const { table } of await t.sql<{ table: string }>("select table_name as table from information_schema.tables where table_schema = 'public'")) {
    places.set(`table ${table}`, JSON.stringify(await t.sql(`select * from "${table}"`), (_, value: unknown) => (isBuffer(value) ? Buffer.from(value.data).toString('latin1') : value)));
  }
  return places;
}

function isBuffer(value: unknown): value is { readonly data: readonly number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
}

/** What must be found nowhere, by what it is. */
async function secrets(): Promise<ReadonlyMap<string, string>> {
  const folder = path.dirname(t.addresses.natsCreds);
  const accountSeed = readFileSync(path.join(folder, 'account.seed'), 'utf8').trim();
  const creds = (text: string): string => /^SU[A-Z2-7]+$/m.exec(text)?.[0] ?? '';
  const pool: { data: Readonly<Record<string, string>> } = JSON.parse(await t.stack.kubectl.run('get', 'secret', 'rambo-pool-default-nats', '-o', 'json'));
  return new Map([
    ['the value from the Secret', CANARY], ['the same in base64', Buffer.from(CANARY).toString('base64')], ['the token of the caller', t.addresses.token], ['the seed of the account', accountSeed],
    ['the seed of the controller', creds(readFileSync(path.join(folder, 'controller.creds'), 'utf8'))], ['the seed of the API', creds(readFileSync(path.join(folder, 'api.creds'), 'utf8'))],
    ['the seed of the pool', creds(Object.values(pool.data).map((value) => Buffer.from(value, 'base64').toString('utf8')).join('\n'))], ['the password of Postgres', 'postgres:postgres'],
  ]);
}

/** Where an attempt's secret belongs: between the controller and the runner that has the attempt. */
const BETWEEN = /^(rambo\.(dispatch|result|beat|log|fetch)\.|_INBOX)/;

test('secrets planted everywhere are found nowhere', async () => {
  await work();
  await trouble();
  // Spans leave in batches, every five seconds: on a quick machine the first are still on their way here.
  await t.until('spans to arrive', () => Promise.resolve(receiver.spans.length > 10));
  const places = await everything();
  const planted = await secrets();
  for (const [what, secret] of planted) expect([what, secret.length > 10]).toEqual([what, true]);
  const subjects = new Set(messages.map(({ subject }) => subject.split('.').slice(0, 2).join('.')));
  expect([...subjects]).toEqual(expect.arrayContaining(['rambo.dispatch', 'rambo.result', 'rambo.beat', 'rambo.cmd', 'rambo.changed']));

  const text = [...places.values()].join('');
  expect([text.includes(CONTROL), messages.some((message) => message.text.includes(CONTROL)), places.get('table node_run')?.includes(CONTROL), receiver.spans.length > 10]).toEqual([true, true, true, true]);
  const hits = (secret: string): readonly string[] => [...[...places].filter(([, content]) => content.includes(secret)).map(([place]) => place), ...messages.filter((message) => message.text.includes(secret)).map(({ subject }) => subject)];
  for (const [what, secret] of planted) expect([what, hits(secret)]).toEqual([what, []]);

  // An attempt's own secret stands in the messages of that attempt, and in the environment of a pod that was made for it alone.
  const ours = new AttemptSecrets(planted.get('the seed of the account') ?? '');
  const attempts = await t.sql<{ run_id: string; node: string; item: number; attempt: number }>('select run_id, node, item, attempt from attempt where run_id = any ($1::uuid[])', [runs]);
  expect(attempts.length).toBeGreaterThan(15);
  const between = messages.filter(({ subject }) => BETWEEN.test(subject)).map((message) => message.text).join('');
  for (const { run_id: run, node, item, attempt } of attempts) {
    const secret = ours.of(run, node, item, attempt);
    if (node === 'uses') expect(between).toContain(secret);
    expect([node, hits(secret).filter((place) => !BETWEEN.test(place) && !(node === 'own' && place === 'pods'))]).toEqual([node, []]);
  }
}, 180_000);
