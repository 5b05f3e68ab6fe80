import { canonicalJson, specHash, tooDeepAt } from './canonical.ts';

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? { a: value } : [0, value];
  return value;
}

describe('canonicalJson', () => {
  test('order of keys and undefined do not matter, order of lists does', () => {
    expect(canonicalJson({ b: [1, { d: 1, c: null }], a: undefined })).toBe('{"b":[1,{"c":null,"d":1}]}');
    expect(specHash({ a: 1, b: 2 })).toBe(specHash({ b: 2, a: 1 }));
    expect(specHash([1, 2])).not.toBe(specHash([2, 1]));
  });

  test('is JSON that reads back the same, dangerous keys included', () => {
    const text = '{"__proto__":{"x":1},"constructor":"c","n":-0.5,"s":"\\u2028\\"","t":true}';
    expect(canonicalJson(JSON.parse(text))).toBe(JSON.stringify(JSON.parse(text)));
  });

  test('the hash is stable over releases: runs pin it', () => {
    expect(specHash({ nodes: [{ type: 'transform', name: 'a' }] })).toMatchInlineSnapshot(`"a12609c6efe7a534387cf21183c331cf9e3855b651331a70bee597c6d93050d7"`);
  });
});

describe('tooDeepAt', () => {
  test('counts objects and lists alike', () => {
    expect(tooDeepAt(nested(100), 100)).toBeUndefined();
    expect(tooDeepAt({ x: nested(3) }, 3)).toEqual(['x', 'a', 1]);
    expect(tooDeepAt('text', 0)).toBeUndefined();
  });

  test('survives hostile depth', () => {
    expect(tooDeepAt(nested(200_000), 100)).toHaveLength(100);
  });
});
