import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Root of the checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Files that git tracks, and new ones it does not ignore, relative to the root. */
export function trackedFiles(): readonly string[] {
  const out = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1_048_576 });
  return out.split('\n').filter((file) => file !== '' && existsSync(`${ROOT}/${file}`));
}

const ROOMS = ['crds', 'engine', 'platform', 'prisma', 'controller', 'runners', 'api', 'modelgateway', 'install', 'cli'];

/** Whether a file is TypeScript of a room: no tests, nothing generated, no fixtures. */
export function isSource(file: string): boolean {
  return file.endsWith('.ts') && ROOMS.includes(file.split('/')[0] ?? '') && !isTest(file) && !file.includes('/generated/') && !file.includes('/testing/');
}

/** Whether a file belongs to the tests. */
export function isTest(file: string): boolean {
  return /(\.test|test-kit)\.ts$/.test(file) || (file.startsWith('test/') && file.endsWith('.ts')) || file.includes('/testing/');
}
