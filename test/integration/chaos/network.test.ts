import { readFileSync } from 'node:fs';
import { ownerSubject } from '../../../platform/messages/subjects.ts';
import { connectBus, type Bus } from '../../../platform/nats/bus.ts';
import { judge } from '../../chaos/attempt.ts';
import type { KubeFault, KubeProxy } from '../../chaos/kube-proxy.ts';
import { Network } from '../../chaos/network.ts';
import { random } from '../../chaos/plan.ts';
import { Site } from '../../chaos/site.ts';
import type { TcpProxy } from '../../chaos/tcp-proxy.ts';
import { script } from '../../harness/test-stack.ts';

/** The lines between our processes and their servers, broken one after another. The numbers are those of the reliability page. */

let site: Site;
let network: Network;
let kube: KubeProxy;
let pg: TcpProxy;
let nats: TcpProxy;
beforeAll(async () => {
  network = new Network(random(4));
  site = await Site.start(1, { network });
  ({ kube, pg, nats } = network.of('controller-0'));
}, 120_000);
afterAll(async () => { await site.stop(); });
afterEach(() => { network.heal(); });

/** Golden runs while something is wrong; `mend` is called once they are started. In the end everything has to be in order. */
async function golden(mend: () => Promise<void> | void = () => undefined): Promise<readonly string[]> {
  const started = await site.startGolden();
  await mend();
  network.heal();
  return judge(site, started);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
const answer = (code: number, reason: string, retryAfterS?: number): KubeFault => ({ kind: 'answer', code, reason, ...(retryAfterS === undefined ? {} : { retryAfterS }) });
const writing = ({ verb }: { readonly verb: string }): boolean => verb === 'create' || verb === 'patch' || verb === 'delete' || verb === 'update';

/** A run whose object says it has ended, by kubectl. Returns how long that took. */
async function runs(withinMs: number): Promise<string> {
  const { metadata } = await site.t.startInline([{ name: 'a', type: 'transform', with: { output: 1 } }]);
  return (await site.t.finished(metadata.name, withinMs)).status?.phase ?? '';
}

async function phaseOf(uid: string): Promise<string | undefined> {
  return (await site.t.sql<{ phase: string }>('select phase from run where id = $1', [uid]))[0]?.phase;
}

/** No write reaches the API server, no commit Postgres, for so long: idle is idle (I8). */
async function quiet(ms: number): Promise<void> {
  const writes = (): number => kube.carried((request) => writing(request));
  const rows = async (): Promise<string> => JSON.stringify(await site.t.sql("select sum(n_tup_ins + n_tup_upd + n_tup_del) n from pg_stat_user_tables where relname not in ('shard', 'replica')"));
  await site.t.until('the last write', async () => {
    const before = [writes(), await rows()];
    await pause(ms);
    return before[0] === writes() && before[1] === await rows();
  }, 30_000);
}

describe('F4: a watch in trouble', () => {
  test.each<[string, () => void]>([
    ['cut', () => { kube.endWatches('cut'); }],
    ['ended', () => { kube.endWatches('end'); }],
    ['that sends half a line', () => { kube.say('garbage'); }],
    ['that is too old', () => { kube.say('gone'); }],
    ['refused with 500 three times', () => { kube.add({ match: ({ verb }) => verb === 'watch', fault: answer(500, 'InternalError'), times: 12 }); kube.endWatches('cut'); }],
    ['reset on opening', () => { kube.add({ match: ({ verb }) => verb === 'watch', fault: { kind: 'reset' }, times: 12 }); kube.endWatches('cut'); }],
  ])('%s: the next run is seen within seconds', async (_, spoil) => {
    spoil();
    expect(await runs(10_000)).toBe('Succeeded');
  });
});

test('F5: an object made anew under its name while the watch was too old is another run; the old one is cancelled', async () => {
  const name = `anew-${Date.now()}`;
  const run = { apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { name, namespace: 'default' }, spec: { workflow: { nodes: [{ name: 'nap', type: 'wait', with: { duration: '120s' } }] } } };
  const old = await site.t.create(run);
  await site.t.until('the old run', async () => await phaseOf(old.metadata.uid) === 'Running');
  kube.freezeWatches('workflowruns');
  await site.t.stack.kubectl.run('delete', 'wfr', name);
  const fresh = await site.t.create(run);
  kube.say('gone', 'workflowruns');
  kube.heal();
  await site.t.until('the old run to be cancelled, the new one to be there', async () => await phaseOf(old.metadata.uid) === 'Cancelled' && await phaseOf(fresh.metadata.uid) === 'Running');
  await site.t.stack.kubectl.run('delete', 'wfr', name);
});

test.each([1, 2, 3, 4, 5])('F6: event %d of the runs and of the pods never arrives: the same end after a resync', async (nth) => {
  kube.dropEvent(nth % 2 === 0 ? 'pods' : 'workflowruns', nth);
  const before = kube.dropped;
  // Beside the start, which may itself wait for what that event says; and after the event, or nothing mends it.
  const resync = site.t.until('the event', () => Promise.resolve(kube.dropped > before)).then(() => pause(500)).then(() => { kube.say('gone'); });
  expect(await golden(() => resync)).toEqual([]);
}, 120_000);

test('F7: a list from the past after a restart: nothing that lives is cancelled, nothing that ended runs again', async () => {
  const { metadata } = await site.t.startInline([script('long', 'export default () => new Promise((r) => setTimeout(r, 4000))')]);
  await site.t.until('the run', async () => await phaseOf(metadata.uid) === 'Running');
  kube.add({ match: ({ verb }) => verb === 'list', fault: { kind: 'stale' }, times: 5 });
  site.t.stack.child('controller-0').kill();
  expect((await site.t.finished(metadata.name)).status?.phase).toBe('Succeeded');
  expect(await golden()).toEqual([]);
});

describe('F8: an API server that refuses', () => {
  test.each<[string, KubeFault, number]>([
    ['409 for a third of all patches', answer(409, 'Conflict'), 0.3],
    ['429 for most', answer(429, 'TooManyRequests', 1), 0.7],
    ['503 for most', answer(503, 'ServiceUnavailable', 1), 0.7],
    ['500 for half', answer(500, 'InternalError'), 0.5],
  ])('%s: everything ends, then nothing is written any more', async (_, fault, share) => {
    kube.add({ match: ({ verb }) => fault.kind !== 'answer' || fault.code !== 409 || verb === 'patch', fault, share });
    expect(await golden(() => pause(4_000))).toEqual([]);
    await quiet(2_500);
  });
});

/** Attempts of the container nodes of all golden runs so far. */
async function podAttempts(): Promise<number> {
  const [row] = await site.t.sql<{ n: number }>("select count(*)::int n from attempt where node in ('box', 'slow')");
  return row?.n ?? Number.NaN;
}

test('F9: writes that are carried out and never answered are not made twice', async () => {
  const made = ({ verb, resource, code }: { verb: string; resource: string; code: number }): boolean => verb === 'create' && resource === 'pods' && code === 201;
  const before = kube.carried(made);
  const attempts = await podAttempts();
  kube.add({ match: writing, fault: { kind: 'lose' }, share: 0.5 });
  expect(await golden(() => pause(4_000))).toEqual([]);
  expect(kube.carried(made) - before).toBe(await podAttempts() - attempts);
});

test('F9: a POST that is repeated on its way makes one pod', async () => {
  kube.add({ match: writing, fault: { kind: 'repeat' } });
  expect(await golden(() => pause(2_000))).toEqual([]);
});

test('F11: an API server that takes no write: what needs it waits, and goes on afterwards', async () => {
  kube.add({ match: writing, fault: answer(500, 'etcdserver: mvcc: database space exceeded') });
  expect(await golden(async () => {
    await pause(5_000);
    const failed = await site.t.sql("select 1 from node_run n join run r on r.id = n.run_id where r.name like 'pod-%' and n.status = 'Failed' and r.created_at > now() - interval '20 seconds'");
    expect(failed).toEqual([]);
  })).toEqual([]);
});

interface Started { readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[]; readonly data?: { readonly r: { readonly run: { readonly id: string } } } | null }

/** One start over the API, not repeated. */
async function startOnce(key: string): Promise<Started> {
  const query = 'mutation($i: StartRunInput!) { r: startRun(input: $i) { ... on RunPayload { run { id } } } }';
  const i = { namespace: 'default', name: key, idempotencyKey: key, definition: { nodes: [{ name: 'a', type: 'transform', with: { output: 1 } }] } };
  return site.t.ask<Started>(query, { i }, { timeoutMs: 30_000 });
}

const namesake = async (name: string): Promise<number> => Number((await site.t.sql<{ n: string }>('select count(*) n from run where name = $1', [name]))[0]?.n);

test('F16: NATS cut from the API: reads and objects work, commands say so; repeated under their key they happen once', async () => {
  network.of('api').nats.freeze(true);
  const refused = await startOnce('cut-from-nats');
  expect(refused.errors?.[0]?.extensions?.code).toBe('UNAVAILABLE');
  expect(await site.t.ask('{ runs(namespace: "default", first: 1) { edges { node { name } } } }')).toHaveProperty('data.runs');
  expect(await runs(10_000)).toBe('Succeeded');
  network.heal();
  const id = await site.t.until('an answer', async () => (await startOnce('cut-from-nats')).data?.r.run.id, 30_000);
  expect((await startOnce('cut-from-nats')).data?.r.run.id).toBe(id);
  expect(await namesake('cut-from-nats')).toBe(1);
}, 90_000);

test('F16: NATS cut from the controller: runs wait, and go on', async () => {
  nats.freeze(true);
  const started = site.startGolden();
  await pause(4_000);
  network.heal();
  expect(await judge(site, await started)).toEqual([]);
}, 120_000);

test('F12, F15: the line between runners and NATS breaks again and again', async () => {
  expect(await golden(async () => {
    for (let i = 0; i < 6; i++) {
      network.runners.cut();
      network.runners.loseAnswer();
      await pause(150);
    }
  })).toEqual([]);
}, 120_000);

describe('F19: Postgres and lost answers', () => {
  test.each(['loseRequest', 'loseAnswer', 'cutAnswer'] as const)('%s, again and again: nothing is done twice, nothing is lost', async (trap) => {
    const before = pg.sprung;
    // For so long and no longer: while every answer may be lost, nobody can promise that the starts are answered.
    const trapping = (async () => {
      for (let i = 0; i < 60; i++) {
        pg[trap]();
        await pause(60);
      }
    })();
    const found = await golden(() => trapping);
    expect(found).toEqual([]);
    expect(pg.sprung - before).toBeGreaterThan(10);
  }, 120_000);

  test('a start whose answer is lost and that is repeated under its key is one run', async () => {
    for (let i = 0; i < 8; i++) {
      const key = `lost-${i}`;
      pg.loseAnswer();
      await site.t.until('an answer', async () => (await startOnce(key)).data?.r.run.id, 30_000);
      expect(await namesake(key)).toBe(1);
    }
  }, 120_000);
});

test('F20: a Postgres that does not answer: commands are refused in time, and work again afterwards', async () => {
  pg.freeze(true);
  const began = performance.now();
  const refused = await startOnce('silent-postgres');
  expect(refused.errors?.[0]?.extensions?.code).toBe('UNAVAILABLE');
  expect(performance.now() - began).toBeLessThan(15_000);
  network.heal();
  await site.t.until('an answer', async () => (await startOnce('silent-postgres')).data?.r.run.id, 30_000);
  expect(await namesake('silent-postgres')).toBe(1);
}, 90_000);

/** Hears everything on NATS, as the controller may. */
async function listener(): Promise<Bus> {
  const { natsUrl, natsCreds } = site.t.addresses;
  return connectBus({ url: natsUrl, name: 'chaos', creds: () => readFileSync(natsCreds, 'utf8'), log: { info: () => undefined, warn: () => undefined, error: () => undefined } });
}

test('F26: all results of finished runs once more, in reverse, each twice: all ignored, not a row changes', async () => {
  const bus = await listener();
  const results: { subject: string; payload: Uint8Array }[] = [];
  const dispatches: { subject: string; payload: Uint8Array }[] = [];
  const listening = Array.from({ length: 256 }, (_, shard) => bus.listen(ownerSubject('result', shard), (subject, payload) => { results.push({ subject, payload: payload.slice() }); }));
  listening.push(bus.listen('rambo.dispatch.>', (subject, payload) => { dispatches.push({ subject, payload: payload.slice() }); }));
  const started = await site.startGolden();
  expect(await judge(site, started)).toEqual([]);
  for (const subscription of listening) subscription.stop();
  expect(results.length).toBeGreaterThan(10);
  expect(dispatches.length).toBeGreaterThan(10);
  const rows = async (): Promise<string> => JSON.stringify(await site.t.sql('select id, version, phase, seq from run where id = any ($1::uuid[]) order by id', [[...started.accepted.keys()]]));
  const before = await rows();
  for (const { subject, payload } of [...results, ...results].reverse()) {
    const reply: { status: string } = JSON.parse(new TextDecoder().decode(await bus.request(subject, payload, 5_000)));
    expect(reply.status).toBe('Ignored');
  }
  // F17: dispatches of attempts that are over, beyond the dedupe window: whoever runs them is not heard.
  for (const [i, { subject, payload }] of dispatches.entries()) await bus.publishDispatch(subject, payload, `late-${i}-${before.length}`);
  await pause(1_500);
  expect(await rows()).toBe(before);
  await bus.close();
  const world = await site.world(started);
  expect([...world?.effects.values() ?? []].every((n) => n === 1)).toBe(true);
}, 120_000);

test('F27: a namespace that is deleted while no controller runs takes its runs along', async () => {
  const { kubectl } = site.t.stack;
  const doomed = `doomed-${Date.now()}`;
  await kubectl.run('create', 'namespace', doomed);
  const made = await site.t.create({ apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { name: 'r', namespace: doomed }, spec: { workflow: { nodes: [
    { name: 'box', type: 'container', with: { image: 'local/sh', command: ['sleep', '120'] } }, { name: 'nap', type: 'wait', with: { duration: '120s' } }] } } });
  await site.t.until('the run', async () => await phaseOf(made.metadata.uid) === 'Running');
  await site.t.stack.child('controller-0').stop();
  await kubectl.run('delete', 'namespace', doomed, '--wait=false');
  await site.t.until('the object to be gone', async () => !(await kubectl.run('get', 'wfr', '-A', '-o', 'name')).includes('wfr/r\n') && !(await kubectl.run('get', 'wfr', '-n', doomed, '-o', 'name')).includes('/r'), 60_000);
  site.t.stack.startController('controller-0');
  await site.t.until('the run to be cancelled', async () => await phaseOf(made.metadata.uid) === 'Cancelled', 60_000);
  await site.t.until('the namespace to be gone', async () => !(await kubectl.run('get', 'ns', '-o', 'name')).includes(`namespace/${doomed}`), 60_000);
  expect(await golden()).toEqual([]);
}, 240_000);

test('F3: a watch that is open and silent is noticed within a minute', async () => {
  kube.freezeWatches('workflowruns', 'old');
  const began = performance.now();
  expect(await runs(70_000)).toBe('Succeeded');
  expect((performance.now() - began) / 1_000).toBeLessThan(62);
}, 90_000);
