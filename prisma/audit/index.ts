/** The audit's chain: how a row is hashed, and the walk that finds what was changed. */
export { chainHash, FIRST_SEQ, GENESIS, type AuditFacts } from './chain.ts';
export { verifyAudit, type BrokenLink, type ChainReport } from './verify.ts';
