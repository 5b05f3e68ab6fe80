import { createHash } from 'node:crypto';
import { runRow, uuid } from '../testing/rows.ts';
import { startTestApi, World } from '../testing/world.ts';
import type { Answer, TestApi } from '../testing/world.ts';
import { readManifest } from './trusted-documents.ts';

const RUN = uuid(1);
const QUERY = 'query($id: ID!) { run(id: $id) { phase } }';
const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const MANIFEST = JSON.stringify({ [sha(QUERY)]: QUERY });

describe('a manifest', () => {
  test('is read', () => { expect(readManifest(MANIFEST, false).size).toBe(1); });
  test.each([['no JSON', '{'], ['a list', '[]'], ['no hash', '{"a":"{ x }"}'], ['no text', `{"${sha('a')}":7}`], ['an empty document', `{"${sha('')}":""}`], ['another text', `{"${sha('a')}":"b"}`]])('%s is refused by name', (_, text) => {
    expect(() => readManifest(text, false)).toThrow(/RAMBO_GRAPHQL_DOCUMENTS_FILE/);
  });
});

describe.each([['beside others', false], ['alone', true]])('stored documents %s', (_, only) => {
  let api: TestApi;
  beforeEach(async () => {
    const world = new World();
    world.grantAll('alice', 'team-a');
    world.runs.set(RUN, runRow(RUN));
    api = await startTestApi(world, { documents: readManifest(MANIFEST, only) });
  });
  afterEach(() => api.server.stop(100));

  const send = (body: object): Promise<Answer> => api.send({ method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer alice' }, body: JSON.stringify({ variables: { id: RUN }, ...body }) });
  const persisted = (sha256Hash: unknown, version: unknown = 1): object => ({ extensions: { persistedQuery: { version, sha256Hash } } });

  test('by the hash', async () => { expect((await send(persisted(sha(QUERY)))).body).toEqual({ data: { run: { phase: 'Running' } } }); });
  test('by the hash and the text', async () => { expect((await send({ query: QUERY, ...persisted(sha(QUERY)) })).status).toBe(200); });
  test('by the text', async () => { expect((await send({ query: QUERY })).status).toBe(200); });
  test('the hash with another body', async () => {
    const { status, body } = await send({ query: '{ __typename }', ...persisted(sha(QUERY)) });
    expect([status, body.errors?.[0]?.extensions?.['code']]).toEqual([400, 'BAD_REQUEST']);
  });
  test.each([[sha('{ __typename }'), 404, 'UNKNOWN_DOCUMENT'], ['', 400, 'BAD_REQUEST'], [null, 400, 'BAD_REQUEST'], ['__proto__', 400, 'BAD_REQUEST'], [sha(QUERY).toUpperCase(), 400, 'BAD_REQUEST']])('a hash %j', async (hash, status, code) => {
    const answer = await send(persisted(hash));
    expect([answer.status, answer.body.errors?.[0]?.extensions?.['code']]).toEqual([status, code]);
  });
  test('asking registers nothing', async () => {
    const query = '{ __typename }';
    await send({ query, ...persisted(sha(query)) });
    expect((await send(persisted(sha(query)))).status).toBe(404);
  });
  test('neither text nor hash', async () => { expect((await send({})).status).toBe(400); });
  test('any other text', async () => { expect((await send({ query: '{ __typename }', variables: {} })).status).toBe(only ? 404 : 200); });
});
