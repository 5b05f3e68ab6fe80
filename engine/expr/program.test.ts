import { COMMON } from '../compile/references.ts';
import { ValueError } from '../errors.ts';
import type { Json } from '../types.ts';
import type { Root } from './environment.ts';
import { evaluate, evaluateBool, parseProgram, unwrap } from './program.ts';
import { toCel } from './values.ts';

const VISIBLE: ReadonlySet<Root> = new Set<Root>([...COMMON, 'item', 'index']);

const INPUT: Json = {
  n: 4, half: 0.5, neg: -3, big: 9007199254740991, s: 'ada', empty: '', yes: true, nothing: null, list: [1, 2.5, 'z'], nums: [1, 2, 3],
  map: { a: 1, b: { c: [true] } }, odd: { constructor: 'data', toString: 1 }, recs: [{ id: 1, ok: true }, { id: 2, ok: false }],
};

function run(source: string, inputs: Json = INPUT): Json {
  const scope = { spent: 0, context: () => ({ inputs: toCel(inputs), index: 2n, item: 7n, run: new Map([['phase', 'Running']]), workflow: new Map() }) };
  return evaluate(parseProgram(source, VISIBLE), scope);
}

function reasonOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ValueError) return error.reason;
    throw error;
  }
  return 'no error';
}

