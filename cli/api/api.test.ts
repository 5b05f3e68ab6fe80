import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import fc from 'fast-check';
import { call, everyItem, requestOf, type Door } from './call.ts';
import { tableOf } from './table.ts';
import { flagOf, placeholderOf, valueOf } from './values.ts';
import { readVerbs, type Verb, type VerbField } from './verbs.ts';

const DOCUMENT = {
  openapi: '3.1.0', servers: [{ url: '/api/v1' }],
  paths: {
    '/projects/{projectId}/tasks': {
      get: {
        operationId: 'tasks', summary: 'Tasks of a project.', tags: ['tasks'],
        parameters: [
          { name: 'projectId', in: 'path', required: true, schema: { type: 'string' } },
          { name: 'first', in: 'query', schema: { type: 'integer' } }, { name: 'after', in: 'query', schema: { type: 'string' } },
          { name: 'status', in: 'query', schema: { type: 'array', items: { type: 'string', enum: ['TO_DO', 'DONE'] } } },
        ],
        responses: { 200: { content: { 'application/json': { schema: { type: 'object', properties: { items: {}, nextCursor: {} } } } } } },
      },
      post: {
        operationId: 'createTask', summary: 'Makes a task.', tags: ['tasks'],
        parameters: [{ name: 'projectId', in: 'path', required: true, schema: { type: 'string' } }, { name: 'Idempotency-Key', in: 'header', schema: { type: 'string' } }],
        requestBody: { content: { 'application/json': { schema: { type: 'object', required: ['title'], properties: {
          title: { type: 'string', description: 'What to do.' }, progress: { type: 'integer' }, isMilestone: { type: 'boolean' }, metadata: {}, parentId: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        } } } } },
        responses: { 201: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Task' } } } } },
      },
    },
  },
};
const { base, verbs } = readVerbs(DOCUMENT);
const verb = (name: string): Verb => {
  const found = verbs.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
};
const field = (name: string, of = 'createTask'): VerbField => {
  const found = verb(of).fields.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
};

describe('verbs', () => {
  test('come with their fields and where those go', () => {
    expect(base).toBe('/api/v1');
    expect(verbs.map(({ name, method, pages }) => [name, method, pages])).toEqual([['createTask', 'POST', false], ['tasks', 'GET', true]]);
    expect(verb('createTask').fields.map(({ name, in: place, required }) => `${name} ${place} ${required}`)).toEqual([
      'projectId path true', 'Idempotency-Key header false', 'title body true', 'progress body false', 'isMilestone body false', 'metadata body false', 'parentId body false',
    ]);
  });
  test.each([[{}], [null], [{ ...DOCUMENT, servers: [] }]])('%j is no document', (document) => { expect(() => readVerbs(document)).toThrow(); });
});

describe('values', () => {
  const noFile = (): string => { throw new Error('read'); };
  test.each([['projectId', '--project-id'], ['isMilestone', '--is-milestone'], ['Idempotency-Key', '--idempotency-key'], ['first', '--first']])('%s is %s', (name, flag) => { expect(flagOf(name)).toBe(flag); });
  test.each([['title', '<text>'], ['progress', '<number>'], ['isMilestone', '<true|false>'], ['metadata', '<json>'], ['parentId', '<text>']])('the help shows %s as %s', (name, text) => {
    expect(placeholderOf(field(name).schema)).toBe(text);
  });
  test('a list of words', () => { expect(placeholderOf(field('status', 'tasks').schema)).toBe('<TO_DO|DONE...>'); });
  test.each([
    ['title', ['12'], '12'], ['title', ['null'], 'null'], ['progress', ['12'], 12], ['isMilestone', ['true'], true], ['metadata', ['{"a":[1]}'], { a: [1] }], ['metadata', ['"text"'], 'text'],
    ['parentId', ['null'], null], ['parentId', ['x'], 'x'],
  ])('%s from %j is %j', (name, texts, value) => { expect(valueOf(field(name), texts, noFile)).toEqual(value); });
  test('a list from several', () => { expect(valueOf(field('status', 'tasks'), ['TO_DO', 'DONE'], noFile)).toEqual(['TO_DO', 'DONE']); });
  test('from a file', () => { expect(valueOf(field('title'), ['@notes.txt'], (file) => `text of ${file}`)).toBe('text of notes.txt'); });
  test.each([
    ['progress', ['many'], /--progress: "many" is not a number/], ['progress', [''], /is not a number/], ['isMilestone', ['yes'], /--is-milestone.*true or false/], ['metadata', ['{'], /--metadata.*JSON/],
    ['title', ['a', 'b'], /--title is given 2 times/],
  ])('%s from %j says what is wrong', (name, texts, message) => { expect(() => valueOf(field(name), texts, noFile)).toThrow(message); });
  test('a word that is none of the list', () => { expect(() => valueOf(field('status', 'tasks'), ['LATER'], noFile)).toThrow(/one of TO_DO, DONE/); });
});

describe('requests', () => {
  test('path, query, header and body each get theirs', () => {
    const values = new Map<string, unknown>([['projectId', 'a/b'], ['title', 'x'], ['Idempotency-Key', 'k']]);
    expect(requestOf(base, verb('createTask'), values)).toEqual({
      method: 'POST', path: '/api/v1/projects/a%2Fb/tasks', headers: { 'idempotency-key': 'k', 'content-type': 'application/json' }, body: '{"title":"x"}',
    });
    expect(requestOf(base, verb('tasks'), new Map<string, unknown>([['projectId', 'p'], ['status', ['TO_DO', 'DONE']], ['first', 5]])).path).toBe('/api/v1/projects/p/tasks?first=5&status=TO_DO&status=DONE');
  });
  test('all that is missing is named at once', () => { expect(() => requestOf(base, verb('createTask'), new Map())).toThrow('createTask needs --project-id, --title'); });
  test('whatever stands in a path stays one segment', () => {
    fc.assert(fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (id) => {
      fc.pre(id !== '.' && id !== '..');
      const { path } = requestOf(base, verb('tasks'), new Map([['projectId', id]]));
      expect(new URL(path, 'http://h').pathname.split('/')).toHaveLength(6);
    }));
  });
  test.each([['.'], ['..']])('%j is no id: it would be another path', (id) => { expect(() => requestOf(base, verb('tasks'), new Map([['projectId', id]]))).toThrow('--project-id'); });
});

