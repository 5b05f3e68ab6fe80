import { z } from 'zod';
import { ApiError } from '../errors.ts';
import { connectionOf, decodeCursor, encodeCursor, pageSize } from './paging.ts';

test.each([[undefined, 20], [null, 20], [1, 1], [100, 100], [101, 100], [1e6, 100], [0, 1], [-1, 1], [1e308, 100], [-Infinity, 1], [Number.NaN, 100], ['7', 100]])(
  'pageSize(%p) is %p', (wished, size) => { expect(pageSize(wished)).toBe(size); },
);

const place = z.tuple([z.string(), z.int()]);

test('a cursor comes back as it was', () => {
  expect(decodeCursor(place, encodeCursor(['ä"', 3]))).toEqual(['ä"', 3]);
  expect(decodeCursor(place, undefined)).toBeUndefined();
  expect(decodeCursor(place, null)).toBeUndefined();
});

test.each([['garbage'], [''], [encodeCursor(['a'])], [encodeCursor({ a: 1 })], [encodeCursor(['a', 1, 2])], ['x'.repeat(5_000)]])('a forged cursor is refused: %#', (cursor) => {
  expect(() => decodeCursor(place, cursor)).toThrow(ApiError);
});

test('pageInfo looks the way the page was read', () => {
  const forward = connectionOf(['a', 'b'], (x) => x, { hasMore: true, forward: true, started: false });
  expect(forward.pageInfo).toEqual({ hasNextPage: true, hasPreviousPage: false, startCursor: 'a', endCursor: 'b' });
  const backward = connectionOf(['a'], (x) => x, { hasMore: false, forward: false, started: true });
  expect(backward.pageInfo).toEqual({ hasNextPage: true, hasPreviousPage: false, startCursor: 'a', endCursor: 'a' });
  expect(connectionOf([], () => '', { hasMore: false, forward: true, started: false }).pageInfo.endCursor).toBeNull();
});
