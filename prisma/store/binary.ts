import { RowError } from './errors.ts';

/*
 * Postgres arrays in their binary wire format, one per column of a batch. As text a bytea[] would be hex, escaped, and
 * parsed again; this is a copy. Layout: dimensions 1, null flag, element oid, length, lower bound 1, then per element
 * its length in bytes (-1: NULL) and its bytes.
 */

const OID = { bool: 16, bytea: 17, int8: 20, int2: 21, int4: 23, text: 25, timestamptz: 1184, uuid: 2950 } as const;
const HEADER = 20;
/** Postgres counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/** A column: what an element of the array is, taken from a row. */
type Pick<Row, Value> = (row: Row) => Value | null;

/** int4[]; throws RowError for what is no 32-bit integer. */
export function int4s<Row>(rows: readonly Row[], pick: Pick<Row, number>): Buffer {
  return fixed(rows, OID.int4, 4, pick, (buffer, value, at) => { buffer.writeInt32BE(whole(value, 2 ** 31), at); });
}

/** int2[]; throws RowError for what is no 16-bit integer. */
export function int2s<Row>(rows: readonly Row[], pick: Pick<Row, number>): Buffer {
  return fixed(rows, OID.int2, 2, pick, (buffer, value, at) => { buffer.writeInt16BE(whole(value, 2 ** 15), at); });
}

/** int8[] of bigints. */
export function int8s<Row>(rows: readonly Row[], pick: Pick<Row, bigint>): Buffer {
  return fixed(rows, OID.int8, 8, pick, (buffer, value, at) => { buffer.writeBigInt64BE(value, at); });
}

/** bool[]. */
export function bools<Row>(rows: readonly Row[], pick: Pick<Row, boolean>): Buffer {
  return fixed(rows, OID.bool, 1, pick, (buffer, value, at) => { buffer.writeUInt8(value ? 1 : 0, at); });
}

/** timestamptz[] of epoch milliseconds; throws RowError for what is no finite number. */
export function times<Row>(rows: readonly Row[], pick: Pick<Row, number>): Buffer {
  return fixed(rows, OID.timestamptz, 8, pick, (buffer, value, at) => {
    if (!Number.isFinite(value) || Math.abs(value) > 8.64e15) throw new RowError(`${value} is no time in epoch milliseconds`);
    const micros = Math.round((value - POSTGRES_EPOCH_MS) * 1_000);
    const high = Math.floor(micros / 2 ** 32);
    buffer.writeInt32BE(high, at);
    buffer.writeUInt32BE(micros - high * 2 ** 32, at + 4);
  });
}

/** uuid[]; throws RowError for what is no UUID. */
export function uuids<Row>(rows: readonly Row[], pick: Pick<Row, string>): Buffer {
  return fixed(rows, OID.uuid, 16, pick, (buffer, value, at) => {
    const hex = value.replaceAll('-', '');
    if (hex.length !== 32 || buffer.write(hex, at, 16, 'hex') !== 16) throw new RowError(`${JSON.stringify(value.slice(0, 64))} is no UUID`);
  });
}

/** text[]. Postgres refuses NUL. */
export function texts<Row>(rows: readonly Row[], pick: Pick<Row, string>): Buffer {
  let size = HEADER;
  const sizes = new Int32Array(rows.length);
  for (const [i, row] of rows.entries()) {
    const value = pick(row);
    const bytes = value === null ? -1 : Buffer.byteLength(value);
    sizes[i] = bytes;
    size += 4 + Math.max(0, bytes);
  }
  const buffer = begin(size, OID.text, rows.length);
  let at = HEADER;
  for (const [i, row] of rows.entries()) {
    at = buffer.writeInt32BE(sizes[i] ?? -1, at);
    const value = pick(row);
    if (value !== null) at += buffer.write(value, at);
  }
  return buffer;
}

/** bytea[]. */
export function byteas<Row>(rows: readonly Row[], pick: Pick<Row, Uint8Array>): Buffer {
  let size = HEADER;
  for (const row of rows) size += 4 + (pick(row)?.byteLength ?? 0);
  const buffer = begin(size, OID.bytea, rows.length);
  let at = HEADER;
  for (const row of rows) {
    const value = pick(row);
    at = buffer.writeInt32BE(value === null ? -1 : value.byteLength, at);
    if (value === null) continue;
    buffer.set(value, at);
    at += value.byteLength;
  }
  return buffer;
}

function fixed<Row, Value>(
  rows: readonly Row[], oid: number, width: number, pick: Pick<Row, Value>, write: (buffer: Buffer, value: Value, at: number) => void,
): Buffer {
  const buffer = begin(HEADER + rows.length * (4 + width), oid, rows.length);
  let at = HEADER;
  for (const row of rows) {
    const value = pick(row);
    at = buffer.writeInt32BE(value === null ? -1 : width, at);
    if (value === null) continue;
    write(buffer, value, at);
    at += width;
  }
  return buffer.subarray(0, at);
}

/** The null flag is only a hint to readers; Postgres looks at the elements. */
function begin(size: number, oid: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(size);
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
  return buffer;
}

function whole(value: number, limit: number): number {
  if (!Number.isInteger(value) || value < -limit || value >= limit) throw new RowError(`${value} is no integer within ±${limit}`);
  return value;
}
