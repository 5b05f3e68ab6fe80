import { listDoubts, openStore, type Db } from '../../../prisma/store/index.ts';
import type { Fault } from '../../../platform/failpoint/index.ts';
import { GatewaySwitch } from './gateway-switch.ts';
import { nothingAnswered } from './kill-person.ts';
import { KillSite, LEASE } from './kill-site.ts';
import { SHAPES, type Kill, type Shape } from './kill-shapes.ts';

/*
 * Processes that are stopped (SIGSTOP) for longer than their lease and wake when others have gone on: whatever they still want to write is
 * refused or changes nothing, and nothing happens twice.
 */

const FIRST: Shape = SHAPES.find(({ name }) => name === 'from the first step') ?? SHAPES[0] as Shape;
/** The same, slowly enough for somebody to come in between. */
const SLOW: Shape = { ...FIRST, agent: 'slow' };
const gateways = new GatewaySwitch();
let site: KillSite;
let db: Db;
let second = 0;
beforeAll(async () => {
  site = await KillSite.start(gateways);
  db = openStore({ url: site.s.t.addresses.databaseUrl, max: 2, connectTimeoutMs: 10_000 });
  second = await gateways.second(LEASE);
  const tool = (name: string, given: object): object => ({ name: `tools__${name}`, arguments: given });
  await site.s.script('slow', [{ tools: [tool('count', { note: 'a' })] }, { tools: [tool('charge', { amount: 5 })], delayMs: 1_000 }, { text: 'done', delayMs: 2_000 }] as never);
  await site.s.agent('slow', { modelRef: { name: 'slow' }, tools: [{ toolServerRef: { name: 'tools', include: ['count', 'charge'] } }], policy: [{ match: 'true', decision: 'Allow' }] });
  // The connection to the tools is made: from now on each call is one request.
  expect((await site.play(FIRST, { kills: [] })).wrong).toEqual([]);
}, 1_200_000);
afterAll(async () => {
  await db.close();
  await site.stop();
}, 120_000);
afterEach(() => {
  site.arm([]);
  gateways.leadTo();
});

/** Nobody hears that the attempt is over: messages get lost, and the gateway must not lean on them. */
const DEAF: readonly Fault[] = [1, 2].map((hit) => ({ point: 'runner.hear.cancel', hit, action: 'drop' }));

/** Starts a run, and waits until a process is stopped at a point; both. */
async function stoppedAt(at: Kill, shape = FIRST): Promise<{ readonly run: string; readonly pid: number }> {
  site.s.tools.reset();
  site.person.others = 0;
  site.arm([{ ...at, action: 'stop' }, ...DEAF]);
  const run = await site.begin(shape);
  const pid = await site.s.t.until(`a process to stop at ${at.point}`, async () => site.fired()[0]);
  return { run, pid };
}

/** The run ends, somebody answers meanwhile; what is wrong then. */
async function ends(run: string, runs = 1): Promise<readonly string[]> {
  const phase = await site.ended(run, nothingAnswered(), { until: performance.now() + 60_000, silent: false });
  return site.wrong(run, phase, runs);
}

/** The first gateway wakes, and serves a whole run: by then it has done what it was stopped in. */
async function wake(pid: number): Promise<void> {
  process.kill(pid, 'SIGCONT');
  gateways.leadTo();
  const other = await site.begin(FIRST);
  await site.s.t.succeeded([other]);
  site.person.others = 1;
}

test.each<[string, Kill]>([
  ['before it asks for an answer', { point: 'runner.agent.model.before', hit: 1 }],
  ['before it asks for a call', { point: 'runner.agent.tool.before', hit: 2 }],
])('a runner that is stopped %s wakes when another has the run: it is refused, and nothing happens twice', async (_, at) => {
  const { run, pid } = await stoppedAt(at, SLOW);
  await site.s.t.until('another attempt to have the run', async () => await site.person.epoch(run) >= 2, 60_000);
  const refused = gateways.fenced;
  process.kill(pid, 'SIGCONT');
  await site.s.t.until('the first to be refused', async () => gateways.fenced > refused);
  expect(await ends(run)).toEqual([]);
}, 120_000);

/** One request per answer and call: model, count, model, charge, model. */
const COUNT = 2;
const CHARGE = 4;

test.each<[string, Kill, boolean]>([
  ['before it asks a model', { point: 'journal.ModelRequested.after', hit: 2 }, false],
  ['with the answer of a model', { point: 'outside.fetch.after', hit: 1 }, false],
  ['with the result of a keyed call', { point: 'outside.fetch.after', hit: COUNT }, false],
  ['before an unkeyed call leaves', { point: 'journal.ToolDispatched.after', hit: 2 }, true],
])('a gateway that is stopped %s wakes after the end of the run: nothing changes', async (_, at, doubted) => {
  const { run, pid } = await stoppedAt(at);
  gateways.leadTo(second);
  const answered = nothingAnswered();
  const phase = await site.ended(run, answered, { until: performance.now() + 60_000, silent: false });
  expect(await site.wrong(run, phase)).toEqual([]);
  expect(answered.doubts).toBe(doubted ? 1 : 0);
  await wake(pid);
  expect(await site.wrong(run, phase, 2)).toEqual([]);
}, 120_000);

test.each<[string, Kill]>([
  ['before an unkeyed call leaves', { point: 'journal.ToolDispatched.after', hit: 2 }],
  ['with the result of an unkeyed call', { point: 'outside.fetch.after', hit: CHARGE }],
])('a gateway that is stopped %s wakes while the call is in doubt: a person, or its result, says what became of it', async (_, at) => {
  const { run, pid } = await stoppedAt(at);
  gateways.leadTo(second);
  await site.s.t.until('the call to be in doubt', async () => (await listDoubts(db, { namespace: 'default', first: 1 })).rows.length === 1);
  await wake(pid);
  expect(await ends(run, 2)).toEqual([]);
}, 120_000);
