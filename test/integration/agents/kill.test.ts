import { KillSite, type Seen } from './kill-site.ts';

/*
 * The kill matrix: SIGKILL of runner, model gateway and controller at each boundary of the journal and around each thing that leaves a
 * process, in runs of five shapes. Every run has to end well; a keyed effect happens once, an unkeyed one at most once, and where nobody
 * can know a person is asked. RAMBO_KILLS=all plays every point; a number so many of each shape; 5 by default.
 */

/** Where processes are killed. Journal: the gateway before a transaction and after its commit; outside.fetch: around a call of a model or a tool. */
const POINTS = /^(journal\.|outside\.fetch|runner\.agent\.|pg\.commit\.|nats\.(receive|reply)\.(result|cmd)|nats\.dispatch\.)/;
/** Of a point that is passed often only so many hits: the first ones are those that differ. */
const MOST_HITS = 4;

let site: KillSite;
beforeAll(async () => {
  site = await KillSite.start();
  const { s } = site;
  const tool = (name: string, given: object): object => ({ name: `tools__${name}`, arguments: given });
  const allow = [{ match: 'true', decision: 'Allow' }];
  const tools = [{ toolServerRef: { name: 'tools', include: ['count', 'charge', 'add'] } }];
  await s.script('first', [{ tools: [tool('count', { note: 'a' })] }, { tools: [tool('charge', { amount: 5 })] }, { text: 'done' }] as never);
  await s.agent('first', { modelRef: { name: 'first' }, tools, policy: allow });
  await s.agent('approval', { modelRef: { name: 'first' }, tools, policy: [{ match: 'tool.name == "tools/charge"', decision: 'RequireApproval' }, ...allow] });
  await s.script('parallel', [{ tools: [tool('count', { note: 'a' }), tool('charge', { amount: 5 }), tool('add', { a: 1, b: 2 })] }, { text: 'done' }] as never);
  await s.agent('parallel', { modelRef: { name: 'parallel' }, tools, policy: allow });
  await s.script('asking', [{ tools: [tool('count', { note: 'a' })] }, { tools: [tool('book', { place: 'Luigi', rounds: 2 })] }, { text: 'done' }] as never);
  await s.agent('asking', { modelRef: { name: 'asking' }, tools: [{ toolServerRef: { name: 'tools', include: ['count', 'book'] } }], policy: allow });
  await s.script('outer', [{ tools: [{ name: 'agent__first', arguments: { input: 'hello' } }] }, { text: 'done' }] as never);
  await s.agent('nested', { modelRef: { name: 'outer' }, tools: [{ agentRef: { name: 'first' }, description: 'Does it.' }], policy: allow });
}, 1_200_000);
afterAll(() => site.stop());

/** A number that depends on its parts only: which points are played when not all are. */
function dice(text: string): number {
  let hash = 7;
  for (const char of text) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) >>> 0;
  return Math.imul(hash ^ (hash >>> 13), 0x9e3779b1) >>> 8;
}

function chosen(points: ReadonlyMap<string, number>, shape: string): readonly { readonly point: string; readonly hit: number }[] {
  const all = [...points].filter(([point]) => POINTS.test(point)).flatMap(([point, hits]) => Array.from({ length: Math.min(hits, MOST_HITS) }, (_, i) => ({ point, hit: i + 1 })));
  const most = process.env['RAMBO_KILLS'] === 'all' ? all.length : Number(process.env['RAMBO_KILLS'] ?? 5);
  return all.sort((a, b) => dice(`${shape}${a.point}${a.hit}`) - dice(`${shape}${b.point}${b.hit}`)).slice(0, most);
}

/** What is wrong with how a run ended; empty when all is well. */
function wrong({ phase, detail, effects }: Seen, unkeyed = 'charge'): readonly string[] {
  return [
    ...(phase === 'Succeeded' ? [] : [`it ended ${phase}: ${detail}`]),
    ...((effects['count'] ?? 0) === 1 ? [] : [`the keyed effect happened ${effects['count'] ?? 0} times`]),
    ...((effects[unkeyed] ?? 0) === 1 ? [] : [`the unkeyed effect happened ${effects[unkeyed] ?? 0} times`]),
  ];
}

test.each<[string, string, readonly { readonly point: string; readonly hit: number }[]]>([
  ['from the first step', 'first', []],
  ['with an approval', 'approval', []],
  ['after a runner was lost', 'first', [{ point: 'runner.agent.model.after', hit: 1 }]],
  ['with parallel tools', 'parallel', []],
  ['with an agent below the agent', 'nested', []],
  ['with a tool that asks a person twice', 'asking', []],
])('whatever is killed, an agent %s ends with each effect once', async (shape, agent, before) => {
  const found: string[] = [];
  for (const fault of chosen(await site.golden(agent), shape)) {
    const seen = await site.play(agent, { faults: [...before, fault].map((one) => ({ ...one, action: 'kill' as const })) });
    const name = `${shape}: ${fault.point}#${fault.hit}`;
    if (process.env['RAMBO_TEST_VERBOSE'] !== undefined) process.stderr.write(`    ${name}: ${seen.phase} in ${seen.ms} ms, ${seen.fired ? 'struck' : 'not struck'}, ${seen.doubts} doubts, ${seen.approvals} approvals, ${seen.answers} answers\n`);
    found.push(...wrong(seen, agent === 'asking' ? 'book' : 'charge').map((what) => `${name}: ${what}`));
  }
  expect(found).toEqual([]);
}, 3_600_000);

test('a call that was sent and never answered is in doubt, and a person says what became of it', async () => {
  // The first request of the run asks the model, the second calls count, the third the model again, the fourth charges.
  const hits = [...(await site.golden('first'))].find(([point]) => point === 'outside.fetch.after')?.[1] ?? 0;
  const seen: Seen[] = [];
  for (let hit = 1; hit <= hits && seen.every(({ doubts }) => doubts === 0); hit++) seen.push(await site.play('first', { faults: [{ point: 'outside.fetch.after', hit, action: 'kill' }] }));
  expect(seen.flatMap((one) => wrong(one))).toEqual([]);
  expect(seen.at(-1)).toMatchObject({ doubts: 1, fired: true });
}, 1_200_000);
