import pg from 'pg';
import { appendAudit, type AuditEntry, AuditQueue } from '../../../api/auth/audit.ts';
import { run } from '../../../cli/program.ts';
import { systemClock } from '../../../platform/clock/index.ts';
import { UnavailableError } from '../../../platform/errors/index.ts';
import { verifyAudit } from '../../../prisma/audit/index.ts';
import { type Gateway, openGateway } from '../../../prisma/gateway/index.ts';
import { type TestServer, testPostgres } from '../../harness/postgres.ts';

let server: TestServer;
let gateway: Gateway;
let url: string;
let client: pg.Client;

beforeAll(async () => { server = await testPostgres(); });
afterAll(() => server.stop());
beforeEach(async () => {
  url = await server.createDatabase();
  gateway = openGateway(url);
  client = new pg.Client({ connectionString: url });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await gateway.close();
});

function entry(n: number, over: Partial<AuditEntry> = {}): AuditEntry {
  return { at: 1_700_000_000_123 + n, principal: 'user:a', operation: 'createTask', outcome: 'DONE', code: 'OK', resource: 'tasks', resourceId: `t${n}`, requestId: `r${n}`, details: { name: 'x', n: 1.5, list: ['ä'] }, ...over };
}

/** As every caller does: a transaction that found no connection in time has not begun, and is asked for again. */
async function append(...entries: AuditEntry[]): Promise<void> {
  for (;;) {
    try {
      await gateway.transaction((tx) => appendAudit(tx, entries));
      return;
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
    }
  }
}
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

test('what was written verifies, whoever wrote at the same time', async () => {
  expect(await verifyAudit(url)).toEqual({ rows: 0, head: undefined, broken: [] });
  await Promise.all(Array.from({ length: 40 }, (_, n) => append(entry(n))));
  await append(entry(41), entry(42, { principal: 'nul\0 and \ud800', details: undefined, resource: undefined, projectId: '00000000-0000-7000-8000-000000000001' }));
  expect(await verifyAudit(url)).toMatchObject({ rows: 42, head: { seq: 42n }, broken: [] });
});

test('a transaction that fails leaves no entry and no hole', async () => {
  await append(entry(1));
  await expect(gateway.transaction(async (tx) => {
    await appendAudit(tx, [entry(2)]);
    throw new Error('no');
  })).rejects.toThrow('no');
  await append(entry(3));
  expect(await verifyAudit(url)).toMatchObject({ rows: 2, broken: [] });
});

describe('names what somebody did to it', () => {
  beforeEach(async () => { for (let n = 1; n <= 5; n++) await append(entry(n)); });
  test.each([
    ['principal', `principal = 'user:b'`], ['operation', `operation = 'get'`], ['outcome', `outcome = 'REFUSED'`], ['code', `code = 'FORBIDDEN'`], ['resource', 'resource = NULL'],
    ['resource id', `resource_id = 't9'`], ['project', `project_id = gen_random_uuid()`], ['request', `request_id = 'r9'`], ['details', `details = '{"name":"y"}'`], ['no details', 'details = NULL'],
    ['time', `at = at + interval '1 ms'`], ['a microsecond', `at = at + interval '1 microsecond'`], ['hash', `hash = decode(repeat('00', 32), 'hex')`],
  ])('%s', async (_, change) => {
    await client.query(`UPDATE audit SET ${change} WHERE seq = 3`);
    expect((await verifyAudit(url)).broken[0]).toEqual({ seq: 3n, kind: 'Changed' });
  });
  test('a row taken out of the middle', async () => {
    await client.query('DELETE FROM audit WHERE seq = 3');
    expect((await verifyAudit(url)).broken).toEqual([{ seq: 3n, kind: 'Missing' }]);
  });
  test('a row taken out and the rest moved up', async () => {
    await client.query('DELETE FROM audit WHERE seq = 3');
    await client.query('UPDATE audit SET seq = seq - 1 WHERE seq > 3');
    expect((await verifyAudit(url)).broken[0]).toEqual({ seq: 3n, kind: 'Unlinked' });
  });
  test('rows cut off the end, by a head that was written down', async () => {
    const { head } = await verifyAudit(url);
    await client.query('DELETE FROM audit WHERE seq > 3');
    expect(await verifyAudit(url)).toMatchObject({ broken: [] });
    expect(await verifyAudit(url, head)).toMatchObject({ broken: [{ seq: 4n, kind: 'Missing' }] });
    await append(entry(6), entry(7), entry(8));
    expect(await verifyAudit(url, head)).toMatchObject({ broken: [{ seq: 5n, kind: 'Changed' }] });
  });
});

describe('rambo audit verify', () => {
  async function rambo(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const seen = { code: 0, out: '', err: '' };
    await run({ clock: systemClock, print: (text) => { seen.out += text; }, say: (line) => { seen.err += `${line}\n`; }, exit: (code) => { seen.code = code; } }, { version: 't', unique: 'u' }, ['audit', 'verify', '--database-url', url, ...args]);
    return seen;
  }
  test('prints the head, and names what was changed', async () => {
    for (let n = 1; n <= 3; n++) await append(entry(n));
    const whole = await rambo();
    expect(whole).toMatchObject({ code: 0, err: '3 rows, unbroken\n', out: expect.stringMatching(/^3:[0-9a-f]{64}\n$/) });
    expect(await rambo('--expect', whole.out.trim())).toMatchObject({ code: 0 });
    await client.query('DELETE FROM audit WHERE seq = 3');
    expect(await rambo('--expect', whole.out.trim())).toMatchObject({ code: 1, out: '', err: expect.stringContaining('row 3 is missing') });
    await client.query(`UPDATE audit SET principal = 'user:b' WHERE seq = 2`);
    expect(await rambo()).toMatchObject({ code: 1, out: '', err: expect.stringContaining('row 2 is not what was written') });
  });
  test.each([['x'], ['1'], ['0:00'], ['1:zz']])('a head that is none (%s) is a usage error', async (head) => { expect((await rambo('--expect', head)).code).toBe(2); });
});

test('a flood of refused attempts is few transactions', async () => {
  let transactions = 0;
  const queue = new AuditQueue({ transaction: (work) => {
    transactions++;
    return gateway.transaction(work);
  } }, log);
  await Promise.all(Array.from({ length: 500 }, (_, n) => queue.add(entry(n, { outcome: 'REFUSED', code: 'FORBIDDEN' }))));
  expect(await verifyAudit(url)).toMatchObject({ rows: 500, broken: [] });
  expect(transactions).toBeLessThanOrEqual(4);
});

test('an entry that cannot be written is logged and holds nobody up', async () => {
  const lines: unknown[] = [];
  const queue = new AuditQueue({ transaction: () => Promise.reject(new Error('away')) }, { ...log, error: (fields) => { lines.push(fields); } });
  await queue.add(entry(1, { outcome: 'REFUSED', code: 'FORBIDDEN' }));
  expect(lines).toEqual([expect.objectContaining({ principal: 'user:a', op: 'createTask', outcome: 'REFUSED', requestId: 'r1' })]);
});
