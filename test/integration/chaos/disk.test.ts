import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { judge } from '../../chaos/attempt.ts';
import { Disk, familyOf } from '../../chaos/disk.ts';
import { Site } from '../../chaos/site.ts';

/** The disk of Postgres: its power goes, it is full, it refuses to sync. Only where we may mount. The numbers are those of the reliability page. */
const able = Disk.available();
const straceAt = ['/usr/bin/strace', '/usr/local/bin/strace'].find((file) => existsSync(file));

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

(able ? describe : describe.skip)('the disk of Postgres', () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.start(1, { disk: Disk.create(768) });
  }, 120_000);
  afterAll(async () => { await site.stop(); });

  /** Golden runs with something done to the disk in the middle. What is wrong in the end. */
  async function golden(what: () => Promise<void>): Promise<readonly string[]> {
    const started = await site.startGolden();
    await what();
    return judge(site, started);
  }

  test.each([100, 250, 400, 600, 900])('F18: power gone after %d ms: what was accepted is there, nothing is done by half', async (ms) => {
    expect(await golden(async () => {
      await pause(ms);
      await site.cutPower();
    })).toEqual([]);
  }, 150_000);

  test('F22: a full disk: commands are refused, reads work; with room again everything goes on', async () => {
    const refused = async (): Promise<boolean> => (await start('full')).errors?.[0]?.extensions?.code === 'UNAVAILABLE';
    expect(await golden(async () => {
      const empty = site.disk?.fill();
      await site.t.until('a refusal', refused, 30_000);
      expect((await site.t.sql<{ n: string }>('select count(*) n from run')).length).toBe(1);
      empty?.();
      await site.t.stack.postgres.restart();
      await site.t.until('an answer', async () => (await start('full')).errors === undefined, 30_000);
    })).toEqual([]);
  }, 200_000);

  (straceAt === undefined ? test.skip : test)('F23: syncing fails: Postgres stops instead of lying, and is well after its restart', async () => {
    const { postgres } = site.t.stack;
    let tracer: ChildProcess | undefined;
    expect(await golden(async () => {
      // All processes of the server, those it is going to start too: every sync of the log fails from now on.
      tracer = spawn(straceAt ?? '', ['-f', '-qq', '-o', '/dev/null', ...familyOf(postgres.pid() ?? 0).flatMap((pid) => ['-p', String(pid)]),
        '-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:error=EIO'], { stdio: 'ignore' });
      await pause(2_500);
      tracer.kill('SIGKILL');
      await postgres.kill();
      await postgres.restart();
    })).toEqual([]);
  }, 200_000);

  test('the power cut bites: with commits that are not synced, runs that were accepted are gone', async () => {
    await site.t.sql('alter system set synchronous_commit = off');
    await site.t.sql("alter system set wal_writer_delay = '10s'");
    await site.t.sql('select pg_reload_conf()');
    try {
      let found: readonly string[] = [];
      for (let tries = 0; tries < 5 && !found.some((text) => text.startsWith('I6')); tries++) {
        const started = await site.startGolden();
        await pause(50 * tries);
        await site.cutPower();
        await pause(3_000);
        const world = await site.t.until('the world', () => site.world(started), 30_000);
        found = [...started.accepted.keys()].filter((id) => !world.runs.some((run) => run.id === id)).map((id) => `I6 ${id}`);
      }
      expect(found.length).toBeGreaterThan(0);
    } finally {
      await site.t.sql('alter system reset all');
      await site.t.sql('select pg_reload_conf()');
    }
  }, 200_000);

  async function start(key: string): Promise<{ readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[] }> {
    const query = 'mutation($i: StartRunInput!) { r: startRun(input: $i) { ... on RunPayload { run { id } } } }';
    const i = { namespace: 'default', name: key, idempotencyKey: `${key}-${Math.random()}`, definition: { nodes: [{ name: 'a', type: 'transform', with: { output: 'x'.repeat(200_000) } }] } };
    return site.t.ask(query, { i }, { timeoutMs: 30_000 });
  }
});
