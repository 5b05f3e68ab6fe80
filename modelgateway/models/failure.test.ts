import { RamboError } from '../../platform/errors/index.ts';
import { failureOf, Overdue } from './failure.ts';

const answer = (statusCode: number, responseHeaders: object = {}): Error => Object.assign(new Error('said the provider'), { statusCode, responseHeaders });

test.each<[string, unknown, boolean, object]>([
  ['429', answer(429, { 'retry-after': '7' }), false, { code: 'RateLimited', passing: true, spent: 'nothing', retryAfterMs: 7_000 }],
  ['429 in milliseconds', answer(429, { 'retry-after-ms': '250' }), false, { retryAfterMs: 250 }],
  ['429 because the account is empty', Object.assign(answer(429, { 'retry-after': '1' }), { data: { error: { message: 'x', type: 'insufficient_quota', code: 'insufficient_quota' } } }), false, { code: 'RateLimited', passing: true, lasting: true, spent: 'nothing' }],
  ['402', answer(402), false, { code: 'RateLimited', lasting: true }],
  ['an error in the middle of an answer', answer(529), true, { code: 'ProviderError', passing: true, spent: 'partial' }],
  ['a cut of the library', Object.assign(answer(200), { cause: Object.assign(new Error('aborted'), { code: 'ECONNRESET' }) }), false, { code: 'Cut', spent: 'prompt' }],
  ['too large', Object.assign(answer(200), { cause: new RamboError('ResultTooLarge', 'over 5 bytes') }), true, { code: 'Malformed', passing: false, spent: 'partial' }],
  ['500', answer(500), false, { code: 'ProviderError', passing: true, spent: 'nothing' }],
  ['529 of Anthropic', answer(529), false, { code: 'ProviderError', passing: true }],
  ['401', answer(401), false, { code: 'Credentials', passing: false }],
  ['400', answer(400), false, { code: 'Refused', passing: false, spent: 'nothing' }],
  ['a redirect', answer(302), false, { code: 'Refused', passing: false }],
  ['200 and no answer', answer(200), false, { code: 'Malformed', passing: true, spent: 'prompt' }],
  ['a cut', new Error('socket hang up'), true, { code: 'Cut', passing: true, spent: 'partial' }],
  ['a cut before any answer', Object.assign(new Error('x'), { code: 'ECONNRESET' }), false, { code: 'Cut', passing: true, spent: 'prompt' }],
  ['nobody there', new Error('y', { cause: new RamboError('Unreachable', 'no route') }), false, { code: 'Unreachable', passing: true, spent: 'nothing' }],
  ['a forbidden address', new RamboError('AddressRefused', '10.0.0.1 is private'), false, { code: 'Refused', passing: false, spent: 'nothing' }],
  ['too late', new Overdue('nothing within 5 ms'), false, { code: 'Timeout', passing: true, spent: 'prompt' }],
])('%s', (_, error, started, expected) => {
  expect(failureOf(error, started, undefined)).toMatchObject(expected);
});

test('a key never reaches the message, and a message is bounded', () => {
  const { message } = failureOf(new Error(`Incorrect API key provided: sk-abc123 ${'x'.repeat(2_000)}`), false, 'sk-abc123');
  expect(message).not.toContain('sk-abc123');
  expect(message).toContain('[redacted]');
  expect(message.length).toBeLessThan(500);
});
