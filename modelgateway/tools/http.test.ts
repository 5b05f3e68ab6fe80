import { RamboError } from '../../platform/errors/index.ts';
import { NotSentError } from '../../platform/net/fetch.ts';
import { callHttp, type HttpCall } from './http.ts';

async function call(over: Partial<HttpCall>, answer: () => Response | Promise<Response> = () => new Response('ok')): Promise<{ readonly outcome: object; readonly sent: readonly (readonly [string, string, string | undefined])[] }> {
  const sent: [string, string, string | undefined][] = [];
  const outcome = await callHttp({
    baseUrl: 'https://api.example/v1/', operation: { method: 'POST', path: '/things', query: [] }, arguments: {}, headers: {}, timeoutMs: 1_000, signal: new AbortController().signal,
    fetch: async (url, init) => {
      sent.push([init?.method ?? 'GET', url instanceof Request ? url.url : url.toString(), typeof init?.body === 'string' ? init.body : undefined]);
      return answer();
    },
    ...over,
  });
  return { outcome, sent };
}

test.each<readonly [string, HttpCall['operation'], object, readonly [string, string, string | undefined]]>([
  ['body', { method: 'POST', path: '/things', query: [] }, { a: 1, b: ['x'] }, ['POST', 'https://api.example/v1/things', '{"a":1,"b":["x"]}']],
  ['path', { method: 'PUT', path: '/things/{id}/x', query: [] }, { id: 'a/b?c#d e', n: 1 }, ['PUT', 'https://api.example/v1/things/a%2Fb%3Fc%23d%20e/x', '{"n":1}']],
  ['query', { method: 'POST', path: '/things', query: ['q', 'tags'] }, { q: 'a&b', tags: ['x', 'y'], n: 1 }, ['POST', 'https://api.example/v1/things?q=a%26b&tags=x&tags=y', '{"n":1}']],
  ['GET: all that is left goes into the query', { method: 'GET', path: '/things', query: [] }, { a: 1, o: { x: 1 } }, ['GET', 'https://api.example/v1/things?a=1&o=%7B%22x%22%3A1%7D', undefined]],
])('%s', async (_what, operation, args, request) => { expect((await call({ operation, arguments: { ...args } })).sent).toEqual([request]); });

test.each([undefined, '', '.', '..', {}, null])('%p cannot stand in a path, and nothing is sent', async (id) => {
  const { outcome, sent } = await call({ operation: { method: 'GET', path: '/things/{id}', query: [] }, arguments: { id } });
  expect(sent).toEqual([]);
  expect(outcome).toMatchObject({ kind: 'answered', isError: true, text: expect.stringMatching(/cannot stand in the path/) });
});

test.each<readonly [string, () => Response | Promise<Response>, object]>([
  ['200 with JSON', () => Response.json({ a: 1 }), { kind: 'answered', isError: false, text: '{"a":1}', structured: { a: 1 } }], ['200 with text', () => new Response('hi'), { kind: 'answered', isError: false, text: 'hi' }],
  ['404', () => new Response('gone', { status: 404 }), { kind: 'answered', isError: true, text: 'HTTP 404: gone' }], ['401', () => new Response('', { status: 401 }), { kind: 'notSent', reason: 'AuthFailed', again: false }],
  ['429', () => new Response('', { status: 429 }), { kind: 'notSent', again: true }], ['302', () => new Response(null, { status: 302 }), { kind: 'notSent', reason: 'Redirected' }], ['500', () => new Response('oops', { status: 500 }), { kind: 'unknown', message: expect.stringMatching(/HTTP 500: oops/) }],
  ['503', () => new Response('', { status: 503 }), { kind: 'unknown' }], ['501', () => new Response('', { status: 501 }), { kind: 'answered', isError: true }], ['an address that is refused', async () => Promise.reject(new NotSentError('AddressRefused', 'private')), { kind: 'notSent', again: false }],
  ['nobody there', async () => Promise.reject(new NotSentError('Unreachable', 'away')), { kind: 'notSent', again: true }], ['a broken connection', async () => Promise.reject(new Error('ECONNRESET')), { kind: 'unknown' }],
  ['too large an answer', async () => Promise.reject(new RamboError('ResultTooLarge', 'x')), { kind: 'answered', isError: true, text: expect.stringMatching(/over 32 MiB/) }],
])('%s', async (_what, answer, expected) => { expect((await call({}, answer)).outcome).toMatchObject(expected); });
