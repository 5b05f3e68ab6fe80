import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { LIMITS } from '../../crds/names.ts';
import { ApiError } from '../errors.ts';
import type { TrustedDocuments } from './trusted-documents.ts';

/** Bytes of a request at most; larger ones are refused before they are parsed. */
export const BODY_LIMIT = 262_144;
/** Levels of JSON around a payload that may itself be `LIMITS.jsonDepth` deep: params, variables, input, definition. */
const DEPTH_LIMIT = LIMITS.jsonDepth + 8;

const paramsSchema = z.strictObject({
  query: z.string().min(1).optional(),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().nullish(),
  extensions: z.record(z.string(), z.unknown()).nullish(),
});

/** The parameters of one GraphQL request. */
export interface Params extends Omit<z.output<typeof paramsSchema>, 'query'> {
  readonly query: string;
}

/** Refuses what is not plain JSON before a byte of it is read: forms and text cross sites without a preflight. */
export function demandJson(request: IncomingMessage, limit = BODY_LIMIT): void {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(;\s*charset=utf-8\s*)?$/i.test(type)) throw new ApiError('UNSUPPORTED_MEDIA_TYPE', 'send application/json in UTF-8');
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new ApiError('UNSUPPORTED_MEDIA_TYPE', 'send the body without content-encoding');
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge();
}

/** Reads and parses a body of JSON; undefined for a request without one. Throws ApiError. */
export async function readBody(request: IncomingMessage, limit = BODY_LIMIT): Promise<unknown> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && (length === undefined || length === '0')) return undefined;
  demandJson(request, limit);
  return readJson(request, limit);
}

async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const text = await readText(request, limit);
  if (nestsDeeperThan(text, DEPTH_LIMIT)) throw new ApiError('BAD_REQUEST', 'the JSON is nested too deeply: flatten it');
  return parse(text);
}

/** Reads and parses a request's parameters; a stored document takes the place of its hash. Throws ApiError. */
export async function readParams(request: IncomingMessage, documents: TrustedDocuments): Promise<Params> {
  const value = await readJson(request, BODY_LIMIT);
  if (Array.isArray(value)) throw new ApiError('BAD_REQUEST', 'batches are not served: send operations one by one');
  const params = paramsSchema.safeParse(value);
  if (!params.success) throw new ApiError('BAD_REQUEST', 'send an object with query (a string, or the hash of a stored document in extensions.persistedQuery) and, where needed, variables, operationName, extensions; nothing else');
  const { query, ...rest } = params.data;
  return { ...rest, query: documents.resolve(query, rest.extensions?.['persistedQuery']) };
}

function tooLarge(): ApiError {
  return new ApiError('PAYLOAD_TOO_LARGE', 'the request is too large: make the input or the definition smaller');
}

async function readText(request: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > limit) throw tooLarge();
    chunks.push(bytes);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new ApiError('BAD_REQUEST', 'the body is not UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError('BAD_REQUEST', 'the body is not JSON');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether JSON text nests deeper than `limit`, told without parsing it. */
export function nestsDeeperThan(text: string, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) inString = !inString;
    else if (inString) { if (code === BACKSLASH) i += 1; }
    else if (code === 0x7b || code === 0x5b) { if (++depth > limit) return true; }
    else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return false;
}
