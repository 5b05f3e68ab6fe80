import { getIntrospectionQuery } from 'graphql';
import type { UserPrincipal, UserRole } from '../ports.ts';
import { uuid } from '../testing/rows.ts';
import { startTestApi, World } from '../testing/world.ts';
import type { TestApi } from '../testing/world.ts';

function user(n: number, role: UserRole): UserPrincipal {
  return { kind: 'user', name: `user:${uuid(n)}`, userId: uuid(n), role, emailVerified: true, signedInAt: 0, secondFactor: false, via: 'firebase', validUntil: Number.MAX_SAFE_INTEGER };
}

/* Who may read the schema where it is not open to everybody: administrators, asked about every time. */

let world: World;
let api: TestApi;
beforeEach(async () => {
  world = new World();
  world.users.set('root', user(1, 'ADMIN'));
  world.users.set('dev', user(2, 'DEVELOPER'));
  api = await startTestApi(world);
});
afterEach(() => api.server.stop(100));

const QUERY = '{ __schema { queryType { name } } }';

test('an administrator may', async () => { expect((await api.query(QUERY, {}, 'root')).body).toEqual({ data: { __schema: { queryType: { name: 'Query' } } } }); });
test('tools read all of it', async () => { expect((await api.query(getIntrospectionQuery(), {}, 'root')).body.errors).toBeUndefined(); });
test.each([['dev'], ['alice']])('%s may not, although the document was served to an administrator before', async (token) => {
  await api.query(QUERY, {}, 'root');
  const { status, body } = await api.query(QUERY, {}, token);
  expect([status, body.data, body.errors?.[0]?.extensions?.['code']]).toEqual([400, undefined, 'GRAPHQL_VALIDATION_FAILED']);
});
test('hidden in a fragment it is still seen', async () => {
  const { body } = await api.query('{ ...f } fragment f on Query { ...g } fragment g on Query { t: __type(name: "Run") { name } }', {}, 'dev');
  expect(body.errors?.[0]?.extensions?.['code']).toBe('GRAPHQL_VALIDATION_FAILED');
});
test('with the service of Kubernetes away nobody can tell', async () => {
  await api.query('{ __typename }', {}, 'alice');
  world.apiServerAway = true;
  expect((await api.query(QUERY, {}, 'alice')).body.errors?.[0]?.extensions?.['code']).toBe('UNAVAILABLE');
});
