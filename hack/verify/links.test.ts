import { brokenLinks, headings } from './links.ts';

const pages: Readonly<Record<string, string>> = {
  'docs/a.md': '# A page\n\n## What to do when\n\n## What to do when\n\n## `rambo.dev/x`: T1-T24 & more\n',
  'docs/b.md': '',
  'examples/x.yaml': '',
};
const targets = { exists: (file: string) => file in pages || file === 'docs', read: (file: string) => pages[file] ?? '' };

test('headings as GitHub names them', () => {
  expect([...headings(pages['docs/a.md'] ?? '')]).toEqual(['a-page', 'what-to-do-when', 'what-to-do-when-1', 'rambodevx-t1-t24--more']);
  expect([...headings('```sh\n# no heading\n```\n# One\n')]).toEqual(['one']);
});

test.each<[string, readonly string[]]>([
  ['[b](b.md) [x](../examples/x.yaml) [out](https://example.com/nowhere) [mail](mailto:a@b.c) [folder](../docs)', []],
  ['[a](a.md#what-to-do-when) [again](a.md#what-to-do-when-1)', []],
  ['# Here\n[up](#here)', []],
  ['[gone](gone.md)', ['docs/p.md links to gone.md, which does not exist']],
  ['[gone](./sub/gone.md "title")', ['docs/p.md links to ./sub/gone.md, which does not exist']],
  ['[a](a.md#what-not-to-do)', ['docs/p.md links to a.md#what-not-to-do: docs/a.md has no such heading']],
  ['[up](#nowhere)', ['docs/p.md links to #nowhere: docs/p.md has no such heading']],
  ['```md\n[gone](gone.md)\n```\n`[gone](gone.md)`', []],
])('%s', (text, problems) => {
  const page = { ...targets, exists: (file: string) => file === 'docs/p.md' || targets.exists(file) };
  expect(brokenLinks('docs/p.md', text, page)).toEqual(problems);
});
