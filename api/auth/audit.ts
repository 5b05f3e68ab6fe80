import { chainHash, FIRST_SEQ, GENESIS } from '../../prisma/audit/index.ts';
import type { AuditFacts } from '../../prisma/audit/index.ts';
import type { Gateway, GatewayDb } from '../../prisma/gateway/index.ts';
import { Prisma } from '../../prisma/gateway/index.ts';
import type { ApiLog } from '../ports.ts';

/** How an attempt ended. */
export type AuditOutcome = 'DONE' | 'REFUSED' | 'FAILED';

/** What the audit keeps of one attempt. No secrets, no payloads: `details` are names and ids of at most a few hundred bytes. */
export interface AuditEntry {
  /** Epoch milliseconds. */
  readonly at: number;
  /** `user:<id>`, the name of a Kubernetes principal, or `anonymous`. */
  readonly principal: string;
  readonly operation: string;
  readonly outcome: AuditOutcome;
  /** `OK` or a documented error code. */
  readonly code: string;
  readonly resource?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly projectId?: string | undefined;
  readonly requestId: string;
  readonly details?: Readonly<Record<string, string | number | boolean | null | readonly string[]>> | undefined;
}

/** Of the advisory lock that holds the head of the chain until the transaction ends. */
const HEAD_LOCK = 0x61_75_64_69; // "audi"
const MOST_TEXT = 256;

/**
 * Adds entries to the chain, in the transaction of what they tell about. The head is locked until that transaction ends, so this has to
 * be the last thing it does. Throws what the gateway throws.
 */
export async function appendAudit(tx: GatewayDb, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return;
  // Statements of their own: what the second one sees begins after the first one has got the lock.
  await tx.$queryRaw`SELECT pg_advisory_xact_lock(${HEAD_LOCK}::int8)::text AS locked`;
  const head = await tx.audit.findFirst({ orderBy: { seq: 'desc' }, select: { seq: true, hash: true } });
  let seq = head === null ? FIRST_SEQ : head.seq + 1n;
  let prevHash: Uint8Array = head?.hash ?? GENESIS;
  const rows: Prisma.AuditCreateManyInput[] = [];
  for (const entry of entries) {
    const facts = factsOf(seq, entry);
    const hash = chainHash(prevHash, facts);
    const { details, at, ...rest } = facts;
    rows.push({
      ...rest, at: new Date(at), details: entry.details === undefined ? Prisma.skip : JSON.parse(JSON.stringify(details)), prevHash: Uint8Array.from(prevHash), hash: Uint8Array.from(hash),
    });
    prevHash = hash;
    seq += 1n;
  }
  await tx.audit.createMany({ data: rows });
}

/** Texts that callers had a hand in are cut, and lose what Postgres cannot store. */
function factsOf(seq: bigint, entry: AuditEntry): AuditFacts {
  const text = (value: string): string => value.replaceAll('\0', '').toWellFormed().slice(0, MOST_TEXT);
  return {
    seq, at: entry.at, principal: text(entry.principal), operation: text(entry.operation), outcome: entry.outcome, code: entry.code,
    resource: entry.resource === undefined ? null : text(entry.resource), resourceId: entry.resourceId === undefined ? null : text(entry.resourceId),
    projectId: entry.projectId ?? null, requestId: entry.requestId, details: entry.details ?? null,
  };
}

interface Waiting { readonly entry: AuditEntry; readonly done: () => void }

/** Refused attempts wait so many at most; above, the log alone has them. */
const MOST_WAITING = 5_000;
const AT_ONCE = 200;

/**
 * Writes entries that belong to no transaction: refused and failed attempts. Those that come while others are being written go together
 * into the next transaction, so that a flood of them is a few statements.
 */
export class AuditQueue {
  readonly #gateway: Pick<Gateway, 'transaction'>;
  readonly #log: ApiLog;
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;

  constructor(gateway: Pick<Gateway, 'transaction'>, log: ApiLog) {
    this.#gateway = gateway;
    this.#log = log;
  }

  /** Resolves once the entry is written, or is given up and logged: an answer never fails for it. */
  add(entry: AuditEntry): Promise<void> {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#lost([entry], undefined);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.push({ entry, done: resolve });
      this.#writing ??= this.#write().finally(() => { this.#writing = undefined; });
    });
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, AT_ONCE);
      const entries = batch.map(({ entry }) => entry);
      try {
        await this.#gateway.transaction((tx) => appendAudit(tx, entries));
      } catch (error) {
        this.#lost(entries, error);
      }
      for (const { done } of batch) done();
    }
  }

  #lost(entries: readonly AuditEntry[], error: unknown): void {
    for (const { principal, operation, outcome, code, requestId } of entries) {
      this.#log.error({ principal, op: operation, outcome, code, requestId, err: error }, 'an attempt could not be written into the audit');
    }
  }
}
