import fc from 'fast-check';
import { pageInput, pageValue } from '../operations/paging.ts';
import { fileNameSchema, objectKey, projectOfKey, projectPrefix } from './names.ts';

const ID = '01234567-89ab-7def-8123-456789abcdef';

test.each([['a.txt', 'a.txt'], ['e\u0301', 'é'], ['...', '...'], ['.git', '.git'], ['a b', 'a b'], ['%2e%2e%2f', '%2e%2e%2f'], ['<script>', '<script>'], ['日本', '日本']])('%j is a name: %j', (given, name) => {
  expect(fileNameSchema.parse(given)).toBe(name);
});

test.each<[string, string]>([
  ['', 'Too small: expected string to have >=1 characters'], ['a/b', 'holds a slash, a backslash or a control character: leave it out'], ['a\\b', 'holds a slash, a backslash or a control character: leave it out'], ['a\u0000', 'holds a slash, a backslash or a control character: leave it out'],
  ['a\nb', 'holds a slash, a backslash or a control character: leave it out'], ['a\u2028b', 'holds a slash, a backslash or a control character: leave it out'], ['\ud800', 'holds a slash, a backslash or a control character: leave it out'],
  ['.', 'is no name: give one that is not blank, not . and not ..'], ['..', 'is no name: give one that is not blank, not . and not ..'], [' .. ', 'is no name: give one that is not blank, not . and not ..'], ['  ', 'is no name: give one that is not blank, not . and not ..'], ['\u00a0', 'is no name: give one that is not blank, not . and not ..'],
  ['é'.repeat(501), 'Too big: expected string to have <=500 characters'], ['日'.repeat(342), 'is too long: at most 1024 bytes of UTF-8'],
])('%j is none: %s', (given, message) => {
  expect(fileNameSchema.safeParse(given).error?.issues[0]?.message).toBe(message);
});

test('a name that becomes longer when it is normalised is measured as it is kept', () => {
  expect(fileNameSchema.safeParse('\ufb2c'.repeat(170)).success).toBe(false);
});

test('whatever a file is called, the list can be read on from it', () => {
  const name = fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 500 }), fc.nat(500).map((n) => 'Ж'.repeat(n + 1)), fc.nat(341).map((n) => '日'.repeat(n + 1)), fc.nat(500).map((n) => '"'.repeat(n + 1)));
  fc.assert(fc.property(name, (given) => {
    const parsed = fileNameSchema.safeParse(given);
    if (!parsed.success) return;
    const cursor = pageValue('files', { items: [parsed.data], hasMore: true }, false, (item) => [item, ID]).cursorOf(parsed.data);
    expect(pageInput('files', { after: cursor }).after).toEqual({ value: parsed.data, id: ID });
  }), { numRuns: 300 });
});

test('a key holds ids alone, and names its project', () => {
  expect(objectKey(ID, 'f1')).toBe(`projects/${ID}/files/f1`);
  expect(objectKey(ID, 'f1').startsWith(projectPrefix(ID))).toBe(true);
  expect(projectOfKey(objectKey(ID, 'f1'))).toBe(ID);
});

test.each(['', 'projects/', `projects/${ID}`, `projects/${ID}/file/x`, `x/projects/${ID}/files/x`, `projects/${ID.toUpperCase()}/files/x`, `projects/${ID}0/files/x`, `projects/../files/x`])('%j is no key of ours', (key) => {
  expect(projectOfKey(key)).toBeUndefined();
});
