import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../crds/canonical.ts';

/*
 * The chain of the audit: the hash of a row is SHA-256 of the hash before it and of the row as canonical JSON. Whoever
 * changes, inserts or takes out a row has to change every row after it, and the head that somebody wrote down.
 */

/** A row of the audit without its place in the chain. Times are epoch milliseconds. */
export interface AuditFacts {
  readonly seq: bigint;
  readonly at: number;
  readonly principal: string;
  readonly operation: string;
  readonly outcome: string;
  readonly code: string;
  readonly resource: string | null;
  readonly resourceId: string | null;
  readonly projectId: string | null;
  readonly requestId: string;
  readonly details: unknown;
}

/** What stands before the first row. */
export const GENESIS = Buffer.alloc(32);
/** Number of the first row. */
export const FIRST_SEQ = 1n;

/** Hash of a row that follows `prevHash`. */
export function chainHash(prevHash: Uint8Array, facts: AuditFacts): Buffer {
  const { seq, at, ...rest } = facts;
  const row = { ...rest, details: rest.details ?? null, seq: seq.toString(), at: new Date(at).toISOString() };
  return createHash('sha256').update(prevHash).update(canonicalJson(row)).digest();
}