describe('calls', () => {
  let server: Server;
  let door: Door;
  let answers: { readonly status: number; readonly body?: unknown; readonly html?: string; readonly headers?: Readonly<Record<string, string>> }[];
  let seen: { readonly url: string; readonly headers: IncomingHttpHeaders }[];
  const pauses: number[] = [];
  const pause = (ms: number): Promise<void> => {
    pauses.push(ms);
    return Promise.resolve();
  };
  beforeAll(async () => {
    server = createServer((request, response) => {
      seen.push({ url: request.url ?? '', headers: request.headers });
      const answer = answers.shift() ?? { status: 500 };
      response.writeHead(answer.status, answer.headers).end(answer.html ?? (answer.body === undefined ? '' : JSON.stringify(answer.body)));
    });
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' ? address?.port ?? 0 : 0);
      });
    });
    door = { url: `http://127.0.0.1:${port}/`, token: 'tok' };
  });
  beforeEach(() => {
    answers = [];
    seen = [];
    pauses.length = 0;
  });
  afterAll(async () => { await new Promise((resolve) => { server.close(resolve); }); });

  const get = requestOf(base, verb('tasks'), new Map([['projectId', 'p']]));
  const post = (key?: string) => requestOf(base, verb('createTask'), new Map([['projectId', 'p'], ['title', 'x'], ...(key === undefined ? [] : [['Idempotency-Key', key] as const])]));

  test('the token goes along, the answer comes back', async () => {
    answers.push({ status: 200, body: { id: 1 } });
    expect(await call(door, get, pause)).toEqual({ id: 1 });
    expect(seen[0]).toMatchObject({ url: '/api/v1/projects/p/tasks', headers: { authorization: 'Bearer tok' } });
  });
  test('nothing is an answer too', async () => {
    answers.push({ status: 204 });
    expect(await call(door, get, pause)).toBeUndefined();
  });
  test('an error of the API keeps its code and names flags', async () => {
    answers.push({ status: 400, body: { code: 'BAD_USER_INPUT', detail: 'the input is wrong', errors: [{ field: 'durationDays', message: 'is negative' }] } });
    await expect(call(door, get, pause)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', message: 'BAD_USER_INPUT: the input is wrong\n  --duration-days is negative' });
  });
  test('what passes is tried again, after the time the API asks for', async () => {
    answers.push({ status: 429, headers: { 'retry-after': '3' } }, { status: 503 }, { status: 200, body: 1 });
    expect(await call(door, get, pause)).toBe(1);
    expect(pauses).toEqual([3_000, 2_000]);
  });
  test('a change is repeated with its key only', async () => {
    answers.push({ status: 503, body: { code: 'UNAVAILABLE', detail: 'away' } });
    await expect(call(door, post(), pause)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    answers.push({ status: 503 }, { status: 201, body: 2 });
    expect(await call(door, post('k'), pause)).toBe(2);
    expect(seen.at(-1)?.headers['idempotency-key']).toBe('k');
  });
  test('it does not try for ever', async () => {
    answers.push(...Array.from({ length: 9 }, () => ({ status: 503, body: { code: 'UNAVAILABLE', detail: 'away' } })));
    await expect(call(door, get, pause)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(seen).toHaveLength(5);
  });
  test.each([[200], [404], [502]])('%d and a page of HTML: the address is wrong', async (status) => {
    answers.push(...Array.from({ length: 5 }, () => ({ status, html: '<html>' })));
    await expect(call(door, get, pause)).rejects.toMatchObject({ code: 'BadAnswer', message: expect.stringContaining('RAMBO_API_URL') });
  });
  test('a redirect never takes the token elsewhere', async () => {
    answers.push({ status: 302, headers: { location: 'http://127.0.0.1:1/' } });
    await expect(call(door, post(), pause)).rejects.toMatchObject({ code: 'Unavailable' });
    expect(seen).toHaveLength(1);
  });
  test('all pages', async () => {
    answers.push({ status: 200, body: { items: [1, 2], nextCursor: 'c' } }, { status: 200, body: { items: [3], nextCursor: null } });
    expect(await everyItem(door, get, (after) => requestOf(base, verb('tasks'), new Map([['projectId', 'p'], ['after', after]])), pause)).toEqual([1, 2, 3]);
    expect(seen[1]?.url).toContain('after=c');
  });
});

describe('tables', () => {
  test('known columns first, nested ones not at all', () => {
    expect(tableOf([{ createdAt: 't', title: 'a', id: '1', metadata: { x: 1 } }, { createdAt: 't2', title: null, id: '22', metadata: {} }])).toBe('ID   TITLE   CREATED AT\n1    a       t\n22   -       t2\n');
  });
  test('nothing', () => { expect(tableOf([])).toBe('nothing\n'); });
  test('no text of a stranger moves the cursor of the terminal', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (title) => { expect(tableOf([{ title }]).replaceAll('\n', '')).not.toMatch(/\p{C}/u); }));
  });
});
