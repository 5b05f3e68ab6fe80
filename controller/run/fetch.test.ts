import { Buffer } from 'node:buffer';
import { specHash } from '../../crds/canonical.ts';
import { createRun, advance } from '../../engine/index.ts';
import { asAgents, META, compiled, script } from '../../engine/test-kit.ts';
import type { Unusable } from './door.ts';
import { takeFetch } from './fetch.ts';
import type { LiveRun } from './live-run.ts';
import { AttemptSecrets } from './secrets.ts';

const secrets = new AttemptSecrets('seed');
const dead: Unusable[] = [];
beforeEach(() => { dead.length = 0; });

function liveRun(): LiveRun {
  const own = { runner: { isolation: 'pod', pool: 'gpu' } } as const;
  const definition = asAgents(compiled([script('own', own), script('warm'), script('agent', own)]), /^agent$/);
  const state = createRun(definition, META);
  advance(state, { type: 'Start' }, 1_000);
  return { id: META.id, shard: 7, meta: META, compiled: definition, state, source: 'api', version: 1, sends: new Map() };
}

const live = liveRun();
const subject = 'rambo.fetch.team-a.gpu.7';

function ask(over: object = {}, on = subject): ReturnType<typeof takeFetch> {
  const ref = { run: META.id, node: 'own', item: -1, attempt: 1, ...over };
  const message = { v: 1, secret: secrets.of(ref.run, ref.node, ref.item, ref.attempt), ...ref };
  return takeFetch({ secrets, httpAllow: () => ['10.0.0.0/8'], agentAccess: ({ attempt }, withHash) => Promise.resolve({ url: 'http://gateway', token: `${attempt} ${withHash}` }), dead: (letter) => { dead.push(letter); }, live: (run) => (run === live.id ? live : undefined) },
    on, Buffer.from(JSON.stringify(message)));
}

test('the current attempt gets its dispatch, as often as it asks', async () => {
  const first = await ask();
  expect(first.dispatch?.agent).toBeUndefined();
  expect(first.dispatch).toMatchObject({ run: META.id, node: 'own', attempt: 1, pool: 'gpu', shard: 7, type: 'script', httpAllow: ['10.0.0.0/8'], secret: secrets.of(META.id, 'own', -1, 1) });
  expect(await ask()).toEqual(first);
  expect(dead).toEqual([]);
});

test.each<[string, object, string]>([
  ['an attempt that is not the current one', { attempt: 2 }, subject],
  ['a node that is run warm', { node: 'warm' }, subject],
  ['a node that is not there', { node: 'nobody' }, subject],
  ['a run that is not in memory', { run: 'another' }, subject],
  ['a runner of another pool', {}, 'rambo.fetch.team-a.default.7'],
  ['a runner of another namespace', {}, 'rambo.fetch.team-b.gpu.7'],
])('%s is refused', async (_, over, on) => {
  const reply = await ask(over, on);
  expect(reply.dispatch).toBeUndefined();
  expect(reply.refused).toBeDefined();
});

test('an agent gets what opens the model gateway, for exactly what it was given', async () => {
  const { dispatch } = await ask({ node: 'agent' });
  expect(dispatch?.agent).toEqual({ url: 'http://gateway', token: `1 ${specHash(dispatch?.with)}` });
});

test('a wrong secret gets nothing and is put aside', async () => {
  expect(await ask({ secret: '0'.repeat(32) })).toMatchObject({ refused: 'not your attempt' });
  expect(dead).toHaveLength(1);
});

test('what cannot be read is refused and put aside', async () => {
  expect((await ask({ attempt: 'one' })).dispatch).toBeUndefined();
  expect(dead).toHaveLength(1);
});
