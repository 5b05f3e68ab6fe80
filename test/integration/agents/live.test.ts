import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { freePort, isFree } from '../../../hack/stack/ports.ts';
import { FIXTURE_KEY } from '../../../hack/tool-servers/tool-servers.ts';
import { STDIO_PORT } from '../../../crds/tool-server.ts';
import { AgentStack } from './stack-site.ts';

/** Definitions of agents with the model gateway as it is shipped: it reads Secrets, asks real servers, and the controller says what it found. */

let s: AgentStack;
let bridge: ChildProcess | undefined;
beforeAll(async () => { s = await AgentStack.start(); }, 1_200_000);
afterAll(async () => {
  bridge?.kill();
  await s.stop();
});

interface Seen { readonly metadata: { readonly generation: number }; readonly status?: { readonly observedGeneration?: number; readonly toolCount?: number; readonly auth?: string; readonly protocol?: string; readonly discoveryHash?: string; readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[] } }

async function put(kind: 'Model' | 'ToolServer' | 'Agent', name: string, spec: object, annotations: object = {}): Promise<void> {
  await s.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind, metadata: { name, namespace: 'default', annotations }, spec });
}

async function secret(name: string, value: string, labels: object = { 'rambo.dev/credentials': 'true' }, key = 'apiKey'): Promise<void> {
  await s.t.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'default', labels }, stringData: { [key]: value } });
}

async function until(kind: 'model' | 'toolserver' | 'agent', name: string, expected: string): Promise<Seen> {
  let last: Seen | undefined;
  return s.t.until(`${kind} ${name} to have ${expected}`, async () => {
    last = JSON.parse(await s.t.stack.kubectl.run('get', kind, name, '-o', 'json')) as Seen;
    const { metadata, status } = last;
    return status?.observedGeneration === metadata.generation && status.conditions?.some((condition) => `${condition.type}=${condition.status}/${condition.reason}` === expected) === true ? last : undefined;
  }).catch((error: unknown) => { throw new Error(`${String(error)}; it has ${JSON.stringify(last?.status)}`); });
}

const message = (seen: Seen): string => seen.status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? '';

test('the Secret of a model: missing, not labelled, without the key, and there', async () => {
  const spec = (name: string): object => ({ model: 'scripted/x', baseUrl: s.model.url, credentialsRef: { name } });
  await put('Model', 'keyed', spec('first-key'));
  expect(message(await until('model', 'keyed', 'ResolvedRefs=False/SecretNotFound'))).toContain('"first-key"');
  await secret('second-key', 'k', {});
  await put('Model', 'keyed', spec('second-key'));
  expect(message(await until('model', 'keyed', 'ResolvedRefs=False/SecretNotLabelled'))).toContain('rambo.dev/credentials');
  await secret('third-key', 'k', undefined, 'other');
  await put('Model', 'keyed', spec('third-key'));
  expect(message(await until('model', 'keyed', 'ResolvedRefs=False/SecretKeyMissing'))).toContain('"apiKey"');
  await secret('fourth-key', 'k');
  await put('Model', 'keyed', spec('fourth-key'));
  await until('model', 'keyed', 'Ready=True/Answers');
}, 90_000);

test('a Secret that comes later is found without anybody\'s doing', async () => {
  await put('ToolServer', 'secure', { mcp: { url: s.tools.secureMcp }, auth: { secret: { secretRef: { name: 'late-key' } } } });
  await until('toolserver', 'secure', 'ResolvedRefs=False/SecretNotFound');
  await secret('late-key', FIXTURE_KEY);
  // The fixture offers some tools with names that no tool may have.
  expect((await until('toolserver', 'secure', 'Ready=True/SomeToolsRefused')).status).toMatchObject({ auth: 'Ok', protocol: '2026-07-28' });
}, 90_000);

test('wrong keys, nobody there, a private address, another protocol', async () => {
  await secret('wrong-key', 'wrong');
  await put('ToolServer', 'wrong', { mcp: { url: s.tools.secureMcp }, auth: { secret: { secretRef: { name: 'wrong-key' } } } });
  await until('toolserver', 'wrong', 'Ready=False/AuthFailed');
  await put('ToolServer', 'nobody', { mcp: { url: `http://127.0.0.1:${await freePort()}/mcp` } });
  await until('toolserver', 'nobody', 'Ready=False/Unreachable');
  await put('ToolServer', 'private', { mcp: { url: 'http://10.1.2.3/mcp' } });
  await until('toolserver', 'private', 'Ready=False/AddressRefused');
  await put('Model', 'metadata', { model: 'm', baseUrl: 'http://169.254.169.254/v1' });
  await until('model', 'metadata', 'Ready=False/AddressRefused');
  await put('ToolServer', 'no-mcp', { mcp: { url: `${s.model.url}/mcp` } });
  await s.t.until('it to be refused', async () => /Ready=False\/(ProtocolError|Unreachable)/.test(await s.t.stack.kubectl.run('get', 'toolserver', 'no-mcp', '-o', 'jsonpath={range .status.conditions[*]}{.type}={.status}/{.reason} {end}')));
}, 90_000);

