import path from 'node:path';
import { judge } from '../../chaos/attempt.ts';
import { Disk } from '../../chaos/disk.ts';
import { clusterPids, cutEtcdPower, Site } from '../../chaos/site.ts';
import { TestStack } from '../../harness/test-stack.ts';

/** F10: etcd is killed, held still, and its power goes. Only where we may mount. */
const able = Disk.available();
const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

(able ? describe : describe.skip)('the disk of etcd', () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.start(1, { etcdDisk: Disk.create(768) });
  }, 120_000);
  afterAll(async () => { await site.stop(); });

  test.each([150, 400, 900])('power gone after %d ms of golden runs: no object that was acknowledged is lost, every run ends as it should', async (ms) => {
    const started = await site.startGolden();
    await pause(ms);
    await site.cutEtcdPower();
    expect(await judge(site, started)).toEqual([]);
  }, 150_000);

  test('etcd killed', async () => {
    const started = await site.startGolden();
    process.kill(clusterPids(site.t)['etcd'] ?? 0, 'SIGKILL');
    expect(await judge(site, started)).toEqual([]);
  }, 150_000);

  test('while etcd stands still, runs started over the API go on to their end', async () => {
    await ask('warm-up');
    const { etcd = 0 } = clusterPids(site.t);
    process.kill(etcd, 'SIGSTOP');
    try {
      const id = await ask('beside');
      await site.t.succeeded([id], 20_000);
      await expect(site.t.stack.kubectl.run('get', 'configmaps', '--request-timeout=2s')).rejects.toThrow();
    } finally {
      process.kill(etcd, 'SIGCONT');
    }
  }, 60_000);

  async function ask(name: string): Promise<string> {
    const query = 'mutation($i: StartRunInput!) { r: startRun(input: $i) { ... on RunPayload { run { id } } } }';
    const definition = { nodes: ['a', 'b'].map((node, i) => ({ name: node, type: 'transform', with: { output: node }, ...(i === 0 ? {} : { dependsOn: ['a'] }) })) };
    const { data } = await site.t.ask<{ data: { r: { run: { id: string } } } }>(query, { i: { namespace: 'default', name, definition } });
    return data.r.run.id;
  }
});

(able ? test : test.skip)('the power cut bites: an etcd that does not sync loses what it acknowledged', async () => {
  const disk = Disk.create(768);
  const t = await TestStack.start({ controllers: 0, etcd: { dir: path.join(disk.mountpoint, 'etcd'), unsafe: true } });
  try {
    disk.settle();
    await t.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'acknowledged', namespace: 'default' } });
    await cutEtcdPower(t, disk);
    // One object, not a list: lists come from the cache of the API server, which remembers what etcd has lost.
    const look = (): Promise<string> => t.stack.kubectl.run('get', 'configmap', 'acknowledged', '--request-timeout=5s').catch(String);
    const answer = await t.until('an answer of the API server', async () => {
      const text = await look();
      return /NotFound|acknowledged +0/.test(text) ? text : undefined;
    }, 60_000);
    expect(answer).toContain('NotFound');
  } finally {
    await t.stop();
    disk.remove();
  }
}, 150_000);
