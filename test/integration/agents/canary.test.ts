import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { FIXTURE_CLIENT, FIXTURE_KEY } from '../../../hack/tool-servers/tool-servers.ts';
import { Receiver } from '../observability/otlp.ts';
import { AgentStack } from './stack-site.ts';

/**
 * Credentials of tools and models over whole runs: a key, an OAuth client with its token, a key of an HTTP API, the key of a model, with servers
 * that repeat what they were sent. Then a look into what the model was asked, rows, messages, logs, objects, spans, metrics.
 */

const MODEL_KEY = 'canary-key-of-a-model-4711';
const API_KEY = 'canary-key-of-an-api-0815';
const TOKEN = 'fixture-token-of-the-tool-servers';
/** In an argument, where it belongs: shows that the places are really looked into. */
const CONTROL = 'control-4711-which-must-be-found';

let s: AgentStack;
let receiver: Receiver;
let nats: NatsConnection | undefined;
const messages: { readonly subject: string; readonly text: string }[] = [];

beforeAll(async () => {
  receiver = await Receiver.start();
  s = await AgentStack.start({ api: true, otlpEndpoint: receiver.url });
  const { natsUrl, natsCreds } = s.t.addresses;
  nats = await connect({ servers: natsUrl, timeout: 20_000, authenticator: credsAuthenticator(Buffer.from(`${readFileSync(natsCreds, 'utf8').trim()}\n`)) });
  nats.subscribe('>', { callback: (_, message) => { messages.push({ subject: message.subject, text: new TextDecoder().decode(message.data) }); } });
}, 1_200_000);
afterAll(async () => {
  await nats?.close();
  await s.stop();
  receiver.stop();
});

const secret = (name: string, data: object): object => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'default', labels: { 'rambo.dev/credentials': 'true' } }, stringData: data });
const server = (name: string, spec: object): object => ({ apiVersion: 'rambo.dev/v1alpha1', kind: 'ToolServer', metadata: { name, namespace: 'default' }, spec });

async function plant(): Promise<void> {
  for (const one of [secret('key', { apiKey: FIXTURE_KEY }), secret('client', { apiKey: FIXTURE_CLIENT.secret }), secret('api', { apiKey: API_KEY }), secret('model', { apiKey: MODEL_KEY })]) await s.t.apply(one);
  const tools = [{ name: 'whoami', effect: 'ReadOnly' }, { name: 'add', effect: 'ReadOnly' }, { name: 'charge', effect: 'AtMostOnce', risk: 'Normal' }];
  await s.t.apply(server('keyed', { mcp: { url: s.tools.secureMcp }, auth: { secret: { secretRef: { name: 'key' } } }, tools }));
  await s.t.apply(server('oauth', { mcp: { url: s.tools.secureMcp }, auth: { clientCredentials: { tokenUrl: s.tools.tokenUrl, clientId: FIXTURE_CLIENT.id, clientSecretRef: { name: 'client' } } }, tools }));
  const operation = (name: string, route: string): object => ({ name, description: 'Repeats.', method: 'GET', path: route, query: ['status', 'note'], inputSchema: { type: 'object', properties: { status: { type: 'integer' }, note: { type: 'string' } } } });
  await s.t.apply(server('api', { http: { baseUrl: s.tools.api, operations: [operation('echo', '/echo')] }, auth: { secret: { secretRef: { name: 'api' }, header: 'X-Api-Key', prefix: '' } }, tools: [{ name: 'echo', effect: 'ReadOnly' }] }));
  for (const name of ['keyed', 'oauth', 'api']) await s.ready('toolserver', name);
}

const call = (name: string, given: object = {}): object => ({ name, arguments: given });

