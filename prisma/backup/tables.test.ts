import fc from 'fast-check';
import { columnList, inOrder, placeOf, type TableShape } from './tables.ts';

const table = (name: string): TableShape => ({ name, columns: ['id'] });

test('what others refer to comes first', () => {
  const order = inOrder(['a', 'b', 'c', 'd'].map(table), [{ child: 'a', parent: 'c' }, { child: 'c', parent: 'd' }, { child: 'b', parent: 'd' }, { child: 'a', parent: 'b' }]);
  expect(order.map(({ name }) => name)).toEqual(['d', 'b', 'c', 'a']);
});

test('tables in a ring keep their order of names, and a parent that is left out keeps nobody waiting', () => {
  expect(inOrder(['a', 'b', 'c'].map(table), [{ child: 'a', parent: 'b' }, { child: 'b', parent: 'a' }]).map(({ name }) => name)).toEqual(['c', 'a', 'b']);
  expect(inOrder([table('a')], [{ child: 'a', parent: 'elsewhere' }]).map(({ name }) => name)).toEqual(['a']);
});

test('whatever refers to what, each table comes once, and parents come first where there is no ring', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  fc.assert(fc.property(fc.shuffledSubarray(names, { minLength: 6 }), fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 12 }), (ranks, pairs) => {
    // References point from a later rank to an earlier one: no rings.
    const references = pairs.filter(([one, two]) => one !== two).map(([one, two]) => ({ child: ranks[Math.max(one, two)] ?? '', parent: ranks[Math.min(one, two)] ?? '' }));
    const order = inOrder(names.map(table), references).map(({ name }) => name);
    expect([...order].sort()).toEqual(names);
    for (const { child, parent } of references) expect(order.indexOf(parent)).toBeLessThan(order.indexOf(child));
  }));
});

test.each([
  ['postgres://u:pass-4711@db:5432/rambo?sslmode=require', 'db:5432/rambo'], ['postgresql://db/rambo', 'db/rambo'], ['postgres://u:pass-4711@[::1]:5432/x', '[::1]:5432/x'], ['host=db password=pass-4711', 'an address that is no URL'], ['', 'an address that is no URL'],
])('of %s people are told %s', (url, place) => { expect(placeOf(url)).toBe(place); });

test('names of tables and columns are quoted, whatever is in them', () => {
  expect(columnList({ name: 'a"; DROP TABLE x; --', columns: ['b', 'c"d'] })).toBe('"a""; DROP TABLE x; --" ("b", "c""d")');
});
