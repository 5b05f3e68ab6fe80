import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/* The rules of the house that a machine can hold. Types and the direction of imports between rooms are held by `tsc -b`. */

const source = ['crds/**/*.ts', 'engine/**/*.ts', 'platform/**/*.ts', 'prisma/**/*.ts', 'controller/**/*.ts', 'runners/**/*.ts', 'api/**/*.ts', 'modelgateway/**/*.ts', 'install/**/*.ts', 'cli/**/*.ts'];
const tests = ['**/*.test.ts', '**/test-kit.ts', '**/testing/**', 'test/**/*.ts'];

/** Time comes from platform/clock and randomness from platform/ids, so that waiting is tested without sleeping. */
const noClock = [
  { object: 'Date', property: 'now', message: 'inject platform/clock' },
  { object: 'performance', property: 'now', message: 'inject platform/clock' },
  { object: 'Math', property: 'random', message: 'inject platform/ids' },
];
const noEnv = { object: 'process', property: 'env', message: 'only platform/config reads the environment' };
const noTimers = ['setTimeout', 'setInterval'].map((name) => ({ name, message: 'inject platform/clock' }));

/** Rooms that must not see each other although their project reference would allow it. */
const zones = [
  ...['run', 'workflow', 'pool'].map((room) => ({
    target: `./controller/${room}`, from: './controller', except: [`./${room}`, './runtime'], message: 'features never import each other: wire them in controller/wiring',
  })),
  { target: './controller/runtime', from: './controller', except: ['./runtime'], message: 'the runtime knows no product' },
  { target: './modelgateway', from: './api' }, { target: './modelgateway', from: './controller' }, { target: './modelgateway', from: './runners' }, { target: './modelgateway', from: './prisma/backup' },
  { target: './api', from: './modelgateway' }, { target: './controller', from: './modelgateway' }, { target: './runners', from: './modelgateway' }, { target: './cli', from: './modelgateway' },
  { target: './api', from: './controller' }, { target: './api', from: './runners' },
  { target: './cli', from: './prisma/store', message: 'the command line copies whole databases (prisma/backup); rows are the controller\'s and the API\'s' },
  { target: './cli', from: './controller' }, { target: './cli', from: './api' }, { target: './controller', from: './prisma/backup' }, { target: './api', from: './prisma/backup' },
  ...['controller', 'modelgateway', 'cli', 'install', 'runners', 'prisma/store', 'prisma/backup', 'prisma/audit'].map((room) => ({
    target: `./${room}`, from: './prisma', except: ['./store', './backup', './audit', './migrate.ts'], message: 'prisma/gateway and its client are the API\'s: a megabyte of it must not be in other processes',
  })),
  { target: './runners', from: './platform/kube', message: 'a runner holds no Kubernetes credential' },
];

const libraryOf = (group, rooms) => ({ group, message: `only ${rooms} import(s) this library` });

export default tseslint.config(
  { ignores: ['prisma.config.ts', 'dist/', '.rambo/', 'node_modules/', 'prisma/generated/', '**/*.d.ts'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    rules: {
      'max-lines': ['error', { max: 450 }],
      'max-lines-per-function': ['error', { max: 60 }],
      complexity: ['error', 18], 'max-depth': ['error', 3], 'max-params': ['error', 7],
      'no-eval': 'error', 'no-implied-eval': 'error', 'no-new-func': 'error',
      'prefer-const': 'error', eqeqeq: ['error', 'always', { null: 'ignore' }],
      'import-x/no-restricted-paths': ['error', { zones, basePath: import.meta.dirname }],
      'no-restricted-syntax': ['error',
        { selector: 'TSEnumDeclaration', message: 'use a const object or a union' },
        { selector: 'ImportDeclaration[source.value="node:vm"]', message: 'no code generation' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      // JSON.parse gives any; its result is typed where it is received, and parsed with zod at the doors.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      // Interfaces of consumers are async although a stub or an adapter may answer at once.
      '@typescript-eslint/require-await': 'off',
      // A leading underscore says: taken out on purpose, not used.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_' }],
      // Our interfaces are method shorthands of plain objects; none of them reads `this`.
      '@typescript-eslint/unbound-method': 'off',
      // Values in messages are often numbers.
      '@typescript-eslint/restrict-template-expressions': 'off',
      // Fields that change while one awaits, and objects that outside code wrote, are looked at again although their type says it all.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // `return fail(...)` in a visitor reads better than two lines.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreVoidReturningFunctions: true }],
      // A type parameter that only the result has: the caller names what it stored.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
    },
  },
  {
    files: source,
    ignores: [...tests, 'prisma/migrate.ts'],
    rules: {
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true, defaultFrom: true, namedFrom: true, namespaceFrom: true } }],
      'no-restricted-properties': ['error', ...noClock, noEnv],
      'no-restricted-globals': ['error', ...noTimers],
      'no-restricted-imports': ['error', { patterns: [
        libraryOf(['@nats-io/*'], 'platform/nats'), libraryOf(['pg', '@prisma/*'], 'prisma'), libraryOf(['@kubernetes/client-node'], 'platform/kube'),
        libraryOf(['prom-client'], 'platform/metrics'), libraryOf(['pino'], 'platform/log'), libraryOf(['firebase-admin', 'firebase-admin/*', 'jose'], 'api/auth/firebase, and jose in platform/agent-token'), libraryOf(['nodemailer'], 'api/auth/mail'), libraryOf(['@aws-sdk/*', '@smithy/*'], 'platform/objects'),
      ] }],
    },
  },
  {
    // The room that wraps each of these libraries.
    files: ['api/auth/firebase/**', 'platform/agent-token/**', 'api/auth/mail/**', 'platform/nats/**', 'prisma/**', 'platform/kube/**', 'platform/metrics/**', 'platform/log/**', 'platform/objects/**'],
    rules: { 'no-restricted-imports': 'off' },
  },
  {
    // Where time, randomness and the environment come from; mains hand the environment of a process on.
    files: ['platform/clock/**', 'platform/ids/**', 'platform/config/**', 'runners/main.ts'],
    rules: { 'no-restricted-properties': 'off', 'no-restricted-globals': 'off' },
  },
  {
    // Pure and synchronous: no I/O. Preparing a JSON Schema is asynchronous in the library and does no I/O.
    files: ['engine/**/*.ts'],
    ignores: tests,
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group: ['node:*'], message: 'the engine does no I/O' }, { group: ['../platform/*', '../../platform/*', '**/prisma/**'], message: 'the engine knows no machine' }] }] },
  },
  {
    // Tests read JSON they wrote, poll real servers, and may be long; the build and the harness are no product.
    files: [...tests, 'hack/**/*.ts', 'bench/**/*.ts', 'prisma.config.ts'],
    rules: {
      'max-lines': 'off', 'max-lines-per-function': 'off', '@typescript-eslint/no-unsafe-member-access': 'off', '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off', '@typescript-eslint/no-unsafe-call': 'off', '@typescript-eslint/unbound-method': 'off',
    },
  },
);
