import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe as describeRequest, KubeProxy, type KubeFault, type Passing } from './kube-proxy.ts';

/* A server that counts what it carries out, answers lists with that count, and streams three lines to a watch. */
let server: Server;
let carried: string[];
let proxy: KubeProxy;
let send: (line: string) => void;
beforeEach(async () => {
  carried = [];
  server = createServer((request, response) => {
    request.resume();
    carried.push(`${request.method ?? ''} ${request.url ?? ''}`);
    if (!/watch=true/.test(request.url ?? '')) response.end(String(carried.length));
    else {
      send = (line) => { response.write(`${line}\n`); };
      response.flushHeaders();
    }
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  proxy = await KubeProxy.start({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, random: () => 0.5 });
});
afterEach(async () => {
  await proxy.close();
  server.closeAllConnections();
  await new Promise((resolve) => { server.close(resolve); });
});

const PODS = '/api/v1/namespaces/default/pods';
const post = (): Promise<number> => fetch(proxy.url + PODS, { method: 'POST', body: '{}' }).then((response) => response.status, () => 0);
const list = async (): Promise<string> => (await fetch(proxy.url + PODS)).text();

async function posted(fault: KubeFault): Promise<{ code: number; carried: number }> {
  proxy.add({ match: ({ verb }) => verb === 'create', fault, times: 1 });
  const code = await post();
  return { code, carried: carried.length };
}

test.each<[string, string, Passing]>([
  ['GET', '/api/v1/pods?limit=500', { verb: 'list', resource: 'pods', path: '/api/v1/pods' }],
  ['GET', '/api/v1/pods?watch=true&labelSelector=x', { verb: 'watch', resource: 'pods', path: '/api/v1/pods' }],
  ['GET', '/api/v1/namespaces/a/pods/b/log?container=main', { verb: 'get', resource: 'pods/log', path: '/api/v1/namespaces/a/pods/b/log' }],
  ['GET', '/api/v1/namespaces/a', { verb: 'get', resource: 'namespaces', path: '/api/v1/namespaces/a' }],
  ['PATCH', '/apis/rambo.dev/v1alpha1/namespaces/a/workflowruns/b/status', { verb: 'patch', resource: 'workflowruns/status', path: '/apis/rambo.dev/v1alpha1/namespaces/a/workflowruns/b/status' }],
  ['DELETE', '/api/v1/namespaces/a/pods/b', { verb: 'delete', resource: 'pods', path: '/api/v1/namespaces/a/pods/b' }],
  ['GET', '/apis/rambo.dev/v1alpha1/workflows', { verb: 'list', resource: 'workflows', path: '/apis/rambo.dev/v1alpha1/workflows' }],
])('%s %s', (method, url, expected) => {
  expect(describeRequest({ method, url })).toEqual(expected);
});

test('an answer of its own is not carried out', async () => {
  expect(await posted({ kind: 'answer', code: 409, reason: 'Conflict' })).toEqual({ code: 409, carried: 0 });
});

test('a lost answer was carried out', async () => {
  expect(await posted({ kind: 'lose' })).toEqual({ code: 0, carried: 1 });
});

test('a reset one was not', async () => {
  expect(await posted({ kind: 'reset' })).toEqual({ code: 0, carried: 0 });
});

test('a repeated one twice', async () => {
  expect(await posted({ kind: 'repeat' })).toEqual({ code: 200, carried: 2 });
});

test('a stale list is the one that was given first', async () => {
  expect(await list()).toBe('1');
  expect(await list()).toBe('2');
  proxy.add({ match: ({ verb }) => verb === 'list', fault: { kind: 'stale' }, times: 1 });
  expect(await list()).toBe('1');
  expect(await list()).toBe('4');
});

test('rules pass over, strike and end as told', async () => {
  const rule = proxy.add({ match: ({ verb }) => verb === 'create', fault: { kind: 'answer', code: 500, reason: 'InternalError' }, skip: 1, times: 2 });
  expect([await post(), await post(), await post(), await post()]).toEqual([200, 500, 500, 200]);
  expect(rule.struck()).toBe(2);
  proxy.add({ match: () => true, fault: { kind: 'answer', code: 503, reason: 'ServiceUnavailable' }, share: 0.4 });
  expect(await post()).toBe(200);
  proxy.add({ match: () => true, fault: { kind: 'answer', code: 503, reason: 'ServiceUnavailable' }, share: 0.6 });
  expect(await post()).toBe(503);
});

/** A watch through the proxy: its lines so far, and how it ended. */
async function watch(): Promise<{ lines: string[]; ended: () => string | undefined }> {
  const response = await fetch(`${proxy.url}/api/v1/pods?watch=true`);
  const lines: string[] = [];
  let ended: string | undefined;
  void (async () => {
    try {
      for await (const chunk of response.body ?? []) lines.push(...new TextDecoder().decode(chunk).split('\n').filter((line) => line !== ''));
      ended = 'ended';
    } catch {
      ended = 'cut';
    }
  })();
  return { lines, ended: () => ended };
}

async function until(probe: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !probe(); i++) await new Promise((resolve) => { setTimeout(resolve, 5); });
  expect(probe()).toBe(true);
}

test('an event that is dropped never arrives; those around it do', async () => {
  const seen = await watch();
  proxy.dropEvent('pods', 2);
  for (const line of ['one', '{"type":"BOOKMARK"}', 'two', 'three']) send(line);
  await until(() => seen.lines.length === 3);
  expect(seen.lines).toEqual(['one', '{"type":"BOOKMARK"}', 'three']);
  expect(proxy.dropped).toBe(1);
});

test('a frozen watch stays open and says nothing; healed, it is cut', async () => {
  const seen = await watch();
  send('one');
  await until(() => seen.lines.length === 1);
  proxy.freezeWatches('pods');
  send('two');
  const other = await watch();
  send('three');
  await until(() => proxy.watches('pods') === 2);
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  expect([seen.lines, seen.ended(), other.lines]).toEqual([['one'], undefined, []]);
  proxy.heal();
  await until(() => seen.ended() === 'cut');
});

test('watches are cut, ended, told garbage and that they are too old', async () => {
  const first = await watch();
  proxy.say('garbage', 'pods');
  proxy.say('gone', 'pods');
  await until(() => first.lines.length === 2);
  expect(() => { JSON.parse(first.lines[0] ?? ''); }).toThrow();
  expect(JSON.parse(first.lines[1] ?? '')).toMatchObject({ type: 'ERROR', object: { code: 410 } });
  proxy.endWatches('end', 'pods');
  await until(() => first.ended() === 'ended');
  const second = await watch();
  proxy.endWatches('cut', 'workflows');
  expect(proxy.watches()).toBe(1);
  proxy.endWatches('cut', 'pods');
  await until(() => second.ended() === 'cut');
});
