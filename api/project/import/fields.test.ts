import fc from 'fast-check';
import { Fields, isRecord } from './fields.ts';

const STATUS = { 'To Do': 'TO_DO', 'In Progress': 'IN_PROGRESS', Done: 'DONE' } as const;

test.each<[unknown, string, boolean]>([
  ['To Do', 'TO_DO', true], ['In Progress', 'IN_PROGRESS', true], ['in progress', 'IN_PROGRESS', false], ['IN_PROGRESS', 'IN_PROGRESS', false], ['in-progress', 'IN_PROGRESS', false], ['todo', 'TO_DO', false], ['Waiting', 'DONE', false], ['', 'DONE', false], [7, 'DONE', false], [undefined, 'DONE', false], ['constructor', 'DONE', false], ['__proto__', 'DONE', false],
])('the word %j is %s; taken: %p', (value, constant, taken) => {
  const fields = new Fields({ status: value });
  expect(fields.choice('status', STATUS, 'DONE')).toBe(constant);
  expect(Object.hasOwn(fields.rest(), 'status')).toBe(!taken);
});

test.each<[unknown, string | undefined, boolean]>([
  ['2026-01-31', '2026-01-31', true], ['2026-01-31T12:00:00Z', '2026-01-31', false], ['2026-01-31T23:30:00-05:00', '2026-02-01', false], ['2026-13-01', undefined, false], ['31.01.2026', undefined, false], ['1776-07-04', undefined, false], ['2201-01-01', undefined, false], [1769817600000, undefined, false], ['', undefined, false], [null, undefined, false],
])('the day of %j is %s; taken: %p', (value, day, taken) => {
  const fields = new Fields({ due: value });
  expect(fields.day('due')).toBe(day);
  expect(Object.hasOwn(fields.rest(), 'due')).toBe(!taken);
});

test.each<[unknown, string, boolean]>([['a', 'a', true], ['', 'Untitled', false], ['  ', 'Untitled', false], [7, 'Untitled', false], [undefined, 'Untitled', false]])('the name %j is %s; taken: %p', (value, name, taken) => {
  const fields = new Fields({ name: value });
  expect(fields.name('name', 'Untitled')).toBe(name);
  expect(Object.hasOwn(fields.rest(), 'name')).toBe(!taken);
});

test('a name that is too long is cut, and stays whole in the rest', () => {
  const fields = new Fields({ name: 'x'.repeat(5_000) });
  expect(fields.name('name', 'Untitled', 100).length).toBeLessThanOrEqual(100);
  expect(fields.rest()).toEqual({ name: 'x'.repeat(5_000) });
});

test.each<[unknown, string | undefined]>([['a', 'a'], [7, '7'], ['', undefined], [Number.NaN, undefined], [null, undefined], [{}, undefined], [true, undefined]])('the id %p is %s', (value, id) => { expect(new Fields({ id: value }).id('id')).toBe(id); });

test('a text that a column cannot hold is mended, and stays as it was in the rest', () => {
  const fields = new Fields({ a: 'fine', b: 'a\u0000b', c: 7 });
  expect([fields.text('a'), fields.text('b').includes('\u0000'), fields.text('c'), fields.text('d')]).toEqual(['fine', false, '', '']);
  expect(fields.rest()).toEqual({ b: 'a\u0000b', c: 7 });
});

test('lists and objects are taken where they are such', () => {
  const fields = new Fields({ list: [1], object: { a: 1 }, odd: 'x' });
  expect([fields.list('list'), fields.object('object'), fields.list('object'), fields.object('list'), fields.object('odd'), fields.list('none')]).toEqual([[1], { a: 1 }, undefined, undefined, undefined, undefined]);
  expect(fields.rest()).toEqual({ odd: 'x' });
});

test('what every object has is nobody\'s field', () => {
  const fields = new Fields({});
  expect([fields.text('toString'), fields.object('__proto__'), fields.id('constructor'), fields.peek('hasOwnProperty')]).toEqual(['', undefined, undefined, undefined]);
});

test('nothing is lost: each field is taken exactly as it was, or stays', () => {
  fc.assert(fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), fc.jsonValue()), (record) => {
    const fields = new Fields(record);
    const told: Record<string, unknown> = { a: fields.text('a'), b: fields.name('b', 'none'), c: fields.list('c'), d: fields.object('d'), e: fields.day('e') };
    const rest = fields.rest();
    for (const [name, value] of Object.entries(record)) expect(Object.hasOwn(rest, name) ? rest[name] : told[name]).toEqual(value);
  }));
});

test.each([[{}, true], [[], false], [null, false], ['x', false], [7, false]])('%j is a record: %p', (value, is) => { expect(isRecord(value)).toBe(is); });
