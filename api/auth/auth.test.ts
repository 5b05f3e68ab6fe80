import { ManualClock } from '../../platform/clock/manual.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { ApiError } from '../errors.ts';
import type { ApiMetrics, Authorizer, KubePrincipal, Principal } from '../ports.ts';
import { bearerToken } from './bearer.ts';
import { createCan, demand } from './can.ts';
import { ExpiringCache } from './expiring-cache.ts';
import { ACCESS_TTL_MS, BAD_TOKEN_TTL_MS, cachedAuthenticator, cachedAuthorizer, NO_ACCESS_TTL_MS, TOKEN_TTL_MS } from './reviews.ts';

const alice: KubePrincipal = { kind: 'kubernetes', name: 'alice', groups: ['dev'] };
const target = { kind: 'namespace', resource: 'workflowruns', namespace: 'team-a' } as const;

function metrics(): ApiMetrics & { readonly seen: string[] } {
  const seen: string[] = [];
  return { seen, operation: () => undefined, refused: () => undefined, answer: () => undefined, swept: () => undefined, streams: () => undefined, signIn: () => undefined, review: (kind, result) => { seen.push(`${kind} ${result}`); } };
}

describe('bearerToken', () => {
  test('one well-formed header', () => {
    expect(bearerToken(['Bearer abc.DEF-1_2~3/4+5=='])).toBe('abc.DEF-1_2~3/4+5==');
    expect(bearerToken(['bearer abc'])).toBe('abc');
  });
  test.each([[undefined], [[]], [['Bearer ']], [['Bearer']], [['Basic abc']], [['Bearer a b']], [['Bearer a, Bearer b']], [['Bearer a', 'Bearer a']], [['Bearer ä']], [[`Bearer ${'a'.repeat(20_000)}`]]])(
    'anything else is none: %#', (headers) => { expect(bearerToken(headers)).toBeUndefined(); },
  );
});

describe('cachedAuthenticator', () => {
  function setUp() {
    const clock = new ManualClock();
    const world = { answer: (_token: string): Promise<Principal | undefined> => Promise.resolve(alice), asked: 0 };
    const counts = metrics();
    const cached = cachedAuthenticator({ authenticate: (token) => { world.asked += 1; return world.answer(token); } }, clock, counts);
    return { clock, world, cached, counts };
  }

  test('believes a valid token for its time and no longer', async () => {
    const { clock, world, cached, counts } = setUp();
    expect(await cached.authenticate('t')).toBe(alice);
    clock.advance(TOKEN_TTL_MS - 1);
    expect(await cached.authenticate('t')).toBe(alice);
    expect(world.asked).toBe(1);
    world.answer = () => Promise.resolve(undefined);
    clock.advance(1);
    expect(await cached.authenticate('t')).toBeUndefined();
    expect(counts.seen).toEqual(['token allowed', 'token cached', 'token denied']);
  });

  test('remembers an invalid token shortly', async () => {
    const { clock, world, cached } = setUp();
    world.answer = () => Promise.resolve(undefined);
    await cached.authenticate('t');
    expect(await cached.authenticate('t')).toBeUndefined();
    expect(world.asked).toBe(1);
    clock.advance(BAD_TOKEN_TTL_MS);
    world.answer = () => Promise.resolve(alice);
    expect(await cached.authenticate('t')).toBe(alice);
  });

  test('never takes one token for another', async () => {
    const { world, cached } = setUp();
    world.answer = (token) => Promise.resolve({ kind: 'kubernetes', name: token, groups: [] });
    expect((await cached.authenticate('a'))?.name).toBe('a');
    expect((await cached.authenticate('b'))?.name).toBe('b');
  });

  test('is closed when the API server is away, but for what it remembers', async () => {
    const { clock, world, cached } = setUp();
    await cached.authenticate('known');
    world.answer = () => Promise.reject(new UnavailableError('api server'));
    expect(await cached.authenticate('known')).toBe(alice);
    await expect(cached.authenticate('new')).rejects.toBeInstanceOf(UnavailableError);
    clock.advance(TOKEN_TTL_MS);
    await expect(cached.authenticate('known')).rejects.toBeInstanceOf(UnavailableError);
    world.answer = () => Promise.resolve(alice);
    expect(await cached.authenticate('new')).toBe(alice); // a failure is not remembered
  });

  test('asks once for a burst', async () => {
    const { world, cached } = setUp();
    await Promise.all(Array.from({ length: 50 }, () => cached.authenticate('t')));
    expect(world.asked).toBe(1);
  });
});

