import { createServer } from 'node:http';
import { isBug, RamboError, TerminalError, UnavailableError } from '../errors/index.ts';
import { openFaults } from './index.ts';

test.each<[string, unknown, boolean]>([
  ['a complaint of the language', new TypeError('x is undefined'), true], ['a closed union that is open', new RamboError('Bug', 'unexpected value'), true], ['bytes that are no JSON where only ours can be', new SyntaxError('Unexpected end'), true],
  ['something that is away', new UnavailableError('Postgres'), false], ['an error with a code of ours', new TerminalError('Forbidden', 'no'), false], ['an error of the system', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), false],
  ['what fetch makes of it', new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) }), false], ['an ordinary error of a library', new Error('closed'), false], ['a text', 'x', false],
])('%s: a bug, or not', (_, error, bug) => {
  expect(isBug(error)).toBe(bug);
});

test('without a DSN nothing is reported, and nothing has to be waited for', async () => {
  const faults = await openFaults({ process: 'test', dsn: undefined, environment: undefined });
  faults.report({ message: 'x', error: new Error('y'), facts: {} });
  await faults.flush();
});

test.each(['nonsense', 'https://host/1', 'https://key@host'])('%j is no DSN, and is refused by the name of its variable, without its value', async (dsn) => {
  await expect(openFaults({ process: 'test', dsn, environment: undefined })).rejects.toThrow(expect.objectContaining({ code: 'Config', message: expect.stringMatching(/^RAMBO_SENTRY_DSN: (?!.*nonsense)/) }));
});

test('a fault leaves as an event of allowed facts; what is no error is told by its message', async () => {
  const received: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => { received.push(body); response.end('{}'); });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const address = server.address();
  const faults = await openFaults({ process: 'test', dsn: `http://key@127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/1`, environment: undefined });
  faults.report({ message: 'a pass failed', error: new TypeError('no x in postgres://u:pass-4711@db'), facts: { run: 'r1', attempt: 2, input: 'input-4711', err: 'err-4711' } });
  faults.report({ message: 'does not compile', error: undefined, facts: {} });
  await faults.flush();
  server.close();
  const events = received.map((envelope) => JSON.parse(envelope.split('\n')[2] ?? '') as Record<string, unknown>);
  expect(events).toMatchObject([
    { environment: 'production', transaction: 'a pass failed', tags: { process: 'test', run: 'r1', attempt: '2' }, exception: { values: [{ type: 'TypeError', value: 'no x in postgres://[redacted]@db' }] } },
    { transaction: 'does not compile', exception: { values: [{ type: 'Error', value: 'does not compile' }] } },
  ]);
  expect(received.join()).not.toContain('4711');
});
