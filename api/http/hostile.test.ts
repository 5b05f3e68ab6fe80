import { request as httpRequest } from 'node:http';
import { runRow, uuid } from '../testing/rows.ts';
import { startTestApi, World } from '../testing/world.ts';
import type { Answer, TestApi } from '../testing/world.ts';

/* Inputs of reliability.md 4.2 and 4.3 against the real server over real HTTP: refused before anything is executed. */

let world: World;
let api: TestApi;
const RUN = uuid(1);
const JSON_HEADERS = { authorization: 'Bearer alice', 'content-type': 'application/json' };

beforeAll(async () => {
  world = new World();
  world.grantAll('alice', 'team-a');
  world.runs.set(RUN, runRow(RUN));
  api = await startTestApi(world, { corsOrigins: ['https://console.example'] });
});
afterAll(() => api.server.stop(100));
beforeEach(() => {
  world.reads.length = 0;
  world.commands.length = 0;
});

const MUTATION = `mutation { cancelRun(id: "${RUN}") { __typename } }`;
const post = (body: string, headers: Record<string, string> = {}): Promise<Answer> => api.send({ method: 'POST', headers: { ...JSON_HEADERS, ...headers }, body });
const times = (n: number, text: (i: number) => string): string => Array.from({ length: n }, (_, i) => text(i)).join(' ');

function expectRefused(answer: Answer, status: number, code: string): void {
  expect({ status: answer.status, code: answer.body.errors?.[0]?.extensions?.['code'] }).toEqual({ status, code });
  expect(world.reads).toEqual([]);
  expect(world.commands).toEqual([]);
}

describe('no token, no answer', () => {
  test.each([
    ['no header', {}],
    ['a token nobody knows', { authorization: 'Bearer nothing' }],
    ['another scheme', { authorization: 'Basic YWxpY2U6' }],
    ['two tokens in one', { authorization: 'Bearer alice, Bearer alice' }],
    ['a name from a proxy', { 'x-user-id': 'alice', 'x-forwarded-user': 'alice', 'x-remote-user': 'alice' }],
    ['a cookie', { cookie: 'authorization=Bearer alice' }],
  ])('%s', async (_, headers) => {
    const answer = await api.send({ method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query: MUTATION }) });
    expectRefused(answer, 401, 'UNAUTHENTICATED');
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
  });

  test('a token in the query', async () => {
    expectRefused(await api.send({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: MUTATION }) }, '?access_token=alice&token=alice'), 401, 'UNAUTHENTICATED');
  });

  test('two headers', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest(api.url, { method: 'POST', headers: ['authorization', 'Bearer alice', 'authorization', 'Bearer bob', 'content-type', 'application/json', 'host', 'x'] }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on('error', reject);
      request.end('{}');
    });
    expect(status).toBe(401);
  });

  test('says so before it looks at the body', async () => {
    const answer = await api.send({ method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x'.repeat(1_000_000) });
    expectRefused(answer, 401, 'UNAUTHENTICATED');
  });

  test('nobody can tell: 503, not 200 and not 401', async () => {
    const other = new World();
    other.apiServerAway = true;
    const closed = await startTestApi(other);
    const answer = await closed.query('{ __typename }');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('2');
    expect(answer.body.errors?.[0]?.extensions).toMatchObject({ code: 'UNAVAILABLE' });
    await closed.server.stop(100);
  });
});