// Cases of the CEL conformance suite (cel-spec v0.25) that matter for JSON, kept as a table so that an update of the
// library is judged by them. Figures of the whole suite: docs/adr/0003-cel-library.md.
describe('CEL conformance', () => {
  test.each<[string, Json]>([
    // arithmetic on ints
    ['1 + 2', 3], ['7 - 9', -2], ['6 * 7', 42], ['7 / 2', 3], ['-7 / 2', -3], ['7 % 4', 3], ['-7 % 4', -3], ['-(3)', -3], ['2 + 3 * 4', 14], ['(2 + 3) * 4', 20],
    // doubles, and the two mixed
    ['1.5 + 1.5', 3], ['1.0 / 4.0', 0.25], ['1 + 1.5', 2.5], ['1.5 - 1', 0.5], ['2 * 1.5', 3], ['3 / 2.0', 1.5], ['3.0 / 2', 1.5], ['1e3', 1000], ['0x1F', 31],
    ['1 == 1.0', true], ['1.0 == 1', true], ['1 != 1.5', true], ['1 < 1.5', true], ['2.5 >= 2', true], ['1 <= 1.0', true], ['3 > 3.5', false],
    // strings
    ['"a" + "b"', 'ab'], ["'it''s'.size()".replace("''", 'x'), 4], ['size("héllo")', 5], ['"😀".size()', 1], ['"abc".contains("b")', true], ['"abc".startsWith("ab")', true],
    ['"abc".endsWith("bc")', true], ['"a" < "b"', true], ['"a" == "A"', false], ['r"\\d"', '\\d'], ['"\\u00e9"', 'é'], ['"""a"b"""', 'a"b'], ['"aBc".lowerAscii()', 'abc'],
    ['"a,b".split(",")', ['a', 'b']], ['["a","b"].join("-")', 'a-b'], ['"abcd".substring(1, 3)', 'bc'], ['"abcb".indexOf("b")', 1], ['" x ".trim()', 'x'],
    // lists and maps
    ['[1, 2] + [3]', [1, 2, 3]], ['[1, 2, 3][1]', 2], ['size([])', 0], ['[[1], [2]][1][0]', 2], ['{"a": 1}["a"]', 1], ['{"a": 1}.a', 1], ['size({"a": 1, "b": 2})', 2],
    ['2 in [1, 2]', true], ['5 in [1, 2]', false], ['"a" in {"a": 1}', true], ['"b" in {"a": 1}', false], ['[1, 2] == [1, 2]', true], ['{"a": 1} == {"a": 1}', true], ['[1, "a", 2.5]', [1, 'a', 2.5]],
    ['dyn([1]) == [1.0]', true], ['dyn(1) == "x"', false],
    // macros
    ['[1, 2, 3].all(x, x > 0)', true], ['[1, 2, 3].all(x, x > 1)', false], ['[1, 2].exists(x, x == 2)', true], ['[1, 2].exists(x, x == 9)', false], ['[1, 2, 2].exists_one(x, x == 2)', false],
    ['[1, 2].exists_one(x, x == 2)', true], ['[1, 2, 3].filter(x, x != 2)', [1, 3]], ['[1, 2].map(x, x * 10)', [10, 20]], ['[1, 2, 3].map(x, x > 1, x * 10)', [20, 30]],
    ['[[1, 2], [3]].map(x, x.map(y, y + 1))', [[2, 3], [4]]], ['{"a": 1, "b": 2}.map(k, k)', ['a', 'b']], ['{"a": 1}.exists(k, k == "a")', true],
    // has, ternary, logic, with errors on the side that does not matter
    ['has(inputs.n)', true], ['has(inputs.zz)', false], ['has(inputs.map.b.c)', true], ['has(inputs.map.zz)', false], ['true ? 1 : 2', 1], ['inputs.yes ? inputs.n : inputs.zz', 4],
    ['true || inputs.zz', true], ['inputs.zz || true', true], ['false && inputs.zz', false], ['inputs.zz && false', false], ['!true', false], ['[1, 0].exists(x, 2 / x == 2)', true], ['[0, 1].exists(x, 2 / x == 2)', true],
    // conversions
    ['int("12")', 12], ['int(2.9)', 2], ['double(2)', 2], ['double("1.5")', 1.5], ['string(12)', '12'], ['string(1.5)', '1.5'], ['string(true)', 'true'], ['bool("true")', true],
    ['type(1) == int', true], ['type("a") == string', true], ['int(timestamp("1970-01-01T00:01:00Z"))', 60], ['string(timestamp("2026-01-01T00:00:00Z") + duration("90m"))', '2026-01-01T01:30:00.000Z'],
    // null
    ['inputs.nothing == null', true], ['inputs.n == null', false], ['null', null], ['inputs.nothing == "x"', false],
    // regular expressions
    ['"abc".matches("^a.c$")', true], ['"abc".matches("b")', true], ['matches("abc", "^b")', false], ['"a1".matches("^\\\\w\\\\d$")', true],
    // JSON data: whole numbers are ints, others doubles
    ['inputs.n * 2', 8], ['inputs.n / 3', 1], ['inputs.n * inputs.half', 2], ['inputs.n + 0.5', 4.5], ['inputs.half < inputs.n', true], ['inputs.list', [1, 2.5, 'z']], ['inputs.list[1] + 1', 3.5], ['inputs.nums.map(x, x + 0.5)', [1.5, 2.5, 3.5]],
    ['inputs.big', 9007199254740991], ['-inputs.n', -4], ['inputs["n"]', 4], ['inputs.recs.filter(r, r.ok).map(r, r.id)', [1]], ['inputs.nums[inputs.nums.size() - 1]', 3], ['inputs.map', { a: 1, b: { c: [true] } }],
    ['2.0 in inputs.nums', true], ['"z" in inputs.list', true], ['inputs.list.exists(x, x == "z")', true], ['range(3)', [0, 1, 2]], ['range(0)', []], ['index + item', 9], ['run.phase', 'Running'],
    // data named like parts of a prototype is data, and nothing else is there
    ['inputs.odd.constructor', 'data'], ['inputs.odd.toString', 1], ['has(inputs.constructor)', false], ['has(inputs.__proto__)'.replace('.__proto__', '.hasOwnProperty'), false], ['"constructor" in inputs', false],
  ])('%s', (source, expected) => {
    expect(run(source)).toEqual(expected);
  });
});

