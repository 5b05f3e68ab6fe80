import type { Buffer } from 'node:buffer';
import pg from 'pg';
import { storeError } from '../store/errors.ts';
import { chainHash, FIRST_SEQ, GENESIS } from './chain.ts';

/** A place where the chain is broken. */
export interface BrokenLink {
  /** Number of the row, or of the first one that is missing. */
  readonly seq: bigint;
  /** `Changed`: the row is not what it was when it was written; `Unlinked`: it follows another row than the one before it; `Missing`: rows are gone. */
  readonly kind: 'Changed' | 'Unlinked' | 'Missing';
}

/** What a look at the whole chain found. */
export interface ChainReport {
  readonly rows: number;
  /** The last row: written down elsewhere, it shows later that rows were cut off the end. */
  readonly head: { readonly seq: bigint; readonly hash: string } | undefined;
  /** The first 20. */
  readonly broken: readonly BrokenLink[];
}

interface Row {
  readonly seq: string; readonly at: string; readonly principal: string; readonly operation: string; readonly outcome: string; readonly code: string;
  readonly resource: string | null; readonly resourceId: string | null; readonly projectId: string | null; readonly requestId: string;
  readonly details: string | null; readonly prevHash: Buffer; readonly hash: Buffer;
}

const PAGE = 1_000;
const MOST_BROKEN = 20;
// Times as text: a driver's Date would round microseconds that somebody wrote by hand.
const ROWS = `SELECT seq, (extract(epoch FROM at) * 1000)::text AS at, principal, operation, outcome, code, resource, resource_id AS "resourceId", project_id AS "projectId",
  request_id AS "requestId", details::text AS details, prev_hash AS "prevHash", hash FROM audit WHERE seq > $1::int8 ORDER BY seq LIMIT ${PAGE}`;

/**
 * Walks the whole chain in one snapshot. `expected` is a head written down before: where that row is not as it was, or is gone,
 * it is named. Throws UnavailableError or RamboError `Database`.
 */
export async function verifyAudit(url: string, expected?: { readonly seq: bigint; readonly hash: string }): Promise<ChainReport> {
  const client = new pg.Client({ connectionString: url, application_name: 'rambo-audit-verify', connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return await walk(client, expected);
  } catch (error) {
    throw storeError('audit', error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function walk(client: pg.Client, expected: { readonly seq: bigint; readonly hash: string } | undefined): Promise<ChainReport> {
  const broken: BrokenLink[] = [];
  const found = (seq: bigint, kind: BrokenLink['kind']): void => { if (broken.length < MOST_BROKEN) broken.push({ seq, kind }); };
  let rows = 0;
  let head: { seq: bigint; hash: Buffer } | undefined;
  for (;;) {
    const { rows: page } = await client.query<Row>(ROWS, [(head?.seq ?? 0n).toString()]);
    for (const row of page) {
      const seq = BigInt(row.seq);
      const link = linkProblem(row, seq, head);
      if (link !== undefined) found(...link);
      if (!intact(row, seq) || (expected?.seq === seq && row.hash.toString('hex') !== expected.hash)) found(seq, 'Changed');
      head = { seq, hash: row.hash };
      rows++;
    }
    if (page.length < PAGE) break;
  }
  if (expected !== undefined && (head === undefined || head.seq < expected.seq)) found((head?.seq ?? 0n) + 1n, 'Missing');
  return { rows, head: head === undefined ? undefined : { seq: head.seq, hash: head.hash.toString('hex') }, broken };
}

function linkProblem(row: Row, seq: bigint, before: { readonly seq: bigint; readonly hash: Buffer } | undefined): [bigint, BrokenLink['kind']] | undefined {
  const next = before === undefined ? FIRST_SEQ : before.seq + 1n;
  if (seq !== next) return [next, 'Missing'];
  return row.prevHash.equals(before?.hash ?? GENESIS) ? undefined : [seq, 'Unlinked'];
}

/** Whether a row has the hash of what it says. A details column that is no JSON was not written by us. */
function intact(row: Row, seq: bigint): boolean {
  const { at, details, prevHash, hash, ...rest } = row;
  const ms = Number(at);
  if (!Number.isInteger(ms)) return false;
  try {
    return chainHash(prevHash, { ...rest, seq, at: ms, details: details === null ? null : JSON.parse(details) }).equals(hash);
  } catch {
    return false;
  }
}
