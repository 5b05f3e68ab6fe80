// Bundles each process into one file: an unbundled client library costs tens of MB and half a second at start.
import { build } from 'esbuild';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readMigrations } from '../../prisma/backup/known.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ENTRIES = {
  controller: 'controller/main.ts', api: 'api/main.ts', modelgateway: 'modelgateway/main.ts', migrate: 'prisma/migrate-main.ts', runner: 'runners/main.ts', setup: 'install/setup.ts', cli: 'cli/main.ts',
};
// What most installations never load is a file of its own beside them, so that it costs neither memory nor start.
const LAZY = {
  'platform/tracing/sdk.ts': 'tracing', 'platform/faults/sentry.ts': 'sentry', 'api/http/swagger-assets.ts': 'swagger', 'api/http/graphiql-page.ts': 'graphiql',
  'runners/executors/agent-loop.ts': 'agent', 'runners/bridge.ts': 'bridge',
};
const swagger = Object.fromEntries(['swagger-ui.css', 'swagger-ui-bundle.js'].map((file) => [file, readFileSync(`${root}node_modules/swagger-ui-dist/${file}`, 'utf8')]));
const lazy = {
  name: 'lazy',
  setup(bundle) {
    bundle.onResolve({ filter: /^\.\/(sdk|sentry|swagger-assets|graphiql-page|agent-loop|bridge)\.ts$/ }, ({ path, resolveDir, kind }) => {
      const name = LAZY[`${resolveDir.slice(root.length)}/${path.slice(2)}`];
      return name === undefined || kind !== 'dynamic-import' ? undefined : { path: `./${name}.mjs`, external: true };
    });
  },
};
const lazyEntries = Object.fromEntries(Object.entries(LAZY).map(([entry, name]) => [name, entry]));
// Some packages are CommonJS and call require; a module has none of its own.
const banner = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

// Large, or holding what only the API may have: in no other process.
const OF_THE_API = ['prisma/generated/', 'prisma/gateway/', 'node_modules/@prisma/', 'node_modules/firebase-admin/'];

// `bundle.mjs chaos` makes a second set in which failpoints are alive; in the ordinary one they are not even there.
const chaos = process.argv[2] === 'chaos';
const out = chaos ? 'dist/chaos' : 'dist';
mkdirSync(`${root}${out}`, { recursive: true });
for (const [name, entry] of Object.entries({ ...ENTRIES, ...lazyEntries })) {
  if (!existsSync(`${root}${entry}`)) continue;
  const started = process.hrtime.bigint();
  const { metafile } = await build({
    absWorkingDir: root, entryPoints: [entry], outfile: `${out}/${name}.mjs`, bundle: true, platform: 'node', format: 'esm', target: 'node24',
    sourcemap: true, minifySyntax: true, minifyWhitespace: true, treeShaking: true, legalComments: 'none', logLevel: 'error', banner: { js: banner },
    // A bundle has no folder of migrations beside it.
    define: { 'globalThis.RAMBO_CHAOS': String(chaos), 'globalThis.RAMBO_MIGRATIONS': JSON.stringify(readMigrations(`${root}prisma/migrations`)), 'globalThis.RAMBO_SWAGGER': name === 'swagger' ? JSON.stringify(swagger) : 'undefined' },
    plugins: [lazy],
    external: ['pg-native'], metafile: true,
  });
  const strays = name === 'api' ? [] : Object.keys(metafile.inputs).filter((input) => OF_THE_API.some((place) => input.startsWith(place)));
  if (strays.length > 0) throw new Error(`${name} must not hold ${strays.slice(0, 5).join(', ')}`);
  const ms = Number(process.hrtime.bigint() - started) / 1e6;
  console.error(`bundled ${chaos ? 'chaos/' : ''}${name}: ${(statSync(`${root}${out}/${name}.mjs`).size / 1024).toFixed(0)} KiB in ${ms.toFixed(0)} ms`);
}
