import { AgentSite, type Attempt, type RunningGateway } from './site.ts';

/* Limits of a Model over gateways side by side: seen from the provider, there is never more than the limit, whoever asks. */

let site: AgentSite;
let gateways: readonly RunningGateway[];
beforeAll(async () => {
  site = await AgentSite.start();
  // Patient: a loaded machine must not look like a provider that is silent.
  const patience = { firstMs: 60_000, idleMs: 60_000 };
  gateways = await Promise.all([site.gateway({ patience }), site.gateway({ patience })]);
});
afterAll(() => site.stop());
beforeEach(() => { site.model.reset(); });

async function opened(count: number, model: string, at: (n: number) => RunningGateway | undefined = (n) => gateways[n % 2], delayMs = 80): Promise<readonly Attempt[]> {
  return Promise.all(Array.from({ length: count }, async (_, n) => {
    const gateway = at(n);
    if (gateway === undefined) throw new Error('no gateway');
    const agent = await site.agent(gateway, [{ text: 'x', delayMs }], { node: `n${n}`, spec: { modelRef: { name: model } } });
    await site.until('it to open', async () => (await agent.open()).status === 200);
    return agent;
  }));
}

/** The most that were under way at once while `work` went on. */
async function mostAtOnce(work: Promise<unknown>): Promise<number> {
  let most = 0;
  const looking = setInterval(() => { most = Math.max(most, site.model.calls().filter(({ outcome }) => outcome === undefined).length); }, 2);
  await work.finally(() => { clearInterval(looking); });
  return most;
}

test('requests at once: both gateways together never pass the limit, and both are served', async () => {
  await site.addModel('narrow', { limits: { concurrency: 3 } });
  const agents = await opened(24, 'narrow');
  const most = await mostAtOnce(Promise.all(agents.map(async (agent) => { expect(await agent.insist(1)).toMatchObject({ status: 200 }); })));
  expect(most).toBe(3);
  expect(site.model.calls()).toHaveLength(24);
});

test('requests in a minute: never more than the limit, though both ask at once', async () => {
  await site.addModel('slow', { limits: { rpm: 5 } });
  const agents = await opened(8, 'slow');
  const stop = new AbortController();
  const asked = agents.map((agent) => agent.ask(1, { signal: stop.signal }).catch(() => undefined));
  await site.until('the first five', async () => site.model.calls().length === 5);
  await new Promise((resolve) => { setTimeout(resolve, 3_000); });
  expect(site.model.calls()).toHaveLength(5);
  stop.abort();
  await Promise.all(asked);
  for (const agent of agents) await gateways[0]?.server.sweeper.runEnded(agent.run, 'Cancelled');
});

test('the whole limit is there for one that is busy while the other is idle', async () => {
  await site.addModel('wide', { limits: { concurrency: 6 } });
  // The other one has called it before, and does so no more.
  for (const agent of await opened(6, 'wide', () => gateways[1])) await agent.insist(1);
  site.model.reset();
  const agents = await opened(12, 'wide', () => gateways[0], 500);
  expect(await mostAtOnce(Promise.all(agents.map((agent) => agent.insist(1))))).toBe(6);
});

test('what a gateway held that was killed comes back within the time it is taken for gone', async () => {
  await site.addModel('held', { limits: { concurrency: 2 } });
  const dying = await site.gateway();
  // What it holds is written as it would have written it; nobody renews it.
  const leave = await Promise.all([0, 1].map(() => dying.limiter.enter('team-a', 'held', { concurrency: 2 }, 1, new AbortController().signal)));
  expect(leave.every((one) => one !== undefined)).toBe(true);
  await dying.kill();
  const started = performance.now();
  const [agent] = await opened(1, 'held', () => gateways[0]);
  expect(await agent?.insist(1)).toMatchObject({ status: 200 });
  const waited = performance.now() - started;
  expect([waited > 2_000, waited < 15_000]).toEqual([true, true]);
}, 30_000);

test('without limits nothing is asked of Postgres for them', async () => {
  await site.addModel('free');
  for (const agent of await opened(2, 'free')) await agent.ask(1);
  expect(await site.sql("SELECT 1 FROM model_limit WHERE model = 'free'")).toEqual([]);
});
