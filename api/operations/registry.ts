import { RamboError } from '../../platform/errors/index.ts';
import type { Operation } from './operation.ts';

/** Puts the operations of all modules together. Throws for two of one name or one route: whichever came second would never be reached. */
export function registry(...modules: readonly (readonly Operation[])[]): readonly Operation[] {
  const seen = new Set<string>();
  const all = modules.flat();
  for (const { name, rest } of all) {
    for (const key of [name, `${rest.method} ${rest.path.replaceAll(/\{[^}]*\}/g, '{}')}`]) {
      if (seen.has(key)) throw new RamboError('Bug', `two operations are ${key}`);
      seen.add(key);
    }
  }
  return all;
}
