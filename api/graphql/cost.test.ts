import { buildSchema, GraphQLObjectType, parse } from 'graphql';
import type { GraphQLSchema } from 'graphql';
import { MAX_COST, operationCost } from './cost.ts';
import { schema as real } from './schema.ts';

const schema = buildSchema(`
  type Query { runs(first: Int, last: Int): RunConnection! run: Run }
  type RunConnection { edges: [RunEdge!]! total: Int }
  type RunEdge { node: Run! cursor: String! }
  type Run { id: ID! nodes(first: Int = 7): RunConnection! tags(first: Int): [Tag!]! failures: [Tag!]! }
  type Tag { name: String! }
`);

function cost(query: string, variables: Record<string, unknown> = {}, of: GraphQLSchema = schema, operationName?: string): number {
  return operationCost(of, parse(query), operationName, variables);
}

const edges = '{ edges { node { id } } }';

describe('page sizes', () => {
  test.each([
    ['literal', `{ runs(first: 10) ${edges} }`, {}, 10],
    ['variable', `query($n: Int) { runs(first: $n) ${edges} }`, { n: 10 }, 10],
    ['variable of another name', `query($huge: Int) { runs(first: $huge) ${edges} }`, { huge: 1_000_000 }, 100],
    ['default of a variable', `query($n: Int = 50) { runs(first: $n) ${edges} }`, {}, 50],
    ['variable given as null', `query($n: Int = 50) { runs(first: $n) ${edges} }`, { n: null }, 20],
    ['absent', `{ runs ${edges} }`, {}, 20],
    ['absent variable', `query($n: Int) { runs(first: $n) ${edges} }`, {}, 20],
    ['-1', `query($n: Int) { runs(first: $n) ${edges} }`, { n: -1 }, 1],
    ['last', `{ runs(last: 30) ${edges} }`, {}, 30],
    ['first and last: the larger', `{ runs(first: 5, last: 30) ${edges} }`, {}, 30],
  ])('%s', (_, query, variables, entries) => {
    // runs 1 + edges 1 + per entry: node 1, id 1
    expect(cost(query, variables)).toBe(2 + entries * 2);
  });

  test('the default of the schema counts', () => { expect(cost(`{ run { nodes ${edges} } }`)).toBe(1 + 2 + 7 * 2); });
  test('a value that cannot be an Int is refused by the executor, not priced', () => { expect(cost(`query($n: Int) { runs(first: $n) ${edges} }`, { n: 1e308 })).toBe(0); });
});

describe('nesting', () => {
  test('connections multiply', () => {
    expect(cost('query($n: Int) { runs(first: $n) { edges { node { nodes(first: $n) { edges { cursor } } } } } }', { n: 100 })).toBe(2 + 100 * (1 + 2 + 100));
  });
  test('a list with a page size multiplies by it', () => { expect(cost('{ run { tags(first: 3) { name } } }')).toBe(1 + 1 + 3); });
  test('a list without one counts as short', () => { expect(cost('{ run { failures { name } } }')).toBe(1 + 1 + 10); });
  test('every alias counts', () => {
    expect(cost(`{ a: runs(first: 10) ${edges} b: runs(first: 10) ${edges} }`)).toBe(2 * 22);
  });
  test('what stands beside edges counts once', () => { expect(cost('{ runs(first: 50) { total } }')).toBe(2); });
});

describe('fragments', () => {
  test('count where they are spread, with the page they stand in', () => {
    const query = 'query { a: runs(first: 10) { ...F } b: runs(first: 20) { ...F } } fragment F on RunConnection { edges { cursor } }';
    expect(cost(query)).toBe(2 + 10 + 2 + 20);
  });
  test('inline ones count too', () => { expect(cost('{ runs(first: 10) { ... on RunConnection { ... { edges { cursor } } } } }')).toBe(12); });
  test('a fan-out of 2^20 is priced without being walked', () => {
    const levels = Array.from({ length: 20 }, (_, i) => `fragment F${i} on Run { ...F${i + 1} ...F${i + 1} }`).join(' ');
    expect(cost(`{ run { ...F0 } } ${levels} fragment F20 on Run { id }`)).toBe(1 + 2 ** 20);
  });
  test('a cycle ends', () => { expect(cost('{ run { ...A } } fragment A on Run { id ...B } fragment B on Run { ...A }')).toBe(2); });
});

test('weights of the schema count', () => {
  const weighted = buildSchema('type Query { big: String }');
  const query = weighted.getQueryType();
  if (query instanceof GraphQLObjectType) Object.assign(query.getFields()['big']?.extensions ?? {}, { cost: 9 });
  expect(cost('{ big }', {}, weighted)).toBe(9);
});

test('only the named operation is priced', () => {
  expect(cost('query A { run { id } } query B { runs { total } }', {}, schema, 'A')).toBe(2);
  expect(cost('query A { run { id } } query B { runs { total } }', {}, schema, 'C')).toBe(0);
});

describe('the real schema', () => {
  const common: readonly (readonly [string, string])[] = [
    ['a list page', '{ runs(namespace: "a", first: 100) { pageInfo { endCursor } edges { cursor node { id name phase progress { done total } createdAt finishedAt failures { node reason message } } } } }'],
    ['a run in full', '{ run(id: "x") { phase input outputs counts { running } nodes(first: 100) { edges { node { name item status attempt output error { reason message } attempts(first: 3) { number error { reason } } } } } events(first: 100) { edges { node { kind at } } } } }'],
  ];
  test.each(common)('%s is affordable', (_, query) => {
    expect(cost(query, {}, real)).toBeGreaterThan(100);
    expect(cost(query, {}, real)).toBeLessThanOrEqual(MAX_COST);
  });
  test.each([
    ['all nodes of all runs', '{ runs(namespace: "a", first: 100) { edges { node { nodes(first: 100) { edges { node { name } } } } } } }'],
    ['fifty times all outputs', `{ run(id: "x") { ${Array.from({ length: 50 }, (_, i) => `n${i}: nodes(first: 100) { edges { node { output } } }`).join(' ')} } }`],
    ['logs of a page of nodes', '{ run(id: "x") { nodes(first: 100) { edges { node { log { text } } } } } }'],
  ])('%s is not', (_, query) => { expect(cost(query, {}, real)).toBeGreaterThan(MAX_COST); });
});
