import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from './files.ts';
import { installScriptProblems } from './install-scripts.ts';

const lock = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, object> };
const npmrc = readFileSync(path.join(ROOT, '.npmrc'), 'utf8');

test('every package with an install script has been looked at', () => {
  expect(installScriptProblems(npmrc, lock)).toEqual([]);
});

test('a new one, one that is gone, and scripts that may run are told', () => {
  const more = { packages: { ...lock.packages, 'node_modules/a/node_modules/evil': { hasInstallScript: true } } };
  expect(installScriptProblems(npmrc, more)).toEqual([expect.stringContaining('brings evil with')]);
  const none = Object.fromEntries(Object.entries(lock.packages).filter(([place]) => !place.endsWith('/esbuild')));
  expect(installScriptProblems(npmrc, { packages: none })).toEqual([expect.stringContaining('names esbuild')]);
  expect(installScriptProblems(npmrc.replace('ignore-scripts=true', ''), lock)).toEqual([expect.stringContaining('ignore-scripts=true')]);
});

/** T24: what a package wants to run while it is installed does not run. */
test('a postinstall does not run under our .npmrc', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-npm-'));
  try {
    const evil = path.join(dir, 'evil');
    const home = path.join(dir, 'home');
    mkdirSync(evil);
    mkdirSync(home);
    const ran = path.join(dir, 'ran');
    writeFileSync(path.join(evil, 'package.json'), JSON.stringify({ name: 'evil', version: '1.0.0', scripts: { postinstall: `echo > '${ran}'` } }));
    writeFileSync(path.join(home, 'package.json'), JSON.stringify({ name: 'home', version: '1.0.0', private: true, dependencies: { evil: 'file:../evil' } }));
    const install = (): void => { execFileSync('npm', ['install', '--offline', '--install-links', '--no-audit'], { cwd: home, stdio: 'pipe' }); };
    cpSync(path.join(ROOT, '.npmrc'), path.join(home, '.npmrc'));
    install();
    expect([existsSync(path.join(home, 'node_modules/evil')), existsSync(ran)]).toEqual([true, false]);
    rmSync(path.join(home, '.npmrc'));
    rmSync(path.join(home, 'node_modules'), { recursive: true });
    install();
    expect(existsSync(ran)).toBe(true);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}, 60_000);
