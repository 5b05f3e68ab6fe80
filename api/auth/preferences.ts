import type { GatewayDb } from '../../prisma/gateway/index.ts';
import { jsonIn, objectIn } from '../operations/row-values.ts';

/** Adds entries to the preferences of a person, in the caller's transaction; those of the same names are replaced, all others stay. */
export async function mergePreferences(tx: GatewayDb, userId: string, entries: readonly (readonly [string, unknown])[], at: Date): Promise<void> {
  // Locked: two at once would each write what it read, and one of them would be lost.
  const [row] = await tx.$queryRaw<{ preferences: unknown }[]>`SELECT preferences FROM profile WHERE user_id = ${userId}::uuid FOR UPDATE`;
  const preferences = jsonIn(Object.fromEntries([...Object.entries(objectIn(row?.preferences)), ...entries]));
  await tx.profile.upsert({ where: { userId }, create: { userId, displayName: '', preferences, updatedAt: at }, update: { preferences, updatedAt: at } });
}
