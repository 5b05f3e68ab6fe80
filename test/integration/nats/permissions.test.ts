import { readFileSync } from 'node:fs';
import path from 'node:path';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { AGENT_ASK_QUEUE, AGENT_ASK_SUBJECT, agentDeltaSubject, agentEventSubject, apiPermissions, cancelSubject, changedSubject, commandSubject, dispatchConsumer, dispatchSubject, DISPATCH_STREAM, gatewayPermissions, GATEWAY_INBOX_PREFIX, poolInboxPrefix, poolPermissions, runnerSubject, type Permissions } from '../../../platform/messages/subjects.ts';
import { createNatsIdentity, signUser } from '../../../platform/nats/identity.ts';
import { TestStack } from '../../harness/test-stack.ts';

/** T4 of the reliability page: what the credentials of a pool, of the API and of nobody can do on the real server. */

let t: TestStack;
let seed: string;
let controller: NatsConnection;
const open: NatsConnection[] = [];

beforeAll(async () => {
  t = await TestStack.start();
  seed = readFileSync(path.join(path.dirname(t.addresses.natsCreds), 'account.seed'), 'utf8').trim();
  controller = await login(readFileSync(t.addresses.natsCreds, 'utf8').trim());
}, 120_000);
afterAll(async () => {
  for (const connection of open) await connection.close();
  await t.stop();
});

async function login(creds: string | undefined, inboxPrefix?: string): Promise<NatsConnection> {
  const connection = await connect({
    servers: t.addresses.natsUrl, reconnect: false, noEcho: true, timeout: 5_000, ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    ...(creds === undefined ? {} : { authenticator: credsAuthenticator(Buffer.from(`${creds}\n`)) }),
  });
  open.push(connection);
  return connection;
}

async function user(permissions: Permissions, more: { readonly expiresInSeconds?: number } = {}, accountSeed = seed): Promise<string> {
  return (await signUser({ name: 'test', accountSeed, permissions, now: Date.now(), ...more })).trim();
}

/** Of the subjects that `from` publishes to, those at which something arrives. The last one has to be allowed: it ends the waiting. */
async function arriving(from: NatsConnection, subjects: readonly string[]): Promise<readonly string[]> {
  const marker = `m${Math.random()}`;
  const all = controller.subscribe('>');
  await controller.flush();
  for (const subject of subjects) from.publish(subject, marker);
  const came: string[] = [];
  for await (const message of all) {
    if (message.string() !== marker) continue;
    came.push(message.subject);
    if (message.subject === subjects.at(-1)) break;
  }
  return came;
}

/** Of the subscriptions that `by` asks for, those that hear a message sent to `probe`; the last has to be allowed. */
async function hearing(by: NatsConnection, wanted: readonly (readonly [subscription: string, probe: string])[]): Promise<readonly string[]> {
  const heard: string[] = [];
  const done = new Promise<void>((resolve) => {
    wanted.forEach(([subscription], i) => by.subscribe(subscription, { callback: (error) => {
      if (error === null) heard.push(subscription);
      if (i === wanted.length - 1) resolve();
    } }));
  });
  await by.flush();
  for (const [, probe] of wanted) controller.publish(probe, 'probe');
  await done;
  return [...new Set(heard)];
}

const SELF = ['team', 'a'] as const;
/** Pools that are not ours: another one beside us, one of our name elsewhere, and names that begin like ours. */
const OTHERS: readonly (readonly [string, string])[] = [['team', 'b'], ['other', 'a'], ['team', 'ab'], ['teama', 'a']];
const VERBS = ['result', 'beat', 'log', 'fetch'] as const;

