import { parse } from 'graphql';
import { SHAPE_LIMITS, shapeProblem } from './shape.ts';

const problem = (query: string): string | undefined => shapeProblem(parse(query));
const nested = (depth: number): string => `${'{ a '.repeat(depth)}${'}'.repeat(depth)}`;
const times = (n: number, text: (i: number) => string): string => Array.from({ length: n }, (_, i) => text(i)).join(' ');

test('depth: the limit passes, one more does not', () => {
  expect(problem(nested(SHAPE_LIMITS.depth))).toBeUndefined();
  expect(problem(nested(SHAPE_LIMITS.depth + 1))).toMatch(/nested/);
});

test('depth counts through fragments', () => {
  const query = `${'{ a '.repeat(10)} { ...F } ${'}'.repeat(10)} fragment F on T { a { b { c } } }`;
  expect(problem(query)).toMatch(/nested/);
});

test('depth of introspection is not counted: its own switch refuses it', () => {
  expect(problem(`{ __schema ${nested(20)} }`)).toBeUndefined();
});

test.each([
  ['aliases', times(51, (i) => `a${i}: f`), /aliases/],
  ['directives', times(51, () => 'f @skip(if: true)'), /directives/],
])('%s: 51 are too many', (_, selections, message) => {
  expect(problem(`{ ${selections} }`)).toMatch(message);
});

test('operations: 11 are too many', () => {
  expect(problem(times(11, (i) => `query Q${i} { a }`))).toMatch(/operations/);
  expect(problem(times(10, (i) => `query Q${i} { a }`))).toBeUndefined();
});

test('a fragment fan-out of 2^20 is refused at once', () => {
  const levels = times(20, (i) => `fragment F${i} on T { ...F${i + 1} ...F${i + 1} }`);
  const begun = performance.now();
  expect(problem(`{ ...F0 } ${levels} fragment F20 on T { a }`)).toMatch(/fields/);
  expect(performance.now() - begun).toBeLessThan(50);
});

test('cycles and unknown fragments end here and are left to validation', () => {
  expect(problem('{ ...A } fragment A on T { a { ...B } } fragment B on T { ...A }')).toBeUndefined();
  expect(problem('{ ...Nobody }')).toBeUndefined();
});

test('no message tells a limit', () => {
  for (const query of [nested(40), `{ ${times(60, (i) => `a${i}: f`)} }`, times(20, (i) => `query Q${i} { a }`)]) expect(problem(query)).not.toMatch(/\d/);
});
