import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { RamboError, UnavailableError } from '../../../platform/errors/index.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import { type Gateway, MissingRowError, openGateway, UniqueError } from '../../../prisma/gateway/index.ts';
import { RowError } from '../../../prisma/store/index.ts';
import { type TestServer, testPostgres } from '../../harness/postgres.ts';

let server: TestServer;
let gateway: Gateway;
let url: string;

beforeAll(async () => {
  server = await testPostgres();
  url = await server.createDatabase();
  gateway = openGateway(url);
});
afterAll(async () => {
  await gateway.close();
  await server.stop();
});

function user(email: string) {
  const at = new Date(1_700_000_000_000);
  return { id: systemIds.uuid(), email, role: 'VIEWER', createdAt: at, updatedAt: at };
}

test('a transaction commits all or nothing', async () => {
  const kept = user('kept@example.com');
  await gateway.transaction((tx) => tx.user.create({ data: kept }));
  const lost = user('lost@example.com');
  await expect(gateway.transaction(async (tx) => {
    await tx.user.create({ data: lost });
    throw new RamboError('Mine', 'thought better of it');
  })).rejects.toMatchObject({ code: 'Mine' });
  const found = await gateway.read((db) => db.user.findMany({ where: { id: { in: [kept.id, lost.id] } } }));
  expect(found.map((row) => [row.id, row.createdAt.getTime()])).toEqual([[kept.id, 1_700_000_000_000]]);
});

test('what is there already is a UniqueError that names the index', async () => {
  await gateway.transaction((tx) => tx.user.create({ data: user('twice@example.com') }));
  const again = await gateway.transaction((tx) => tx.user.create({ data: user('twice@example.com') })).catch((error: unknown) => error);
  expect(again).toBeInstanceOf(UniqueError);
  expect(again).toMatchObject({ constraint: 'app_user_email_key' });
});

test('what is not there is a MissingRowError', async () => {
  await expect(gateway.transaction((tx) => tx.user.update({ where: { id: systemIds.uuid() }, data: { role: 'ADMIN' } }))).rejects.toBeInstanceOf(MissingRowError);
  await expect(gateway.transaction((tx) => tx.accessToken.create({
    data: { id: systemIds.uuid(), userId: systemIds.uuid(), name: 'x', hash: new Uint8Array(32), scopes: [], expiresAt: new Date(), createdAt: new Date() },
  }))).rejects.toBeInstanceOf(MissingRowError);
});

test('what Postgres cannot store is a RowError', async () => {
  await expect(gateway.transaction((tx) => tx.user.create({ data: user('nul\0@example.com') }))).rejects.toBeInstanceOf(RowError);
  await expect(gateway.transaction((tx) => tx.user.create({ data: { ...user('role@example.com'), id: 'no uuid' } }))).rejects.toBeInstanceOf(RowError);
});

test('an undefined never drops a filter', async () => {
  const nothing: { readonly email?: string } = {};
  const where = Object.assign({}, { email: nothing.email });
  await expect(gateway.read((db) => db.user.findMany(JSON.parse('{"where":{}}') && { where }))).rejects.toMatchObject({ code: 'Bug' });
});

test('a Postgres that takes the connection and never says a word is away, not a fault of ours', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const sockets: Socket[] = [];
  silent.on('connection', (socket) => { sockets.push(socket); });
  const address = silent.address();
  const waiting = openGateway(`postgresql://nobody@127.0.0.1:${typeof address === 'object' ? address?.port ?? 0 : 0}/nothing`);
  try {
    await expect(waiting.read((db) => db.user.count())).rejects.toBeInstanceOf(UnavailableError);
    expect(sockets).not.toEqual([]);
  } finally {
    for (const socket of sockets) socket.destroy();
    silent.close();
    await waiting.close();
  }
});

test('a statement that takes too long is ended, and the next one works', async () => {
  const impatient = openGateway(url, { statementTimeoutMs: 200 });
  await expect(impatient.read((db) => db.$queryRaw`SELECT pg_sleep(10)::text`)).rejects.toBeInstanceOf(UnavailableError);
  await expect(impatient.read((db) => db.user.count())).resolves.toBeGreaterThan(0);
  await impatient.close();
});

test('a database that is away is an UnavailableError', async () => {
  const away = openGateway('postgresql://nobody:nothing@127.0.0.1:1/none');
  await expect(away.read((db) => db.user.count())).rejects.toBeInstanceOf(UnavailableError);
  await expect(away.transaction((tx) => tx.user.count())).rejects.toBeInstanceOf(UnavailableError);
  await away.close();
});