describe('value errors', () => {
  test.each([
    ['1 / 0', 'ExpressionFailed'], ['1 % 0', 'ExpressionFailed'], ['9223372036854775807 + 1', 'ExpressionFailed'], ['inputs.zz', 'ExpressionFailed'], ['inputs.list[9]', 'ExpressionFailed'],
    ['inputs.n + inputs.s', 'ExpressionFailed'], ['inputs.constructor', 'ExpressionFailed'], ['inputs.__proto__', 'ExpressionFailed'], ['inputs["__proto__"]', 'ExpressionFailed'],
    ['inputs.s.constructor', 'ExpressionFailed'], ['9007199254740993', 'ExpressionFailed'], ['0.0 / 0.0', 'ExpressionFailed'], ['1.0 / 0.0', 'ExpressionFailed'], ['type(1)', 'ExpressionFailed'],
    ['timestamp("2026-01-01T00:00:00Z")', 'ExpressionFailed'], ['has(inputs.zz.y)', 'ExpressionFailed'], ['[1].all(x, inputs.zz)', 'ExpressionFailed'], ['inputs.n ? 1 : 2', 'ExpressionFailed'],
    ['range(-1)', 'RangeInvalid'], ['range(100001)', 'RangeInvalid'], ['inputs.s.matches("(?=a)")', 'PatternInvalid'], ['inputs.s.matches("(a")', 'PatternInvalid'],
  ])('%s fails when evaluated with %s', (source, reason) => {
    expect(reasonOf(() => run(source))).toBe(reason);
  });

  test.each([
    ['1 +', 'ExpressionInvalid'], ['', 'ExpressionInvalid'], ['"a" + 1', 'ExpressionInvalid'], ['!1', 'ExpressionInvalid'], ['true ? 1 : "a"', 'ExpressionInvalid'], ['size(1)', 'ExpressionInvalid'],
    ['process', 'UnknownName'], ['globalThis', 'UnknownName'], ['constructor', 'UnknownName'], ['this', 'UnknownName'], ['cel.bind(x, 1, x)', 'UnknownName'], ['google.protobuf.Timestamp', 'UnknownName'], ['error.class', 'UnknownName'],
    ['inputs.toString()', 'UnknownFunction'], ['inputs.constructor("return 1")', 'UnknownFunction'], ['bytes("a")', 'UnknownFunction'], ['eval("1")', 'UnknownFunction'], ['matchesLinear("a", "b")', 'UnknownFunction'], ['"a".matchesLinear("b")', 'UnknownFunction'],
    ['nodes', 'ExpressionInvalid'], ['nodes[inputs.s].output', 'ExpressionInvalid'], ['nodes.a.outputs', 'UnknownField'], ['1u', 'ExpressionInvalid'], ['b"x"', 'ExpressionInvalid'], ['{1: 2}', 'ExpressionInvalid'],
    ['{"__proto__": 1}', 'ExpressionInvalid'], ['[1].map(inputs, inputs)', 'ExpressionInvalid'], ['[1].map(1, 2)', 'ExpressionInvalid'], ['timestamp("2026-01-01T00:00:00Z").getHours("Europe/Paris")', 'ExpressionInvalid'],
    ['import("fs")', 'ExpressionInvalid'], ['`${1}`', 'ExpressionInvalid'], ['inputs.list.reduce(a, b)', 'UnknownFunction'],
  ])('%s is refused before the run with %s', (source, reason) => {
    expect(reasonOf(() => parseProgram(source, VISIBLE))).toBe(reason);
  });

  test('a message names the expression and what is wrong', () => {
    expect(() => run('inputs.zz + 1')).toThrow('expression "inputs.zz + 1": No such key: zz');
  });

  test('a condition must be true or false', () => {
    const program = parseProgram('inputs.n', VISIBLE);
    expect(() => evaluateBool(program, { spent: 0, context: () => ({ inputs: toCel(INPUT) }) })).toThrow('a number, not true or false');
  });
});

