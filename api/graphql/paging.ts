import { Buffer } from 'node:buffer';
import type { z } from 'zod';
import { ApiError } from '../errors.ts';

/** Entries of a page when the caller does not say. */
export const DEFAULT_PAGE = 20;
/** Entries of a page at most; larger wishes are cut. */
export const MAX_PAGE = 100;

/** Clamps a wished page size. The cost rule and the resolvers both call this, so that what is charged is what is read. */
export function pageSize(wished: unknown): number {
  if (wished === null || wished === undefined) return DEFAULT_PAGE;
  if (typeof wished !== 'number' || Number.isNaN(wished)) return MAX_PAGE;
  return Math.min(MAX_PAGE, Math.max(1, Math.trunc(wished)));
}

/** Characters of a cursor at most: one of a list by name holds a name, 1,024 bytes of it, half as much again in base64, and twice as much where JSON escapes it. */
export const MOST_CURSOR = 4_096;

/** An opaque cursor around a JSON value. */
export function encodeCursor(place: unknown): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** The place in a cursor, undefined for none. Throws BAD_USER_INPUT for anything this API did not make. */
export function decodeCursor<T>(schema: z.ZodType<T>, cursor: string | null | undefined): T | undefined {
  if (cursor === null || cursor === undefined) return undefined;
  const place = schema.safeParse(cursor.length > MOST_CURSOR ? undefined : parse(cursor));
  if (place.success) return place.data;
  throw foreignCursor();
}

/** What a caller is told of a cursor that this list did not make. */
export function foreignCursor(): ApiError {
  return new ApiError('BAD_USER_INPUT', 'the cursor is not one of this list: take it from pageInfo or from an edge');
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A page in the shape of relay. `forward` tells which way `hasMore` looks; `started` whether it began at a cursor. */
export function connectionOf<T>(rows: readonly T[], cursorOf: (row: T) => string, more: { readonly hasMore: boolean; readonly forward: boolean; readonly started: boolean }): Connection<T> {
  const edges = rows.map((node) => ({ node, cursor: cursorOf(node) }));
  return {
    edges,
    pageInfo: {
      hasNextPage: more.forward ? more.hasMore : more.started,
      hasPreviousPage: more.forward ? more.started : more.hasMore,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

/** A relay connection. */
export interface Connection<T> {
  edges: { node: T; cursor: string }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}