describe('only POST and only JSON', () => {
  test.each([['GET'], ['HEAD'], ['PUT'], ['DELETE']])('%s', async (method) => {
    const answer = await api.send({ method, headers: JSON_HEADERS }, `?query=${encodeURIComponent(MUTATION)}`);
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('POST');
    expect(world.commands).toEqual([]);
  });
  test('a subscription by GET', async () => {
    const answer = await api.send({ headers: { ...JSON_HEADERS, accept: 'text/event-stream' } }, `?query=${encodeURIComponent(`subscription { runChanged(id: "${RUN}") { id } }`)}`);
    expect(answer.status).toBe(405);
  });
  test.each([
    ['application/x-www-form-urlencoded', `query=${encodeURIComponent(MUTATION)}`],
    ['text/plain', JSON.stringify({ query: MUTATION })],
    ['application/graphql', MUTATION],
    ['application/graphql+json', JSON.stringify({ query: MUTATION })],
    ['application/json; charset=utf-16', JSON.stringify({ query: MUTATION })],
    ['multipart/form-data; boundary=x', `--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n${JSON.stringify({ query: MUTATION })}\r\n--x\r\nContent-Disposition: form-data; name="map"\r\n\r\n{"0":["__proto__.polluted"]}\r\n--x\r\nContent-Disposition: form-data; name="0"\r\n\r\nyes\r\n--x--\r\n`],
  ])('a mutation as %s', async (type, body) => {
    expectRefused(await post(body, { 'content-type': type }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
  test('a compressed body', async () => { expectRefused(await post('x', { 'content-encoding': 'gzip' }), 415, 'UNSUPPORTED_MEDIA_TYPE'); });
});

describe('bodies', () => {
  test.each([
    ['a batch of 20', JSON.stringify(Array(20).fill({ query: '{ __typename }' }))],
    ['no JSON', '{"query":'],
    ['nothing', ''],
    ['an empty object', '{}'],
    ['null', 'null'],
    ['a string', '"{ __typename }"'],
    ['a query that is a list', '{"query":["{ __typename }"]}'],
    ['variables that are a list', '{"query":"{ __typename }","variables":[1]}'],
    ['an unknown parameter', '{"query":"{ __typename }","id":"abc"}'],
    ['a stored document with another body', '{"query":"{ __typename }","extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}'],
    ['a stored document nobody stored', '{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}'],
    ['JSON of 100,000 levels', `{"query":"{ __typename }","variables":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`],
    ['JSON of 120 levels', `{"query":"{ __typename }","variables":{"a":${'['.repeat(120)}${']'.repeat(120)}}}`],
  ])('%s', async (_, body) => { expectRefused(await post(body), 400, 'BAD_REQUEST'); });

  test('5 MB with a length', async () => { expectRefused(await post(JSON.stringify({ query: '{ __typename }', variables: { a: 'x'.repeat(5_000_000) } })), 413, 'PAYLOAD_TOO_LARGE'); });

  test('5 MB in chunks without a length', async () => {
    const chunk = new TextEncoder().encode('x'.repeat(100_000));
    let left = 50;
    const body = new ReadableStream({ pull: (controller) => { if (left-- > 0) controller.enqueue(chunk); else controller.close(); } });
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', headers: JSON_HEADERS, body, duplex: 'half' };
    expectRefused(await api.send(init), 413, 'PAYLOAD_TOO_LARGE');
  });

  test('keys called __proto__ stay data', async () => {
    world.newRow = ({ runId }) => runRow(runId);
    const query = 'mutation($i: StartRunInput!) { startRun(input: $i) { __typename } }';
    await post(`{"query":"${query}","variables":{"__proto__":{"x":1},"i":{"namespace":"team-a","workflow":"w","input":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}}}`);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    expect(world.commands[0]).toMatchObject({ input: '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}' });
  });
});

describe('documents', () => {
  const deep = `${'{ run(id: "x") '.repeat(1)}{ nodes ${'{ edges { node { attempts { error '.repeat(20)} { reason } ${'} } } }'.repeat(20)} } }`;
  const run = `run(id: "${RUN}")`;
  test.each([
    ['depth 100', deep],
    ['20,000 aliases', `{ ${times(20_000, (i) => `a${i.toString(36)}:id`)} }`],
    ['60 aliases', `{ ${times(60, (i) => `a${i}: ${run} { id }`)} }`],
    ['10,000 directives', `{ ${run} ${'@skip(if: false) '.repeat(10_000)} { id } }`],
    ['a fragment fan-out', `{ ${run} { ...F0 } } ${times(20, (i) => `fragment F${i} on Run { ...F${i + 1} ...F${i + 1} }`)} fragment F20 on Run { id }`],
    ['1,000 operations', times(1_000, (i) => `query Q${i} { __typename }`)],
    ['a page of pages', '{ runs(namespace: "team-a", first: 100) { edges { node { nodes(first: 100) { edges { node { name } } } } } } }'],
  ])('%s', async (_, query) => {
    const begun = process.cpuUsage();
    const answer = await api.query(query);
    const { user, system } = process.cpuUsage(begun);
    expectRefused(answer, 400, 'QUERY_TOO_COMPLEX');
    expect((user + system) / 1_000).toBeLessThan(250); // client included; the promise is 50 ms of the server's
    expect(answer.body.errors?.[0]?.message).not.toMatch(/\d/);
  });

  test('a page size by variable costs like one in the text', async () => {
    const query = 'query($huge: Int) { runs(namespace: "team-a", first: $huge) { edges { node { nodes(first: $huge) { edges { node { name } } } } } } }';
    expectRefused(await api.query(query, { huge: 1_000_000 }), 400, 'QUERY_TOO_COMPLEX');
  });

  test.each([[1_000_000, 100], [-1, 1], [null, 20], [0, 1]])('a page of %p is cut to %d', async (first, read) => {
    const answer = await api.query('query($n: Int) { runs(namespace: "team-a", first: $n) { edges { cursor } } }', { n: first });
    expect(answer.status).toBe(200);
    expect(world.reads).toEqual([expect.stringContaining(`"first":${read}`)]);
  });

  test('a page of 1e308 is no Int', async () => {
    expectRefused(await api.query('query($n: Int) { runs(namespace: "team-a", first: $n) { edges { cursor } } }', { n: 1e308 }), 400, 'BAD_USER_INPUT');
  });

  test.each([
    ['a fragment cycle', '{ __typename ...A } fragment A on Query { __typename ...B } fragment B on Query { ...A }'],
    ['introspection', '{ __schema { types { name } } }'],
    ['introspection of one type', '{ __type(name: "Run") { name } }'],
    ['a misspelt field', `{ ${run} { nmae } }`],
    ['a misspelt argument', `{ run(ident: "${RUN}") { id } }`],
    ['a misspelt type', `{ ${run} { ... on Rum { id } } }`],
    ['a deferred fragment', `{ ${run} { ... @defer { id } } }`],
  ])('%s', async (_, query) => {
    const answer = await api.query(query);
    expectRefused(answer, 400, 'GRAPHQL_VALIDATION_FAILED');
    expect(answer.text).not.toMatch(/did you mean/i);
  });

  test('a misspelt enum value or input field in a variable: no suggestion', async () => {
    const phase = await api.query('query($p: RunPhase) { runs(namespace: "team-a", phase: $p) { edges { cursor } } }', { p: 'Runing' });
    const input = await api.query('mutation($i: StartRunInput!) { startRun(input: $i) { __typename } }', { i: { namespace: 'team-a', worklfow: 'w', ownerId: 'x' } });
    for (const answer of [phase, input]) {
      expectRefused(answer, 400, 'BAD_USER_INPUT');
      expect(answer.text).not.toMatch(/did you mean/i);
    }
  });

  test('a huge wrong value is not echoed', async () => {
    const answer = await api.query('query($n: Int) { runs(namespace: "team-a", first: $n) { edges { cursor } } }', { n: 'x'.repeat(100_000) });
    expect(answer.text.length).toBeLessThan(3_000);
  });

  test('no document at all, or one that does not parse', async () => {
    expectRefused(await api.query('{ run('), 400, 'GRAPHQL_PARSE_FAILED');
    expectRefused(await post(JSON.stringify({ query: 'query A { __typename }', operationName: 'B' })), 400, 'BAD_USER_INPUT');
  });
});

describe('answers', () => {
  test('an error of ours is masked, logged, and found by its id', async () => {
    world.beforeRead = () => Promise.reject(new Error('SELECT secret FROM run; password=hunter2'));
    const answer = await api.query(`{ run(id: "${RUN}") { id } }`);
    world.beforeRead = () => Promise.resolve();
    expect(answer.text).not.toMatch(/SELECT|hunter2|stack|\.ts/);
    expect(answer.body.data).toEqual({ run: null });
    const extensions = answer.body.errors?.[0]?.extensions;
    expect(extensions).toMatchObject({ code: 'INTERNAL' });
    expect(world.lines.filter(({ level }) => level === 'error').map(({ fields }) => fields['errorId'])).toContain(extensions?.['errorId']);
  });

  test('no request line holds a token, a variable or a document', async () => {
    await api.query('query Secret($v: String!) { workflow(namespace: "team-a", name: $v) { name } }', { v: 'canary-variable' });
    const lines = JSON.stringify(world.lines.filter(({ level }) => level === 'info'));
    expect(lines).not.toMatch(/Bearer|canary-variable|Secret/);
    expect(world.lines.at(-1)).toMatchObject({ message: 'request', fields: { op: 'workflow', type: 'query', code: 'OK', principal: 'alice', status: 200 } });
  });

  test('metrics know only names of the schema', async () => {
    world.counted.length = 0;
    await api.query('query Evil { evil: __typename }');
    await api.query(`query Mine { a: run(id: "${RUN}") { id } }`);
    await api.query('{ nope }');
    expect(world.counted).toEqual(['query multiple OK', 'query run OK', 'refused GRAPHQL_VALIDATION_FAILED']);
  });

  test('CORS: the listed origin and nobody else, never with credentials', async () => {
    const ask = (origin: string, method = 'POST'): Promise<Answer> => api.send({ method, headers: { ...JSON_HEADERS, origin }, ...(method === 'POST' ? { body: '{"query":"{ __typename }"}' } : {}) });
    const [listed, other, preflight, foreign] = await Promise.all([ask('https://console.example'), ask('https://evil.example'), ask('https://console.example', 'OPTIONS'), ask('https://evil.example', 'OPTIONS')]);
    expect(listed.headers.get('access-control-allow-origin')).toBe('https://console.example');
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(/authorization/);
    expect(foreign.headers.get('access-control-allow-headers')).toBeNull();
    for (const { headers } of [listed, other, preflight, foreign]) expect(headers.get('access-control-allow-credentials')).toBeNull();
  });

  test('other places: 404, nothing told', async () => {
    for (const path of ['/never-served', '/../health', 's']) expect((await api.send({ headers: JSON_HEADERS }, path)).status).toBe(404);
  });
});

describe('deadline', () => {
  test('an operation that hangs ends after its time, with a code', async () => {
    world.beforeRead = () => new Promise(() => undefined);
    const answer = api.query(`{ run(id: "${RUN}") { id } }`);
    while (world.reads.length === 0) await new Promise((resolve) => { setImmediate(resolve); });
    world.clock.advance(10_000);
    expect((await answer).body.errors?.[0]?.extensions).toMatchObject({ code: 'TIMEOUT' });
    expect((await answer).status).toBe(504);
    world.beforeRead = () => Promise.resolve();
  });

  test('over REST too', async () => {
    world.beforeRead = () => new Promise(() => undefined);
    const answer = fetch(new URL(`/api/v1/runs/${RUN}`, api.url), { headers: { authorization: 'Bearer alice' } });
    while (world.reads.length === 0) await new Promise((resolve) => { setImmediate(resolve); });
    world.clock.advance(10_000);
    const { status, headers } = await answer;
    expect([status, headers.get('content-type'), await (await answer).json()]).toEqual([504, 'application/problem+json; charset=utf-8', expect.objectContaining({ code: 'TIMEOUT' })]);
    world.beforeRead = () => Promise.resolve();
  });
});

test('with introspection on, the schema can be read and errors help', async () => {
  const open = await startTestApi(world, { introspection: true });
  const { getIntrospectionQuery } = await import('graphql');
  expect((await open.query(getIntrospectionQuery())).status).toBe(200);
  expect((await open.query(`{ run(id: "${RUN}") { nmae } }`)).text).toMatch(/Did you mean/);
  await open.server.stop(100);
});
