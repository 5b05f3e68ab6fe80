import { specHash } from '../../crds/canonical.ts';
import { advance, createRun } from '../../engine/index.ts';
import { asAgents, compiled, META, script } from '../../engine/test-kit.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { dispatchSchema } from '../../platform/messages/payloads.ts';
import type { LiveRun } from './live-run.ts';
import type { Outgoing } from './ports.ts';
import { Relay } from './relay.ts';
import { AttemptSecrets } from './secrets.ts';

const secrets = new AttemptSecrets('seed');

function liveRun(): LiveRun {
  const definition = asAgents(compiled([script('warm'), script('own', { runner: { isolation: 'pod', pool: 'gpu' } }), script('agent')]), /^agent$/);
  const state = createRun(definition, META);
  advance(state, { type: 'Start' }, 1_000);
  return { id: META.id, shard: 7, meta: META, compiled: definition, state, source: 'api', version: 1, sends: new Map() };
}

function world() {
  const clock = new ManualClock();
  const live = liveRun();
  const w = {
    published: [] as { subject: string; id: string; text: string }[], pods: [] as string[], cancelled: [] as string[], told: [] as string[], stored: [] as number[],
    failures: 0, current: true, owned: true, wanted: true, done: [] as string[],
  };
  const relay = new Relay({
    clock, secrets, httpAllow: () => [], agentAccess: ({ node, attempt }, withHash) => (w.failures-- > 0 ? Promise.reject(new Error('no key')) : Promise.resolve({ url: 'http://gateway', token: `${node} ${attempt} ${withHash}` })), current: () => w.current, owns: () => w.owned, wanted: () => w.wanted, sent: () => undefined, stored: (_, seq) => { w.stored.push(seq); },
    log: { warn: () => undefined },
    bus: {
      publishDispatch: (subject, payload, id) => {
        if (w.failures-- > 0) return Promise.reject(new UnavailableError('NATS'));
        w.published.push({ subject, id, text: Buffer.from(payload).toString() });
        return Promise.resolve(w.published.length);
      },
      publish: (subject, payload) => { w.told.push(`${subject} ${Buffer.from(payload).toString()}`); },
    },
    pods: {
      create: ({ node }) => { w.pods.push(node); return Promise.resolve(); },
      cancel: (namespace, _run, node, _item, attempt, grace) => { w.cancelled.push(`${namespace} ${node} ${attempt} ${grace}`); return Promise.resolve(); },
    },
  });
  const send = (node: string, over: Partial<Outgoing> = {}): void => { relay.send({ outboxId: 'row', live, node, item: -1, attempt: 1, send: 1, ...over }, () => { w.done.push(node); }); };
  const pass = async (ms = 0): Promise<void> => {
    clock.advance(ms);
    for (let i = 0; i < 30; i++) await Promise.resolve();
  };
  return { w, relay, live, send, pass };
}

test('a dispatch goes to its pool under a message id of run, place, attempt and sending; its row may go then', async () => {
  const { w, relay, send, pass } = world();
  send('warm', { send: 3 });
  expect(relay.pending).toBe(1);
  await pass();
  expect(w.published).toMatchObject([{ subject: 'rambo.dispatch.team-a.default', id: `${META.id}/warm/-1/1/3` }]);
  expect(dispatchSchema.parse(JSON.parse(w.published[0]?.text ?? ''))).toMatchObject({ run: META.id, node: 'warm', attempt: 1, send: 3, secret: secrets.of(META.id, 'warm', -1, 1) });
  expect([w.done, w.stored, relay.pending]).toEqual([['warm'], [1], 0]);
});

test('only the dispatch of an agent carries what opens the model gateway', async () => {
  const { w, send, pass } = world();
  send('agent');
  send('warm');
  await pass();
  const sent = w.published.map(({ text }) => dispatchSchema.parse(JSON.parse(text)));
  expect(sent.map(({ node, agent }) => [node, agent?.url])).toEqual(expect.arrayContaining([['agent', 'http://gateway'], ['warm', undefined]]));
  const agent = sent.find(({ node }) => node === 'agent');
  expect(agent?.agent?.token).toBe(`agent 1 ${specHash(agent?.with)}`);
});

test('what asks for a pod gets one, and nothing is published', async () => {
  const { w, send, pass } = world();
  send('own');
  await pass();
  expect([w.pods, w.published, w.done]).toEqual([['own'], [], ['own']]);
});

test('while NATS is away it is tried again, ever more slowly, under the same message id', async () => {
  const { w, send, pass } = world();
  w.failures = 6;
  send('warm');
  for (const ms of [0, 100, 200, 500, 1_000, 2_000]) await pass(ms);
  expect([w.published, w.done]).toEqual([[], []]);
  await pass(2_000);
  expect([w.published.map(({ id }) => id), w.done]).toEqual([[`${META.id}/warm/-1/1/1`], ['warm']]);
});

test.each<[string, (w: ReturnType<typeof world>['w']) => void, readonly string[]]>([
  ['whose run was read again is pointless: whoever read it sends it', (w) => { w.current = false; }, ['warm']],
  ['whose run has another owner keeps its row: it is that owner\'s', (w) => { w.owned = false; }, []],
])('a dispatch %s', async (_, change, done) => {
  const { w, relay, send, pass } = world();
  w.failures = 1;
  send('warm');
  await pass();
  change(w);
  await pass(100);
  expect([w.published, w.done, relay.pending]).toEqual([[], done, 0]);
});

test.each<[string, string, Partial<Outgoing>, boolean]>([
  ['that is not the current attempt', 'warm', { attempt: 2 }, true],
  ['that a runner has, or that was superseded', 'warm', {}, false],
])('a dispatch %s is not sent, and its row may go', async (_, node, over, wanted) => {
  const { w, send, pass } = world();
  w.wanted = wanted;
  send(node, over);
  await pass();
  expect([w.published, w.pods, w.done]).toEqual([[], [], ['warm']]);
});

test('a cancel reaches the pool, and the pod where there is one', () => {
  const { w, relay, live } = world();
  relay.cancel(live, { mode: 'warm', pool: 'default' }, 'warm', -1, 1, 500);
  relay.cancel(live, { mode: 'pod', pool: 'gpu' }, 'own', -1, 2, 0);
  relay.cancel(live, { mode: 'pod' }, 'box', -1, 1, 0);
  expect(w.told.map((text) => text.split(' ')[0])).toEqual(['rambo.cancel.team-a.default', 'rambo.cancel.team-a.gpu']);
  expect(JSON.parse(w.told[0]?.split(' ')[1] ?? '')).toEqual({ v: 1, attempts: [{ run: META.id, node: 'warm', item: -1, attempt: 1, graceMs: 500 }] });
  expect(w.cancelled).toEqual(['team-a own 2 0', 'team-a box 1 0']);
});

test('the age of the outbox is that of the oldest dispatch that has not left', async () => {
  const { w, relay, send, pass } = world();
  expect(relay.oldestMs).toBe(0);
  w.failures = 1;
  send('warm');
  await pass(70);
  expect([relay.pending, relay.oldestMs]).toEqual([1, 70]);
  await pass(30);
  expect(relay.oldestMs).toBe(100);
  await pass(200);
  expect([relay.pending, relay.oldestMs]).toEqual([0, 0]);
});
