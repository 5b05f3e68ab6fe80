import { RamboError, UnavailableError } from '../../platform/errors/index.ts';
import { RowError, storeError } from './errors.ts';

/** As pg reports what Postgres sent. */
function database(code: string, detail = ''): Error {
  return Object.assign(new Error('refused'), { code, severity: 'ERROR', detail });
}

test.each(['22021', '22P02', '22003', '23505', '23514', '54000'])('%s is the row\'s own fault', (code) => {
  expect(storeError('commit', database(code))).toBeInstanceOf(RowError);
});

test.each(['08006', '40001', '40P01', '53300', '53100', '55P03', '57014', '57P01', '57P03', '58030', '25006', '25P03'])('%s passes', (code) => {
  expect(storeError('commit', database(code))).toBeInstanceOf(UnavailableError);
});

test.each(['42P01', '42703', '42501', '0A000', 'XX000'])('%s is neither: nothing is blamed on a row', (code) => {
  const error = storeError('commit', database(code));
  expect(error.code).toBe('Database');
  expect(error).not.toBeInstanceOf(RowError);
});

test('errors of the network and the driver pass, whatever their code looks like', () => {
  for (const error of [Object.assign(new Error('reset'), { code: 'ECONNRESET' }), Object.assign(new Error('pipe'), { code: 'EPIPE' }), new Error('Query read timeout'), 'odd']) {
    expect(storeError('commit', error)).toBeInstanceOf(UnavailableError);
  }
});

test('our own errors stay as they are, and details with values are left out of the message', () => {
  const own = new RamboError('Bug', 'x');
  expect(storeError('commit', own)).toBe(own);
  expect(storeError('commit', database('23505', 'Key (name)=(hunter2) exists')).message).toBe('commit: refused (23505)');
});
