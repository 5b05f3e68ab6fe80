import { toolServerSpecSchema } from '../../crds/tool-server.ts';
import { credentialsIn, hidden, hiddenIn, withoutEcho } from './echo.ts';
import type { KnownServer } from './servers.ts';

function server(auth: object | undefined): KnownServer {
  const spec = toolServerSpecSchema.parse({ mcp: { url: 'https://tools.example/mcp' }, ...(auth === undefined ? {} : { auth }) });
  return { namespace: 'team-a', name: 'box', uid: 'u1', generation: 1, spec, url: 'https://tools.example/mcp', known: undefined };
}

const KEY = 'se"cret\\key';
const SEEN = credentialsIn(server({ secret: { secretRef: { name: 's' }, header: 'X-Key', prefix: 'apikey=' } }), { 'x-key': `apikey=${KEY}` });

test('the whole header and the key alone are credentials, short ones are none', () => {
  expect(SEEN).toEqual([`apikey=${KEY}`, KEY]);
  expect(credentialsIn(server(undefined), {})).toEqual([]);
  expect(credentialsIn(server({ secret: { secretRef: { name: 's' } } }), { authorization: 'Bearer abc' })).toEqual(['Bearer abc']);
});

test('what a server repeats is hidden in texts, structures, messages and questions; nothing else is touched', () => {
  expect(hidden(`a ${KEY} b apikey=${KEY}`, SEEN)).toBe('a [credential] b [credential]');
  const structured = { [KEY]: [KEY, 1, null] };
  expect(withoutEcho({ kind: 'answered', isError: false, text: KEY, structured }, SEEN)).toEqual({ kind: 'answered', isError: false, text: '[credential]', structured: { '[credential]': ['[credential]', 1, null] } });
  expect(withoutEcho({ kind: 'unknown', message: `HTTP 500: ${KEY}` }, SEEN)).toEqual({ kind: 'unknown', message: 'HTTP 500: [credential]' });
  expect(withoutEcho({ kind: 'asks', questions: [{ key: 'k', message: KEY, schema: {} }], state: KEY }, SEEN)).toEqual({ kind: 'asks', questions: [{ key: 'k', message: '[credential]', schema: {} }], state: KEY });
  const same = { a: 'nothing' };
  expect(hiddenIn(same, SEEN)).toBe(same);
  expect(withoutEcho({ kind: 'answered', isError: false, text: 'x' }, SEEN)).toEqual({ kind: 'answered', isError: false, text: 'x' });
});
