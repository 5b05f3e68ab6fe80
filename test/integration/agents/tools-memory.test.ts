import { randomUUID } from 'node:crypto';
import { MOST_MEMORIES } from '../../../prisma/store/index.ts';
import { textOf, toolsWorld, type Begun, type Gateway, type ToolsWorld } from './tools-kit.ts';

let world: ToolsWorld;
let gateway: Gateway;
beforeAll(async () => {
  world = await toolsWorld();
  gateway = world.gateway();
});
afterAll(async () => { await world.close(); });

const agent = (longTerm: object = {}): object => ({ memory: { longTerm } });
const begin = (calls: readonly (readonly [string, unknown])[], longTerm: object = {}, over: Parameters<ToolsWorld['begin']>[2] = {}): Promise<Begun> => world.begin(agent(longTerm), calls, over);

test('what one run remembers, a later one of the same agent finds; another agent does not', async () => {
  const [one, other] = [`agent-${randomUUID().slice(0, 8)}`, `agent-${randomUUID().slice(0, 8)}`];
  const run = await begin([['memory__save', { text: 'Ada drinks green tea' }], ['memory__save', { text: 'The office is in Graz' }]], {}, { agent: one });
  expect([textOf(await gateway.ask(run, 's1c1')), textOf(await gateway.ask(run, 's1c2'))]).toEqual(['Remembered.', 'Remembered.']);
  const later = await begin([['memory__search', { query: 'what tea does ada like?' }], ['memory__search', { query: 'coffee' }], ['memory__search', { query: '?!' }]], {}, { agent: one });
  expect(JSON.parse(textOf(await gateway.ask(later, 's1c1')))).toMatchObject([{ text: 'Ada drinks green tea' }]);
  expect(textOf(await gateway.ask(later, 's1c2'))).toBe('Nothing is remembered about that.');
  expect(JSON.parse(textOf(await gateway.ask(later, 's1c3')))).toHaveLength(2);
  const stranger = await begin([['memory__search', { query: 'tea' }]], {}, { agent: other });
  expect(textOf(await gateway.ask(stranger, 's1c1'))).toBe('Nothing is remembered about that.');
});

test('the memory of a user is theirs, that of a namespace is everybody\'s there and nobody\'s elsewhere', async () => {
  const fact = `fact-${randomUUID().slice(0, 8)}`;
  const save = [['memory__save', { text: `the ${fact} is secret` }]] as const;
  const search = [['memory__search', { query: fact }]] as const;
  await gateway.ask(await begin(save, { scope: 'User' }, { principal: 'user:ada' }), 's1c1');
  expect(textOf(await gateway.ask(await begin(search, { scope: 'User' }, { principal: 'user:eve' }), 's1c1'))).toMatch(/^Nothing/);
  expect(textOf(await gateway.ask(await begin(search, { scope: 'User' }, { principal: 'user:ada' }), 's1c1'))).toContain(fact);
  await gateway.ask(await begin(save, { scope: 'Namespace' }), 's1c1');
  expect(textOf(await gateway.ask(await begin(search, { scope: 'Namespace' }, { agent: 'another' }), 's1c1'))).toContain(fact);
  expect(textOf(await gateway.ask(await begin(search, { scope: 'Namespace' }, { namespace: 'team-b' }), 's1c1'))).toMatch(/^Nothing/);
});

test('a call that is made again remembers once, and what is over is forgotten', async () => {
  const agent = `agent-${randomUUID().slice(0, 8)}`;
  const run = await begin([['memory__save', { text: 'brief' }]], { ttl: '1s' }, { agent });
  await gateway.ask(run, 's1c1');
  await world.sql("UPDATE agent_call SET state = 'Requested' WHERE agent_run = $1::uuid", [run.id]);
  await gateway.ask(run, 's1c1');
  expect(await world.sql('SELECT text FROM agent_memory WHERE scope = $1', [`agent:${agent}`])).toHaveLength(1);
  await world.sql("UPDATE agent_memory SET expires_at = now() - interval '1 second' WHERE scope = $1", [`agent:${agent}`]);
  expect(textOf(await gateway.ask(await begin([['memory__search', { query: 'brief' }]], {}, { agent }), 's1c1'))).toMatch(/^Nothing/);
  await world.gateway().half.sweep();
  expect(await world.sql('SELECT text FROM agent_memory WHERE scope = $1', [`agent:${agent}`])).toHaveLength(0);
});

test.each([[false, 'an error of the tool'], [true, 'the end of a run that requires it']])('a full memory (required: %p) is %s', async (required) => {
  const agent = `agent-${randomUUID().slice(0, 8)}`;
  await world.sql("INSERT INTO agent_memory (id, namespace, scope, text, created_at) SELECT gen_random_uuid(), 'team-a', $1, 'x' || n, now() FROM generate_series(1, $2::int4) n", [`agent:${agent}`, MOST_MEMORIES]);
  const run = await begin([['memory__save', { text: 'one more' }]], { required }, { agent });
  const answer = await gateway.ask(run, 's1c1');
  if (required) expect(answer).toMatchObject({ status: 409, body: { ended: { phase: 'Failed', reason: 'MemoryFailed' } } });
  else expect(textOf(answer)).toMatch(/memory is full/);
});
