/**
 * Three rings in one runner: `unit` beside the sources, `integration` below test/integration against real servers, `e2e` below
 * test/e2e on a real cluster with the chart installed.
 */
const common = {
  rootDir: import.meta.dirname,
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'json'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.rambo/'],
  testEnvironment: 'node',
  // A busy machine is slow; no test waits for time to pass.
  testTimeout: 60_000,
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' }, sourceMaps: 'inline' }],
  },
};

const rooms = 'crds,engine,platform,prisma,controller,runners,api,modelgateway,install,cli,hack,bench,test/chaos,test/chart';

export default {
  // One more than the two cores of the smallest machine: many files wait for servers, leases and timers for half of their time.
  maxWorkers: 3,
  testSequencer: '<rootDir>/test/harness/longest-first.mjs',
  // RAMBO_TEST_RANDOM=1 shuffles the tests within each file: it finds those that lean on one another.
  randomize: process.env.RAMBO_TEST_RANDOM === '1',
  projects: [
    { ...common, displayName: 'unit', testMatch: [`<rootDir>/{${rooms}}/**/*.test.ts`] },
    {
      ...common, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.test.ts'],
      globalSetup: '<rootDir>/test/harness/global-setup.ts', globalTeardown: '<rootDir>/test/harness/global-teardown.ts',
      setupFilesAfterEnv: ['<rootDir>/test/harness/timeouts.mjs'],
    },
    {
      ...common, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.test.ts'],
      globalSetup: '<rootDir>/test/e2e/global-setup.ts', globalTeardown: '<rootDir>/test/e2e/global-teardown.ts',
      setupFilesAfterEnv: ['<rootDir>/test/e2e/timeouts.mjs'],
    },
  ],
};
