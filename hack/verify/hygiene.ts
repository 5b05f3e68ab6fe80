import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, trackedFiles } from './files.ts';
import { brokenLinks } from './links.ts';
import { PENDING } from './pending.ts';

/** Text that must stand in no file: paths of one machine, hosts of package registries. Assembled, so that this file does not hold it. */
const FORBIDDEN: readonly (readonly [string, RegExp])[] = [
  ['a path of this machine', new RegExp(['/wo' + 'rk/(main|shared)', '/ro' + 'ot/'].join('|'))],
  ['a registry host', new RegExp(['registry\\.npm' + 'js\\.org', 'proxy\\.gol' + 'ang\\.org', 'py' + 'pi\\.org', 'deb\\.deb' + 'ian\\.org'].join('|'))],
];

/** What is wrong with the tracked files themselves. */
export function hygiene(): readonly string[] {
  const problems: string[] = [];
  for (const file of trackedFiles()) {
    if (/\.(png|ico|woff2?)$/.test(file)) continue;
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    for (const [what, pattern] of FORBIDDEN) if (pattern.test(text)) problems.push(`${file} holds ${what}: ${pattern.exec(text)?.[0] ?? ''}`);
    if (file === 'package-lock.json' && text.includes('"resolved"')) problems.push('package-lock.json holds "resolved" addresses');
    if (file.endsWith('.md')) problems.push(...brokenLinks(file, text, { exists: (place) => PENDING.has(place) || existsSync(path.join(ROOT, place)), read: (place) => readFileSync(path.join(ROOT, place), 'utf8') }));
  }
  return problems;
}
