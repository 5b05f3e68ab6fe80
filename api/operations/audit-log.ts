import type { GatewayDb } from '../../prisma/gateway/index.ts';

/** One line of the audit. */
export interface AuditEntry {
  /** Epoch milliseconds. */
  readonly at: number;
  /** Name of the principal. */
  readonly principal: string;
  readonly operation: string;
  readonly outcome: 'DONE' | 'REFUSED' | 'FAILED';
  /** `OK` or the code of the error. */
  readonly code: string;
  readonly resource?: string;
  readonly resourceId?: string;
  readonly projectId?: string;
  readonly requestId: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The audit, as operations need it. Append is the last statement of its transaction: it holds the head of the chain until the commit. */
export interface AuditLog {
  append(tx: GatewayDb, entry: AuditEntry): Promise<void>;
}