describe('a runner of one pool', () => {
  let runner: NatsConnection;
  beforeAll(async () => { runner = await login(await user(poolPermissions(...SELF), { expiresInSeconds: 60 }), poolInboxPrefix(...SELF)); });

  test('reports for its own pool', async () => {
    const own = VERBS.map((verb) => runnerSubject(verb, ...SELF, 3));
    expect(await arriving(runner, own)).toEqual(own);
  });

  test('reports for no other pool, commands nobody, announces nothing, dispatches nothing', async () => {
    const allowed = runnerSubject('beat', ...SELF, 1);
    const forbidden = [
      ...OTHERS.flatMap((other) => [...VERBS.map((verb) => runnerSubject(verb, ...other, 3)), dispatchSubject(...other), cancelSubject(...other), `${poolInboxPrefix(...other)}.x`]),
      dispatchSubject(...SELF), cancelSubject(...SELF), commandSubject(3), 'rambo.logs.read.3', changedSubject('team', 'x'), 'rambo.replicas', 'rambo.demand', AGENT_ASK_SUBJECT, agentEventSubject('team', 'x'), agentDeltaSubject('team', 'x'), `${GATEWAY_INBOX_PREFIX}.x`, '_INBOX_api.x', '_INBOX.x', 'anything', '$SYS.REQ.SERVER.PING',
    ];
    expect(await arriving(runner, [...forbidden, allowed])).toEqual([allowed]);
  });

  test('asks the stream for its own work and for nothing else', async () => {
    const own = dispatchConsumer(...SELF);
    const allowed = runnerSubject('beat', ...SELF, 2);
    const asked = [
      `$JS.API.STREAM.INFO.${DISPATCH_STREAM}`, `$JS.API.STREAM.PURGE.${DISPATCH_STREAM}`, `$JS.API.STREAM.DELETE.${DISPATCH_STREAM}`, `$JS.API.STREAM.MSG.GET.${DISPATCH_STREAM}`, `$JS.API.DIRECT.GET.${DISPATCH_STREAM}`,
      '$JS.API.STREAM.NAMES', '$JS.API.INFO', `$JS.API.STREAM.CREATE.mine`, `$JS.API.CONSUMER.NAMES.${DISPATCH_STREAM}`, `$JS.API.CONSUMER.DELETE.${DISPATCH_STREAM}.${own}`, `$JS.API.CONSUMER.CREATE.${DISPATCH_STREAM}.${own}`,
      ...OTHERS.flatMap((other) => [`$JS.API.CONSUMER.MSG.NEXT.${DISPATCH_STREAM}.${dispatchConsumer(...other)}`, `$JS.API.CONSUMER.INFO.${DISPATCH_STREAM}.${dispatchConsumer(...other)}`, `$JS.ACK.${DISPATCH_STREAM}.${dispatchConsumer(...other)}.1.1.1.1.1`]),
    ];
    const mine = [`$JS.API.CONSUMER.MSG.NEXT.${DISPATCH_STREAM}.${own}`, `$JS.ACK.${DISPATCH_STREAM}.${own}.1.1.1.1.1`];
    // The server keeps its own subjects to itself, so what it answers tells: to a request that is let in it answers, if only that there is no such consumer.
    for (const subject of asked) await expect(runner.request(subject, '', { timeout: 2_000 })).rejects.toThrow(/permission/i);
    expect((await runner.request(`$JS.API.CONSUMER.INFO.${DISPATCH_STREAM}.${own}`, '', { timeout: 2_000 })).string()).toContain('consumer not found');
    expect(await arriving(runner, [...mine.slice(1), allowed])).toEqual([...mine.slice(1), allowed]);
  });

  test('hears what is meant for its pool and nothing else', async () => {
    const allowed = cancelSubject(...SELF);
    const inbox = `${poolInboxPrefix(...SELF)}.q`;
    expect(await hearing(runner, [
      ['>', 'rambo.probe'], ['rambo.>', 'rambo.probe'], ['rambo.*.*.*', 'rambo.result.x.y'], ['*.>', 'rambo.probe'],
      ...OTHERS.flatMap((other): [string, string][] => [[cancelSubject(...other), cancelSubject(...other)], [dispatchSubject(...other), dispatchSubject(...other)], [`${poolInboxPrefix(...other)}.>`, `${poolInboxPrefix(...other)}.q`]]),
      ['_INBOX_pool.>', '_INBOX_pool.team.b.q'], ['_INBOX.>', '_INBOX.q'], ['_INBOX_api.>', '_INBOX_api.q'], [dispatchSubject(...SELF), dispatchSubject(...SELF)],
      ['rambo.result.team.a.*', runnerSubject('result', ...SELF, 3)], [commandSubject('*'), commandSubject(3)], ['rambo.changed.>', changedSubject('team', 'x')], ['rambo.agent.>', agentEventSubject('team', 'x')], ['$JS.>', `$JS.ACK.${DISPATCH_STREAM}.${dispatchConsumer('team', 'b')}.1.1.1.1.1`],
      [inbox, inbox], [allowed, allowed],
    ])).toEqual([inbox, allowed]);
  });
});

