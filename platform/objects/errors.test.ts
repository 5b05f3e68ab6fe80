import { RamboError, UnavailableError } from '../errors/index.ts';
import { isMissing, storeError, storeFault } from './errors.ts';

/** An error as the client of the store throws it. */
function answer(name: string, status?: number, code?: string): Error {
  return Object.assign(new Error(`${name} at https://key:secret@s3/bucket`), { name }, status === undefined ? {} : { $metadata: { httpStatusCode: status } }, code === undefined ? {} : { code });
}

test.each<[unknown, boolean]>([
  [answer('NoSuchKey', 404), true], [answer('NotFound', 404), true], [answer('NoSuchKey'), true], [answer('Anything', 404), true], [answer('NoSuchBucket', 404), false], [answer('AccessDenied', 403), false], [answer('SlowDown', 503), false],
  [answer('X', undefined, 'ECONNREFUSED'), false], [Object.assign(new Error('x'), { $metadata: { httpStatusCode: '404' } }), false], [Object.assign(new Error('x'), { $metadata: null }), false], [{ name: 'NoSuchKey' }, false], ['NoSuchKey', false], [undefined, false],
])('%p: missing is %p', (error, missing) => { expect(isMissing(error)).toBe(missing); });

test.each(['BadDigest', 'XAmzContentChecksumMismatch', 'XAmzContentSHA256Mismatch', 'InvalidDigest', 'IncompleteBody'])('%s means that the content was spoilt on its way', (name) => {
  const told = storeError(answer(name, 400));
  expect([told.code, told.message]).toEqual(['ObjectSpoilt', 'the object store refused the content: it is not what was announced']);
});

test.each<[string, unknown]>([['refused', answer('AccessDenied', 403)], ['slow', answer('SlowDown', 503)], ['away', answer('X', undefined, 'ECONNREFUSED')], ['no error at all', 'text']])('%s: the store is not available, and the message holds neither address nor key', (_, error) => {
  const told = storeError(error);
  expect(told).toBeInstanceOf(UnavailableError);
  expect(told.message).toBe('the object store is not available');
  expect(told.cause).toBe(error);
});

test('an error in our words stays as it is', () => {
  const ours = new RamboError('TooLarge', 'x');
  expect(storeError(ours)).toBe(ours);
});

test.each<[unknown, object]>([
  [answer('AccessDenied', 403), { code: 'AccessDenied', status: 403 }], [answer('TimeoutError', undefined, 'ETIMEDOUT'), { code: 'ETIMEDOUT' }], [storeError(answer('SlowDown', 503)), { code: 'SlowDown', status: 503 }],
  [new RamboError('Config', 'x'), { code: 'Config' }], ['text', { code: 'Unknown' }], [undefined, { code: 'Unknown' }],
])('the line about %p says %j', (error, fault) => { expect(storeFault(error)).toEqual(fault); });