describe('cachedAuthorizer', () => {
  test('remembers by everything asked about', async () => {
    const clock = new ManualClock();
    const asked: string[] = [];
    const cached = cachedAuthorizer({ allowed: (principal, verb, { resource, namespace = '' }) => {
      asked.push(`${principal.name} ${principal.groups.join()} ${verb} ${resource} ${namespace}`);
      return Promise.resolve(namespace === 'team-a');
    } }, clock, metrics());
    for (let i = 0; i < 2; i++) {
      expect(await cached.allowed(alice, 'get', target)).toBe(true);
      expect(await cached.allowed(alice, 'patch', target)).toBe(true);
      expect(await cached.allowed(alice, 'get', { ...target, namespace: 'team-b' })).toBe(false);
      expect(await cached.allowed(alice, 'get', { ...target, resource: 'workflows' })).toBe(true);
      expect(await cached.allowed({ kind: 'kubernetes', name: 'alice', groups: [] }, 'get', target)).toBe(true);
      // delimiters inside a name make no other key
      expect(await cached.allowed({ kind: 'kubernetes', name: 'alice","x', groups: ['dev'] }, 'get', target)).toBe(true);
    }
    expect(asked).toHaveLength(6);
    clock.advance(NO_ACCESS_TTL_MS);
    await cached.allowed(alice, 'get', { ...target, namespace: 'team-b' });
    expect(asked).toHaveLength(7);
    clock.advance(ACCESS_TTL_MS);
    await cached.allowed(alice, 'get', target);
    expect(asked).toHaveLength(8);
  });
});

function kubeCan(authorizer: Authorizer) {
  const nowhere = () => Promise.resolve(undefined);
  return createCan({ authorizer, places: { byProject: nowhere, byNamespace: nowhere }, standing: { standing: nowhere }, clock: new ManualClock() });
}

describe('can', () => {
  const yes = kubeCan({ allowed: () => Promise.resolve(true) });

  test('says what the authorizer says', async () => {
    expect(await yes(alice, 'get', target)).toBe(true);
    expect(await kubeCan({ allowed: () => Promise.resolve(false) })(alice, 'get', target)).toBe(false);
  });
  test.each([[''], ['a/b'], ['a\0'], ['A'], ['*'], ['x'.repeat(64)]])('denies a namespace that cannot be: %j', async (namespace) => {
    expect(await yes(alice, 'get', { ...target, namespace })).toBe(false);
  });
  test('denies nobody', async () => { expect(await yes({ kind: 'kubernetes', name: '', groups: ['system:masters'] }, 'get', target)).toBe(false); });
  test('demand throws FORBIDDEN, and passes on that nobody can tell', async () => {
    await expect(demand(kubeCan({ allowed: () => Promise.resolve(false) }), alice, 'list', target)).rejects.toMatchObject({ publicCode: 'FORBIDDEN' });
    await expect(demand(kubeCan({ allowed: () => Promise.resolve(false) }), alice, 'list', target)).rejects.toBeInstanceOf(ApiError);
    await expect(demand(kubeCan({ allowed: () => Promise.reject(new UnavailableError('x')) }), alice, 'list', target)).rejects.toBeInstanceOf(UnavailableError);
  });
});

test('the cache holds no more than it may and forgets the oldest', () => {
  const cache = new ExpiringCache<number>(new ManualClock(), 3);
  for (let i = 0; i < 10; i++) cache.set(`k${i}`, i, 1_000);
  expect(cache.size).toBe(3);
  expect(cache.get('k6')).toBeUndefined();
  expect(cache.get('k9')?.value).toBe(9);
});