/** Everything that can be read, by where it was found. */
async function everything(): Promise<ReadonlyMap<string, string>> {
  const { t } = s;
  const places = new Map<string, string>();
  const root = path.dirname(path.dirname(t.addresses.natsCreds));
  for (const folder of ['logs', 'node-logs']) {
    for (const file of readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })) if (file.isFile()) places.set(`${folder}/${file.name}`, readFileSync(path.join(file.parentPath, file.name), 'utf8'));
  }
  for (const kind of ['agents', 'models', 'toolservers', 'workflows', 'workflowruns', 'runnerpools'].map((plural) => `${plural}.rambo.dev`).concat(['events', 'pods', 'configmaps'])) places.set(kind, await t.stack.kubectl.run('get', kind, '-A', '-o', 'json', '--show-managed-fields'));
  for (const name of (await t.stack.kubectl.run('get', 'pods', '-o', 'name')).split('\n').filter((line) => line !== '')) places.set(`log of ${name}`, await t.stack.kubectl.run('logs', name));
  for (const { table } of await t.sql<{ table: string }>("select table_name as table from information_schema.tables where table_schema = 'public'")) {
    places.set(`table ${table}`, JSON.stringify(await t.sql(`select * from "${table}"`), (_, value: unknown) => (isBuffer(value) ? Buffer.from(value.data).toString('utf8') : value)));
  }
  places.set('spans', receiver.text);
  places.set('prompts', JSON.stringify(s.model.calls().map(({ body }) => body)));
  places.set('messages', messages.map(({ subject, text }) => `${subject} ${text}`).join('\n'));
  return places;
}

function isBuffer(value: unknown): value is { readonly data: readonly number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
}

test('credentials of tools and models are found nowhere, whatever their servers repeat', async () => {
  await plant();
  s.model.register('curious', [
    { tools: [call('keyed__whoami'), call('oauth__whoami'), call('api__echo', { note: CONTROL }), call('api__echo', { status: 400 }), call('api__echo', { status: 500 })] },
    { tools: [call('keyed__charge', { amount: 7 })] }, { text: '{{last}}' },
  ] as never);
  await s.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Model', metadata: { name: 'curious', namespace: 'default' }, spec: { provider: 'openai-compatible', baseUrl: s.model.url, model: 'scripted/curious', credentialsRef: { name: 'model' } } });
  await s.ready('model', 'curious');
  await s.agent('curious', { modelRef: { name: 'curious' }, tools: ['keyed', 'oauth', 'api'].map((name) => ({ toolServerRef: { name, ...(name === 'api' ? {} : { include: ['whoami', 'charge'] }) } })), policy: [{ match: 'true', decision: 'Allow' }] });
  const run = await s.run('curious');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'charged 7, charge 1' } });
  // One more over the API, which fails: its server refuses what it is sent.
  await s.t.apply(secret('key', { apiKey: 'canary-key-that-is-refused-9' }));
  await s.t.until('spans to arrive', () => Promise.resolve(receiver.spans.length > 5));

  // They were used.
  expect(s.model.calls().some(({ authorization }) => authorization === `Bearer ${MODEL_KEY}`)).toBe(true);
  expect(s.tools.hits().authorizations).toEqual(expect.arrayContaining([`Bearer ${FIXTURE_KEY}`, `Bearer ${TOKEN}`]));
  const places = await everything();
  const where = (text: string): readonly string[] => [...places].filter(([, content]) => content.includes(text)).map(([place]) => place);
  expect(where(CONTROL)).toEqual(expect.arrayContaining(['table agent_event', 'table agent_call', 'prompts']));
  expect(where('[credential]')).toEqual(expect.arrayContaining(['table agent_event', 'prompts']));
  expect(places.get('messages')).toContain('rambo.agent.ask');
  expect(places.get('toolservers.rambo.dev')).toContain('"oauth"');
  for (const planted of [FIXTURE_KEY, FIXTURE_CLIENT.secret, TOKEN, API_KEY, MODEL_KEY]) {
    expect([planted, where(planted)]).toEqual([planted, []]);
    expect([planted, where(Buffer.from(planted).toString('base64'))]).toEqual([planted, []]);
  }
}, 240_000);