describe('hostile expressions are refused by their cost, fast', () => {
  const hostile: Json = {
    l: Array.from({ length: 240 }, (_, i) => i), big: 'x'.repeat(250_000), huge: Array.from({ length: 60_000 }, (_, i) => ({ i })),
    recs: Array.from({ length: 5_000 }, (_, i) => ({ id: i, name: `n${i}` })),
  };
  const values = toCel(hostile);
  const scope = { spent: 0, context: () => ({ inputs: values }) };
  const chain = (part: string, times: number): string => part.repeat(times);

  test.each([
    ['three nested comprehensions', 'inputs.l.map(a, inputs.l.map(b, inputs.l.map(c, a * b * c)))', 'ExpressionTooDeep'],
    ['two nested over long lists', 'inputs.recs.exists(a, inputs.recs.exists(b, a.id == b.id + 100000))', 'ExpressionTooCostly'],
    ['a long list with a large body', `inputs.huge.map(x, [${chain('x.i,', 40)}1])`, 'ExpressionTooCostly'],
    ['doubling of a text', chain('inputs.big + ', 100) + 'inputs.big', 'ExpressionTooCostly'],
    ['a large text per round', 'range(1000).map(i, inputs.big + "!").size()', 'ExpressionTooCostly'],
    ['shared parts that explode as JSON', 'range(50000).map(i, inputs.big)', 'ResultTooLarge'],
    ['ranges in ranges', 'range(100000).map(i, range(100000))', 'ExpressionTooCostly'],
    ['comparing large values again and again', 'range(5000).all(i, inputs.recs == inputs.huge)', 'ExpressionTooCostly'],
    ['a large join', 'range(90000).map(i, inputs.big).join(",").size()', 'ExpressionTooCostly'],
    ['patterns over large texts', 'range(20).all(i, inputs.big.matches("(x+x+)+y"))', 'ExpressionTooCostly'],
    ['splitting a large text again and again', 'range(500).map(i, inputs.big.split("x")).size()', 'ExpressionTooCostly'],
    ['500 parentheses', `${chain('(', 500)}1${chain(')', 500)}`, 'ExpressionInvalid'],
    ['4,000 negations', `${chain('!', 4_000)}true`, 'ExpressionTooDeep'],
    ['4,000 minus signs', `${chain('-', 4_000)}1`, 'ExpressionTooDeep'],
    ['a chain of 1,900 additions', `1${chain('+1', 1_900)}`, 'ExpressionTooDeep'],
    ['900 brackets', `${chain('[', 900)}${chain(']', 900)}`, 'ExpressionInvalid'],
    ['a chain of 400 comprehensions', `inputs.l${chain('.map(x, x)', 400)}`, 'ExpressionInvalid'],
    ['5,000 characters', `"${chain('x', 5_000)}"`, 'ExpressionTooLong'],
    ['a nested ternary', `${chain('true ? (', 300)}1${chain(') : 2', 300)}`, 'ExpressionInvalid'],
  ])('%s', (_name, source, reason) => {
    evaluateQuietly('inputs.l.map(x, x + 1)');
    const before = process.cpuUsage();
    expect(reasonOf(() => evaluate(parseProgram(source, VISIBLE), scope))).toBe(reason);
    // 50 ms is the promise. Time of the processor, not of the wall: the machine that runs the tests may be busy.
    expect(process.cpuUsage(before).user / 1_000).toBeLessThan(250);
  });

  function evaluateQuietly(source: string): void {
    evaluate(parseProgram(source, VISIBLE), scope);
  }

  test.each([
    ['inputs.recs.filter(r, r.id % 7 == 0 && r.name.startsWith("n1")).size()', 158], ['inputs.recs.map(r, {"label": "item-" + r.name}).size()', 5_000],
    ['range(100000).size()', 100_000], ['range(100000).map(i, i * 2).size()', 100_000], ['inputs.l.map(a, inputs.l.map(b, a * b)).size()', 240], ['"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!".matches("^(a+)+$")', false],
    ['(inputs.big + inputs.big).size()', 500_000], ['[1, 2].map(x, inputs.huge.size()).size()', 2],
  ])('honest work passes: %s', (source, expected) => {
    expect(evaluate(parseProgram(source, VISIBLE), scope)).toBe(expected);
  });

  test('one long text among many short ones does not count for all', () => {
    const words: Json = { words: ['x'.repeat(100_000), ...Array.from({ length: 2_000 }, (_, i) => `w${i}`)] };
    expect(run('inputs.words.map(w, w + "!").size()', words)).toBe(2_001);
  });
});

describe('names', () => {
  test.each([
    ['nodes.a.output.x', { a: ['output'] }], ['nodes["a-b"].status == "Failed"', { 'a-b': ['status'] }], ['has(nodes.a.error) && nodes.b.attempts > 1', { a: ['error'], b: ['attempts'] }],
    ['inputs.list.map(x, nodes.a.output[x])', { a: ['output'] }], ['nodes.a', { a: ['*'] }], ['nodes.a["output"]', { a: ['output'] }],
  ])('%s refers to %j', (source, expected) => {
    const { references } = parseProgram(source, VISIBLE);
    expect(Object.fromEntries([...references.nodes].map(([name, fields]) => [name, [...fields]]))).toEqual(expected);
  });

  test('a variable of a comprehension hides nothing outside of it', () => {
    expect([...parseProgram('inputs.list.map(x, x).size() + index', VISIBLE).references.roots].sort()).toEqual(['index', 'inputs']);
  });

  test.each([['${{ inputs.n }}', 'inputs.n'], ['  ${{inputs.n}}  ', 'inputs.n'], ['inputs.n', 'inputs.n']])('%j unwraps to %j', (text, source) => {
    expect(unwrap(text)).toBe(source);
  });
});
