import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { SCHEMA_ANNOTATION } from '../../../crds/names.ts';
import { migrate } from '../../../prisma/migrate.ts';
import { ROOT } from '../../chart/helm.ts';
import { OwnProcess } from '../../harness/own-process.ts';
import { TestStack } from '../../harness/test-stack.ts';

/** What controller and API say and do while something they need is missing: alive, not ready, with the reason and the way out. */

let t: TestStack;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'rambo-waiting-'));
  t = await TestStack.start({ controllers: 1, api: true });
}, 120_000);
afterAll(async () => {
  await t.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function during(which: 'controller' | 'api', change: Readonly<Record<string, string | undefined>>, see: (process: OwnProcess) => Promise<void>): Promise<void> {
  const process = await OwnProcess.start(t, dir, which, change);
  try {
    await see(process);
  } finally {
    await process.stop();
  }
}

const secrets = (): string => path.dirname(t.addresses.natsCreds);

describe.each(['controller', 'api'] as const)('the %s', (which) => {
  test('waits for Secrets that are not there, and works once they are', async () => {
    const creds = path.join(dir, `${which}-late.creds`);
    const url = path.join(dir, `${which}-url`);
    await during(which, { RAMBO_DATABASE_URL: undefined, RAMBO_DATABASE_URL_FILE: url, RAMBO_NATS_CREDS_FILE: creds }, async (process) => {
      await process.saysReason(/RAMBO_NATS_CREDS_FILE.*late\.creds cannot be read.*it comes from a Secret/);
      await process.saysReason(/RAMBO_DATABASE_URL_FILE.*cannot be read.*have the key/);
      copyFileSync(path.join(secrets(), `${which}.creds`), creds);
      writeFileSync(url, t.addresses.databaseUrl);
      await process.becomesReady();
    });
  });

  test('names a Postgres that does not answer, and its place', async () => {
    await during(which, { RAMBO_DATABASE_URL: 'postgresql://me:hidden@127.0.0.1:1/rambo' }, async (process) => {
      await process.saysReason(/Postgres at 127\.0\.0\.1:1\/rambo does not answer \(.*ECONNREFUSED/);
      expect(process.log).not.toContain('hidden');
    });
  });

  test('names a password that is wrong, without it', async () => {
    const url = new URL(t.addresses.databaseUrl);
    url.password = 'wrong-password';
    await during(which, { RAMBO_DATABASE_URL: url.toString() }, async (process) => {
      await process.saysReason(/refuses the user of the URL .*look at the Secret/);
      expect(process.log).not.toContain('wrong-password');
    });
  });

  test('waits for the migration: first there is no database, then no schema, then an old one, then it works', async () => {
    const name = `late_${which}`;
    const url = new URL(t.addresses.databaseUrl);
    url.pathname = `/${name}`;
    await during(which, { RAMBO_DATABASE_URL: url.toString() }, async (process) => {
      await process.saysReason(/the database does not exist: the migration Job/);
      await t.sql(`CREATE DATABASE ${name}`);
      await process.saysReason(/has no schema of RamBo yet: the migration Job/);
      const db = new pg.Client({ connectionString: url.toString() });
      await db.connect();
      await db.query('CREATE TABLE _prisma_migrations (migration_name text, finished_at timestamptz, rolled_back_at timestamptz)');
      await process.saysReason(/is older than this release, it lacks \d+_\w+: the migration Job/);
      await db.query('DROP TABLE _prisma_migrations');
      await db.end();
      await migrate(url.toString(), () => undefined);
      await process.becomesReady();
    });
  });

  test('names a NATS that does not answer, and one that refuses its credentials', async () => {
    await during(which, { RAMBO_NATS_URL: 'nats://127.0.0.1:1' }, (process) => process.saysReason(/NATS at nats:\/\/127\.0\.0\.1:1 is not available \(.*connection refused/i));
    const other = path.join(secrets(), which === 'api' ? 'controller.creds' : 'api.creds');
    const forged = path.join(dir, `${which}-forged.creds`);
    // The token of one user with the key of another.
    const key = /-----BEGIN USER NKEY SEED-----[\s\S]*$/;
    writeFileSync(forged, readFileSync(path.join(secrets(), `${which}.creds`), 'utf8').replace(key, key.exec(readFileSync(other, 'utf8'))?.[0] ?? ''));
    await during(which, { RAMBO_NATS_CREDS_FILE: forged }, (process) => process.saysReason(/NATS at .* is not available \(.*authorization/i));
  });

  test('tells in an event of its pod what it waits for', async () => {
    await during(which, { RAMBO_NATS_URL: 'nats://127.0.0.1:1' }, async ({ pod, uid }) => {
      const event = await t.until('the event', async () => {
        const { items } = JSON.parse(await t.stack.kubectl.run('get', 'events', '-n', 'rambo-system', '--field-selector', `involvedObject.name=${pod}`, '-o', 'json')) as
          { readonly items: readonly { readonly reason: string; readonly message: string; readonly involvedObject: { readonly uid: string } }[] };
        return items[0];
      });
      expect(event).toMatchObject({ reason: 'Waiting', message: expect.stringMatching(/^waiting for NATS: NATS at nats:\/\/127\.0\.0\.1:1/), involvedObject: { uid } });
    });
  });

  test('ends at once, and well, when it is told to while it waits', async () => {
    const process = await OwnProcess.start(t, dir, which, { RAMBO_NATS_URL: 'nats://127.0.0.1:1' });
    await process.saysReason(/NATS/);
    const began = performance.now();
    await process.stop();
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(process.log).toContain('"msg":"stopping"');
  });
});

test('the controller waits for definitions that are old or gone, and says how to bring them', async () => {
  await t.stack.kubectl.run('annotate', '--overwrite', 'crd', 'runnerpools.rambo.dev', `${SCHEMA_ANNOTATION}=0`);
  await during('controller', {}, async (process) => {
    await process.saysReason(/the definition runnerpools\.rambo\.dev has schema version 0, this release needs \d+: .*kubectl apply --server-side/);
    await t.stack.kubectl.run('delete', 'crd', 'runnerpools.rambo.dev', '--wait=true');
    await process.saysReason(/the definition runnerpools\.rambo\.dev is not in the cluster/);
    await t.stack.kubectl.apply(path.join(ROOT, 'crds/generated/runnerpools.yaml'));
    await process.becomesReady();
  });
});

test('a configuration that waiting cannot mend ends the process with every problem', async () => {
  const process = await OwnProcess.start(t, dir, 'controller', { RAMBO_PODS_IN_FLIGHT: 'many', RAMBO_LOG_LEVEL: 'loud' });
  await t.until('both problems', async () => /RAMBO_PODS_IN_FLIGHT[\s\S]*RAMBO_LOG_LEVEL|RAMBO_LOG_LEVEL[\s\S]*RAMBO_PODS_IN_FLIGHT/.test(process.log));
  await process.stop();
});
