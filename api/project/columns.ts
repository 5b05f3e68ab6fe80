import type { Prisma } from '../../prisma/gateway/index.ts';

/** An object for a JSON column. Through its text: what is not JSON in it is gone, and `__proto__` is a key like any other. */
export function jsonColumn(value: Readonly<Record<string, unknown>>): Prisma.InputJsonObject {
  const column: Prisma.InputJsonObject = JSON.parse(JSON.stringify(value));
  return column;
}
