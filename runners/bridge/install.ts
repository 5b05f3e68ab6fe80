import { chmodSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Shared libraries in the memory map of a process, by their paths; its loader is one of them. */
export function librariesOf(maps: string): readonly string[] {
  const files = maps.split('\n').map((line) => /\s(\/\S+)$/.exec(line)?.[1]).filter((file) => file !== undefined);
  return [...new Set(files.filter((file) => /\.so(\.[\d.]+)?$/.test(file)))];
}

/** Names under which a loader may ask for a library: as it lies there, and with its first version number alone. */
export function namesOf(library: string): readonly string[] {
  const name = path.basename(library);
  const short = /^(.+?\.so\.\d+)\.[\d.]+$/.exec(name)?.[1];
  return short === undefined ? [name] : [name, short];
}

/**
 * Copies Node, what it is linked against, its loader and the bridge into a folder, from where they run in any Linux image of the same
 * processor, whatever libraries it has. Throws where the loader cannot be found.
 */
export function install(folder: string, bridge: string): void {
  const libraries = librariesOf(readFileSync('/proc/self/maps', 'utf8'));
  const loader = libraries.find((file) => /^ld[-.]/.test(path.basename(file)));
  if (loader === undefined) throw new Error('this Node has no loader that could be copied');
  mkdirSync(path.join(folder, 'lib'), { recursive: true });
  for (const library of libraries) for (const name of namesOf(library)) copyFileSync(library, path.join(folder, 'lib', name));
  const copies = [[loader, 'ld.so', 0o755], [process.execPath, 'node', 0o755], [bridge, 'bridge.mjs', 0o644]] as const;
  for (const [from, name, mode] of copies) {
    copyFileSync(from, path.join(folder, name));
    chmodSync(path.join(folder, name), mode);
  }
}
