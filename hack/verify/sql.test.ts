import fc from 'fast-check';
import { splitTop, statementsOf, withoutComments } from './sql.ts';

test.each<[string, readonly string[]]>([
  ['', []], [';;', []], ['SELECT 1', ['SELECT 1']], ['SELECT 1; SELECT 2;', ['SELECT 1', 'SELECT 2']], ['SELECT\n  1\t+ 2 ;', ['SELECT 1 + 2']],
  ["SELECT 'a;b'; SELECT 2", ["SELECT 'a;b'", 'SELECT 2']], ["SELECT 'it''s; fine'", ["SELECT 'it''s; fine'"]], ['SELECT "a;b"', ['SELECT "a;b"']],
  ['-- a; comment\nSELECT 1', ['SELECT 1']], ['SELECT 1 -- the end', ['SELECT 1']], ['/* a; b */ SELECT /* c */ 1', ['SELECT 1']], ["SELECT '-- no comment'", ["SELECT '-- no comment'"]],
  ['DO $$ BEGIN x; y; END $$; SELECT 1', ['DO $$ BEGIN x; y; END $$', 'SELECT 1']], ['DO $body$ a; $$ b; $body$; SELECT 1', ['DO $body$ a; $$ b; $body$', 'SELECT 1']], ['DO $body1$ a; b; $body1$; SELECT 1', ['DO $body1$ a; b; $body1$', 'SELECT 1']],
  ['CREATE TABLE a (b int, c int); X', ['CREATE TABLE a (b int, c int)', 'X']], ['SELECT $1; SELECT $2', ['SELECT $1', 'SELECT $2']],
])('%j has the statements %j', (sql, statements) => {
  expect(statementsOf(sql)).toEqual(statements);
});

test.each<[string, string, readonly string[]]>([['a, b', ',', ['a', ' b']], ['f(a, b), c', ',', ['f(a, b)', ' c']], ["'a,b', c", ',', ["'a,b'", ' c']], ['', ',', ['']], ['a', ',', ['a']], ['(a, (b, c)), d', ',', ['(a, (b, c))', ' d']]])('%j split at %j is %j', (text, at, parts) => {
  expect(splitTop(text, at)).toEqual(parts);
});

test('whatever the text is, nothing but separators is lost, and comments vanish for good', () => {
  const piece = fc.constantFrom("'", '"', '$$', '$a$', '--', '\n', '/*', '*/', '(', ')', ';', ' ', 'a', 'b1', "''");
  fc.assert(fc.property(fc.array(piece, { maxLength: 20 }).map((parts) => parts.join('')), (sql) => {
    expect(splitTop(sql, ';').join(';')).toBe(sql);
    expect(withoutComments(`${sql}\n`).length).toBeLessThanOrEqual(sql.length + 1);
  }), { numRuns: 500 });
});
