import path from 'node:path';

/** The repository as far as links go. */
export interface LinkTargets {
  readonly exists: (file: string) => boolean;
  readonly read: (file: string) => string;
}

/** What is wrong with the relative links of one page: a file that is not there, a heading that its page does not have. */
export function brokenLinks(file: string, text: string, { exists, read }: LinkTargets): readonly string[] {
  const links = [...prose(text).matchAll(/\]\(([^()\s]+)(?: "[^"]*")?\)/g)].map((match) => match[1] ?? '');
  return links.filter((link) => !/^[a-z][a-z+.-]*:/.test(link)).flatMap((link) => {
    const [target = '', anchor] = link.split('#');
    const place = target === '' ? file : path.posix.join(path.posix.dirname(file), target);
    if (!exists(place)) return [`${file} links to ${link}, which does not exist`];
    if (anchor === undefined || !place.endsWith('.md') || headings(target === '' ? text : read(place)).has(anchor)) return [];
    return [`${file} links to ${link}: ${place} has no such heading`];
  });
}

/** Anchors of the headings of a page, as GitHub makes them. */
export function headings(text: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  return new Set([...prose(text).matchAll(/^#{1,6} +(.+?)\s*$/gm)].map((match) => {
    const words = (match[1] ?? '').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = words.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(/\s/g, '-');
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    return before === 0 ? slug : `${slug}-${before}`;
  }));
}

/** The page without its code. */
function prose(text: string): string {
  return text.replaceAll(/^( *)(`{3,}|~{3,})[^\n]*\n[\s\S]*?^ *\2`* *$/gm, '').replaceAll(/`[^`\n]*`/g, (code) => (code.includes('](') ? '' : code));
}
