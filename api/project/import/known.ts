import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { agentsThere } from '../../agent/imported.ts';
import { filesThere } from '../../file/imported.ts';
import { workflowsThere } from '../../workflow/imported.ts';
import type { GatewayDb, Prisma } from '../../../prisma/gateway/index.ts';
import type { RowRecord } from './records.ts';

/* What imports of a person have left: ids of the prototype and the rows they stand for. */

type Kind = RowRecord['kind'];

/** What is known of an old id. */
export interface Known {
  readonly entityId: string;
  /** SHA-256 of the record as it was taken last, in hex. */
  readonly digest: string | undefined;
}

/** Old ids of one person, by kind and identity. */
export class KnownIds {
  readonly #known: ReadonlyMap<string, Known>;

  constructor(rows: readonly { readonly kind: string; readonly oldId: string; readonly entityId: string; readonly digest: Uint8Array | null }[]) {
    this.#known = new Map(rows.map((row) => [`${row.kind} ${row.oldId}`, { entityId: row.entityId, digest: row.digest === null ? undefined : Buffer.from(row.digest).toString('hex') }]));
  }

  /** The row an identity stands for. */
  of(kind: Kind, identity: string | undefined): Known | undefined {
    return identity === undefined ? undefined : this.#known.get(`${kind} ${identity}`);
  }
}

/** Reads what is known of everything that some records are or refer to. */
export async function knownIds(tx: GatewayDb, ownerId: string, records: readonly RowRecord[]): Promise<KnownIds> {
  const wanted = records.flatMap((record): readonly (readonly [Kind, string])[] => [
    [record.kind, record.identity],
    ...('project' in record && record.project !== undefined ? [['project', record.project] as const] : []),
    ...('sprint' in record && record.sprint !== undefined ? [['sprint', record.sprint.identity] as const] : []),
    ...(record.kind === 'task' ? [record.parent, ...record.dependencies].flatMap((other) => (other === undefined ? [] : [['task', other.identity] as const])) : []),
    ...(record.kind === 'file' && record.parent !== undefined ? [['file', record.parent] as const] : []),
  ]);
  const rows = await tx.importedId.findMany({ where: { ownerId, kind: { in: [...new Set(wanted.map(([kind]) => kind))] }, oldId: { in: [...new Set(wanted.map(([, identity]) => identity))] } } });
  return new KnownIds(rows);
}

/** Remembers which rows old ids stand for, and what they were made of. */
export async function remember(tx: GatewayDb, ownerId: string, kind: Kind, rows: readonly { readonly identity: string; readonly entityId: string; readonly digest: string }[]): Promise<void> {
  if (rows.length === 0) return;
  const [identities, ids, digests] = [rows.map((row) => row.identity), rows.map((row) => row.entityId), rows.map((row) => row.digest)];
  await tx.$executeRaw`INSERT INTO imported_id (owner_id, kind, old_id, entity_id, digest)
    SELECT ${ownerId}::uuid, ${kind}, i, e, decode(d, 'hex') FROM unnest(${identities}::text[], ${ids}::uuid[], ${digests}::text[]) AS n (i, e, d)
    ON CONFLICT (owner_id, kind, old_id) DO UPDATE SET entity_id = excluded.entity_id, digest = excluded.digest`;
}

/** Which of these rows are there, with whether they are deleted. */
export async function rowsThere(tx: GatewayDb, kind: Kind, ids: readonly string[]): Promise<ReadonlyMap<string, { readonly deleted: boolean }>> {
  const where = { where: { id: { in: [...ids] } }, select: { id: true, deletedAt: true } } satisfies Prisma.TaskFindManyArgs;
  const read = {
    project: () => tx.project.findMany(where), sprint: () => tx.sprint.findMany(where), task: () => tx.task.findMany(where), ticket: () => tx.ticket.findMany(where),
    requirement: () => tx.requirement.findMany(where), agent: () => agentsThere(tx, ids), workflow: () => workflowsThere(tx, ids), file: () => filesThere(tx, ids),
  };
  return new Map((await read[kind]()).map((row) => [row.id, { deleted: row.deletedAt !== null }] as const));
}

/** An id that is the same however often an import is repeated: a UUID out of the import and the place in it. */
export function idOf(importId: string, position: number): string {
  const hash = createHash('sha256').update(`${importId} ${position}`).digest('hex');
  const variant = ((Number.parseInt(hash.slice(16, 17), 16) & 3) | 8).toString(16);
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-${variant}${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}
