import { z } from 'zod';
import { decodeCursor, encodeCursor, foreignCursor, pageSize } from '../graphql/paging.ts';
import type { ListCursor } from '../../prisma/store/index.ts';
import type { PageValue } from './entity.ts';

/* Keyset pages of entities: a cursor holds the order it was made in, the value it is ordered by, and the id. */

const cursorSchema = z.tuple([z.string().max(64), z.union([z.number().min(0).max(8.64e15), z.string().max(500)]), z.uuid()]);

/** What a list was asked for. */
export interface PageInput { readonly first?: number | null | undefined; readonly after?: string | null | undefined }

/** Entries wished, clamped, and the place to begin at. Throws BAD_USER_INPUT for a cursor of another list. */
export function pageInput(order: string, { first, after }: PageInput): { readonly first: number; readonly after?: ListCursor } {
  const place = decodeCursor(cursorSchema, after);
  if (place !== undefined && place[0] !== order) throw foreignCursor();
  return { first: pageSize(first), ...(place === undefined ? {} : { after: { value: place[1], id: place[2] } }) };
}

/** A page as an operation gives it. `place`: the value and the id of an entry in that order. */
export function pageValue<T>(order: string, rows: { readonly items: readonly T[]; readonly hasMore: boolean }, started: boolean, place: (item: T) => readonly [number | string, string]): PageValue<T> {
  return { ...rows, started, cursorOf: (item) => encodeCursor([order, ...place(item)]) };
}

/** A page of rows of which one more was read than is shown. `place`: what `pageInput` gave. */
export function rowsPage<Row, T>(
  order: string, { first, after }: ReturnType<typeof pageInput>, rows: readonly Row[], show: (row: Row) => T, place: (item: T) => readonly [number | string, string],
): PageValue<T> {
  return pageValue(order, { items: rows.slice(0, first).map(show), hasMore: rows.length > first }, after !== undefined, place);
}

/** Place of an entry in a list by time. */
export function byTime({ createdAt, id }: { readonly createdAt: string; readonly id: string }): readonly [number, string] {
  return [Date.parse(createdAt), id];
}

/** Leaves out what is undefined: Prisma refuses it, and so do exact optional types. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}
