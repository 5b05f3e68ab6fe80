import { Buffer } from 'node:buffer';
import type { z } from 'zod';
import type { Json } from '../../engine/types.ts';
import { RamboError } from '../../platform/errors/index.ts';
import type { Bytes } from '../../prisma/store/index.ts';

/** JSON of stored bytes; null for none. Throws RamboError `Corrupt` for bytes that are none. */
export function jsonOf(bytes: Bytes | null): Json {
  if (bytes === null) return null;
  try {
    const value: Json = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
    return value;
  } catch (error) {
    throw new RamboError('Corrupt', 'stored bytes are not JSON', { cause: error });
  }
}

/** Stored bytes parsed by `schema`; undefined for none. What does not fit is a bug of the writer: Corrupt. */
export function storedAs<T>(schema: z.ZodType<T>, bytes: Bytes | null): T | undefined {
  if (bytes === null) return undefined;
  const parsed = schema.safeParse(jsonOf(bytes));
  if (parsed.success) return parsed.data;
  throw new RamboError('Corrupt', 'a stored value has another shape', { cause: parsed.error });
}
