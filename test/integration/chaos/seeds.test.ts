import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../../../hack/stack/stack.ts';
import { attempt, golden } from '../../chaos/attempt.ts';
import { describePlan, planOf } from '../../chaos/plan.ts';
import { Site } from '../../chaos/site.ts';

/** The first seeds of `make chaos`, with every change. SEEDS=1000 by hand. */
const SEEDS = Number(process.env['SEEDS'] ?? 20);

let site: Site;
let hits: ReadonlyMap<string, number>;
beforeAll(async () => {
  site = await Site.start();
  await golden(site);
  hits = await golden(site);
}, 180_000);
afterAll(async () => { await site.stop(); });

test('the golden run comes by every kind of outside effect', () => {
  for (const point of ['pg.commit.before', 'pg.commit.after', 'nats.dispatch.before', 'nats.dispatch.after', 'nats.reply.result', 'nats.reply.cmd', 'nats.publish.changed',
    'kube.create.pods.before', 'kube.delete.pods.after', 'kube.patch.workflowruns/status.before', 'runner.ack', 'runner.execute.after', 'runner.request.result.before']) {
    expect(hits.get(point)).toBeGreaterThan(0);
  }
});

test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('seed %d leaves nothing wrong', async (seed) => {
  const plan = planOf(seed, hits);
  const found = await attempt(site, plan);
  expect({ plan: describePlan(plan), found }).toEqual({ plan: describePlan(plan), found: [] });
}, 150_000);

test.each([['error', 1], ['error', 2], ['kill', 1], ['kill', 2]] as const)('%s at removal %d of a pod, one of them of an attempt that hangs: none is left over', async (action, hit) => {
  expect(await attempt(site, { faults: [{ point: 'kube.delete.pods.before', hit, action }], acts: [] })).toEqual([]);
}, 150_000);

test.each(['controller', 'api', 'modelgateway', 'runner', 'agent'])('the %s that is shipped holds no failpoint', (name) => {
  const shipped = readFileSync(path.join(ROOT, 'dist', `${name}.mjs`), 'utf8');
  expect(['RAMBO_CHAOS', 'armed.json', 'nats.receive', 'runner.execute', 'runner.agent', 'outside.fetch', 'sentBeforePublish'].filter((word) => shipped.includes(word))).toEqual([]);
});
