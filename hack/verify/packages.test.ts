import { packageProblems, packagesIn } from './packages.ts';

test.each<[string, readonly string[]]>([
  ["import { a } from '@scope/name/sub/path';", ['@scope/name']],
  ["import type { A } from 'zod';\nexport { b } from \"yaml/x\";", ['zod', 'yaml']],
  ["import {\n  a,\n  b,\n} from 'pg';", ['pg']],
  ["import 'reflect';", ['reflect']],
  ["const x = await import('pino');\nconst y = require('esbuild');", ['pino', 'esbuild']],
  ["import fs from 'node:fs';\nimport path from 'path';\nimport a from './a.ts';\nimport b from '../b.ts';", []],
])('packages of %j', (text, names) => {
  expect([...packagesIn(text)]).toEqual(names);
});

test('what is undeclared, what is unused and what floats is said with its name', () => {
  const files = new Map([['a.ts', "import 'ghost';\nimport { x } from 'used';"]]);
  expect(packageProblems(files, { dependencies: { used: '1.2.3', idle: '1.0.0' }, devDependencies: { '@types/used': '1.0.0', jest: '^30.0.0' } })).toEqual([
    'a.ts imports ghost, which package.json does not declare', 'package.json declares idle, which nothing imports', 'package.json declares jest as ^30.0.0: pin one version',
  ]);
});
