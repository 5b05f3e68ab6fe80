import fc from 'fast-check';
import { attachment, servedType } from './disposition.ts';

test.each([
  'application/json', 'application/pdf', 'image/png', 'text/csv', 'text/plain', 'text/plain; charset=utf-8', 'TEXT/PLAIN', ' image/png ',
])('%s runs nothing and is told to browsers', (type) => { expect(servedType(type)).toBe(type); });

test.each([
  'text/html', 'image/svg+xml', 'text/javascript', 'application/xml', 'application/xhtml+xml', 'text/html; charset=utf-8', 'text/plain-html', 'text/plain,text/html', '', ';text/plain', 'multipart/x-mixed-replace', 'application/wasm',
])('%j leaves as plain bytes', (type) => { expect(servedType(type)).toBe('application/octet-stream'); });

test.each<[string, string]>([
  ['report.csv', `attachment; filename="report.csv"; filename*=UTF-8''report.csv`],
  ['a b.txt', `attachment; filename="a b.txt"; filename*=UTF-8''a%20b.txt`],
  ['a"b\\c.txt', `attachment; filename="a_b_c.txt"; filename*=UTF-8''a%22b%5Cc.txt`],
  ['100%.txt', `attachment; filename="100_.txt"; filename*=UTF-8''100%25.txt`],
  ["it's (1)*.txt", `attachment; filename="it's (1)*.txt"; filename*=UTF-8''it%27s%20%281%29%2A.txt`],
  ['日本', `attachment; filename="__"; filename*=UTF-8''%E6%97%A5%E6%9C%AC`],
  ['a\r\nSet-Cookie: x', `attachment; filename="a__Set-Cookie: x"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x`],
])('%j is saved under its name', (name, header) => { expect(attachment(name)).toBe(header); });

test('whatever a file is called, it is one header, of printable ASCII, in which its name comes back', () => {
  fc.assert(fc.property(fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)), maxLength: 200 }), (name) => {
    const match = /^attachment; filename="([\x20-\x21\x23-\x5b\x5d-\x7e]{1,150})"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*)$/.exec(attachment(name));
    expect(match).not.toBeNull();
    expect(decodeURIComponent(match?.[2] ?? '')).toBe(name.toWellFormed());
  }), { numRuns: 500 });
});