test('10,000 tools end in a condition; a schema that changes stops the tool until it is accepted', async () => {
  await put('ToolServer', 'drifting', { mcp: { url: s.tools.mcp } });
  await until('toolserver', 'drifting', 'Ready=True/SomeToolsRefused');
  s.tools.set({ manyTools: 10_000 });
  await put('ToolServer', 'drifting', { mcp: { url: s.tools.mcp } }, { 'rambo.dev/refresh': '1' });
  await until('toolserver', 'drifting', 'Ready=False/TooManyTools');
  s.tools.set({ manyTools: 0, schemaVersion: 2 });
  await put('ToolServer', 'drifting', { mcp: { url: s.tools.mcp } }, { 'rambo.dev/refresh': '2' });
  const stopped = await until('toolserver', 'drifting', 'Ready=False/ToolChanged');
  await put('ToolServer', 'drifting', { mcp: { url: s.tools.mcp } }, { 'rambo.dev/refresh': '2', 'rambo.dev/accept-schemas': stopped.status?.discoveryHash ?? '' });
  await until('toolserver', 'drifting', 'Ready=True/SomeToolsRefused');
}, 90_000);

test('a node with an agent that never resolved fails at once, and says what the agent lacks', async () => {
  await put('Agent', 'hollow', { modelRef: { name: 'ghost' } });
  await until('agent', 'hollow', 'ResolvedRefs=False/ModelNotFound');
  const run = await s.run('hollow');
  const { status } = await s.t.finished(run.metadata.name);
  expect(status).toMatchObject({ phase: 'Failed', failures: [{ node: 'ask', reason: 'AgentNotReady' }] });
  expect(status?.failures?.[0]?.message).toContain('there is no Model "ghost"');
}, 90_000);

/** An MCP server of 2025 over its standard input and output, without any library. */
const STDIO = `
const say = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...result }) + '\\n');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'initialize') return say(id, { result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'stdio', version: '1' } } });
  if (method === 'tools/list') return say(id, { result: { tools: [{ name: 'shout', description: 'Shouts.', inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] } }] } });
  if (method === 'tools/call') return say(id, { result: { content: [{ type: 'text', text: params.arguments.text.toUpperCase() }] } });
  say(id, { error: { code: -32601, message: 'no such method' } });
});`;

test('a server over stdio answers an agent through the bridge', async () => {
  const port = await freePort();
  bridge = spawn(process.execPath, ['--no-warnings', path.join(import.meta.dirname, '../../../runners/bridge.ts'), 'serve', String(port), process.execPath, '-e', STDIO], { stdio: 'ignore' });
  await put('ToolServer', 'shouter', { mcp: { url: `http://127.0.0.1:${port}/mcp` }, defaultEffect: 'Idempotent' });
  expect((await until('toolserver', 'shouter', 'Ready=True/ToolsKnown')).status?.toolCount).toBe(1);
  await s.script('loud', [{ tools: [{ name: 'shouter__shout', arguments: { text: 'hello' } }] }, { text: 'It said {{last}}' }]);
  await s.agent('loud', { modelRef: { name: 'loud' }, tools: [{ toolServerRef: { name: 'shouter' } }] });
  const run = await s.run('loud');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'It said HELLO' } });
}, 120_000);

/** Pods of this node are local processes that share their ports, and the bridge's is fixed. */
const portFree = await isFree(STDIO_PORT);

(portFree ? test : test.skip)('a server over stdio runs in a Deployment of its own: bridge and Node come by an init container', async () => {
  await put('ToolServer', 'piped', { mcp: { stdio: { image: 'local/tools', args: [process.execPath, '-e', STDIO] } } });
  await s.t.until('the bridge to answer', async () => {
    const answer = await fetch(`http://127.0.0.1:${STDIO_PORT}/mcp`, { method: 'POST', body: '{"jsonrpc":"2.0","id":7,"method":"tools/list"}' }).then((response) => response.json() as Promise<unknown>, () => undefined);
    const text = JSON.stringify(answer ?? {});
    return text.includes('"name":"shout"') && text.includes('"id":7');
  }, 60_000);
  await s.t.stack.kubectl.run('wait', '--for=condition=Available', 'deployment/rambo-tools-piped', '--timeout=30s');
  await s.t.stack.kubectl.run('delete', 'toolserver', 'piped');
  await s.t.until('what it owns to go with it', async () => await s.t.stack.kubectl.run('get', 'deployment,service,networkpolicy,pod', '-l', 'rambo.dev/tool-server=piped', '-o', 'name') === '', 60_000);
}, 180_000);
