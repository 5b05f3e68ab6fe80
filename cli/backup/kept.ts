import { readdirSync } from 'node:fs';
import path from 'node:path';
import { remove } from '../io/files.ts';

/** What stands for the moment in the name of a backup. */
export const TIME = '{time}';
const MOMENT = String.raw`\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z`;

/** The name with the moment in it (epoch milliseconds): names sort by age. */
export function nameAt(out: string, at: number): string {
  return out.replaceAll(TIME, `${new Date(at).toISOString().slice(0, 19).replaceAll(':', '-')}Z`);
}

/** Names of a folder that are backups of this pattern, beyond the `keep` newest; oldest first. */
export function outdated(names: readonly string[], pattern: string, keep: number): readonly string[] {
  const escaped = pattern.split(TIME).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const ours = new RegExp(`^${escaped.join(MOMENT)}$`);
  return names.filter((name) => ours.test(name)).sort().slice(0, -keep);
}

/** Removes backups beside `out` beyond the `keep` newest. Returns their names. */
export async function removeOutdated(out: string, keep: number): Promise<readonly string[]> {
  const folder = path.dirname(path.resolve(out));
  const gone = outdated(readdirSync(folder), path.basename(out), keep);
  for (const name of gone) await remove(path.join(folder, name));
  return gone;
}
