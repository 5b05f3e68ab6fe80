import { createHash } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id in the form Postgres and the subjects use, or undefined for what can be no run id. */
export function asRunId(id: string): string | undefined {
  return UUID.test(id) ? id.toLowerCase() : undefined;
}

/**
 * Id of a run started under an idempotency key: derived, so that a repetition goes to the shard, and so to the owner, that
 * took the first one, even when its answer was lost. A UUID of version 8 (RFC 9562: own scheme) from SHA-256; the parts
 * are JSON, so that no delimiter inside them can make two keys alike.
 */
export function derivedRunId(namespace: string, principal: string, key: string): string {
  const bytes = createHash('sha256').update(JSON.stringify(['rambo.dev/run', namespace, principal, key])).digest();
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
