import type { Io } from './io.ts';
import { plain, plainJson } from './plain.ts';

/** Says facts of somebody else under one another, each behind its name. */
export function sayFacts(io: Io, facts: readonly (readonly [name: string, text: string])[]): void {
  for (const [name, text] of facts) io.say(`${`${name}:`.padEnd(11)} ${plain(text)}`);
}

/** Says JSON of somebody else, indented. */
export function sayJson(io: Io, value: unknown): void {
  for (const line of plainJson(value).split('\n')) io.say(`  ${line}`);
}
