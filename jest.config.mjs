/** Two rings in one runner: `unit` beside the sources, `integration` below test/integration with real servers. */
const common = {
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'json'],
  testEnvironment: 'node',
  transform: {
    '^.+\\.ts$': ['@swc/jest', {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2024' },
      module: { type: 'es6' },
      sourceMaps: 'inline',
    }],
  },
};

export default {
  projects: [
    { ...common, displayName: 'unit', rootDir: import.meta.dirname, testMatch: ['<rootDir>/{crds,engine,platform,prisma,controller,runners,api,hack,test/unit}/**/*.test.ts'], testPathIgnorePatterns: ['/node_modules/', '/test/integration/', '/test/e2e/'] },
  ],
};