describe('the API', () => {
  let api: NatsConnection;
  beforeAll(async () => { api = await login(await user(apiPermissions()), '_INBOX_api'); });

  test('asks controllers, and does not speak for runners or controllers', async () => {
    const allowed = commandSubject(7);
    const forbidden = [...VERBS.map((verb) => runnerSubject(verb, ...SELF, 3)), dispatchSubject(...SELF), cancelSubject(...SELF), changedSubject('team', 'x'), 'rambo.replicas', `${poolInboxPrefix(...SELF)}.q`];
    expect(await arriving(api, [...forbidden, allowed])).toEqual([allowed]);
    await expect(api.request(`$JS.API.STREAM.INFO.${DISPATCH_STREAM}`, '', { timeout: 2_000 })).rejects.toThrow(/permission/i);
  });

  test('hears of changes, not of results, dispatches, commands or others\' answers', async () => {
    const allowed = changedSubject('team', 'x');
    expect(await hearing(api, [['>', 'rambo.probe'], ...VERBS.map((verb): [string, string] => [`rambo.${verb}.>`, runnerSubject(verb, ...SELF, 3)]), [dispatchSubject(...SELF), dispatchSubject(...SELF)],
      [commandSubject('*'), commandSubject(3)], ['_INBOX_pool.>', '_INBOX_pool.team.a.q'], ['_INBOX.>', '_INBOX.q'], ['rambo.changed.>', allowed]])).toEqual(['rambo.changed.>']);
  });
});

describe('the model gateway', () => {
  let gateway: NatsConnection;
  beforeAll(async () => { gateway = await login(await user(gatewayPermissions()), GATEWAY_INBOX_PREFIX); });

  test('commands controllers and tells of journals, and speaks for nobody else', async () => {
    const allowed = [agentDeltaSubject('team', 'x'), agentEventSubject('team', 'x'), commandSubject(7)].sort();
    const forbidden = [
      ...VERBS.map((verb) => runnerSubject(verb, ...SELF, 3)), dispatchSubject(...SELF), cancelSubject(...SELF), changedSubject('team', 'x'), 'rambo.replicas', 'rambo.demand', AGENT_ASK_SUBJECT,
      'rambo.logs.read.3', 'rambo.project.changed.x', `${poolInboxPrefix(...SELF)}.q`, '_INBOX_api.q', '_INBOX.q',
    ];
    expect([...await arriving(gateway, [...forbidden, ...allowed])].sort()).toEqual(allowed);
    await expect(gateway.request(`$JS.API.STREAM.INFO.${DISPATCH_STREAM}`, '', { timeout: 2_000 })).rejects.toThrow(/permission/i);
  });

  test('hears of changes and of what controllers ask, nothing else', async () => {
    expect(await hearing(gateway, [
      ['>', 'rambo.probe'], ...VERBS.map((verb): [string, string] => [`rambo.${verb}.>`, runnerSubject(verb, ...SELF, 3)]), [dispatchSubject(...SELF), dispatchSubject(...SELF)],
      [commandSubject('*'), commandSubject(3)], ['_INBOX_api.>', '_INBOX_api.q'], ['_INBOX.>', '_INBOX.q'], [agentDeltaSubject('team', 'x'), agentDeltaSubject('team', 'x')],
      [AGENT_ASK_SUBJECT, AGENT_ASK_SUBJECT], ['rambo.changed.>', changedSubject('team', 'x')],
    ])).toEqual([AGENT_ASK_SUBJECT, 'rambo.changed.>']);
  });

  test('answers a controller where that asked for it, in its queue, and only once', async () => {
    const other = await login(await user(gatewayPermissions()), GATEWAY_INBOX_PREFIX);
    const answered = Promise.withResolvers<undefined>();
    other.subscribe(AGENT_ASK_SUBJECT, { queue: AGENT_ASK_QUEUE, callback: (_, message) => {
      message.respond('one');
      message.respond('two');
      answered.resolve(undefined);
    } });
    await other.flush();
    const heard: string[] = [];
    controller.subscribe('_INBOX.mine', { callback: (_, message) => { heard.push(message.string()); } });
    controller.publish(AGENT_ASK_SUBJECT, '', { reply: '_INBOX.mine' });
    await answered.promise;
    await other.flush();
    await controller.flush();
    expect(heard).toEqual(['one']);
  });
});

describe('the server lets in nobody', () => {
  test('without credentials', async () => { await expect(login(undefined)).rejects.toThrow(/authorization/i); });
  test('signed by an account it does not know', async () => {
    const { accountSeed } = await createNatsIdentity();
    await expect(login(await user(poolPermissions(...SELF), {}, accountSeed))).rejects.toThrow(/authorization/i);
  });
  test('whose credentials have expired', async () => {
    await expect(login(await user(poolPermissions(...SELF), { expiresInSeconds: -5 }))).rejects.toThrow(/authorization|expired/i);
  });
  test('who has the token of another user without its key', async () => {
    const [one, two] = [await user(poolPermissions(...SELF)), await user(poolPermissions('team', 'b'))];
    const keyOf = (creds: string): string => /-----BEGIN USER NKEY SEED-----[\s\S]*$/.exec(creds)?.[0] ?? '';
    await expect(login(one.replace(keyOf(one), keyOf(two)))).rejects.toThrow(/authorization/i);
  });
});
