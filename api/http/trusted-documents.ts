import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ConfigError } from '../../platform/config/index.ts';
import { ApiError } from '../errors.ts';

/** A manifest: documents by the SHA-256 of their text, in hexadecimal digits. What graphql-codegen's `persistedDocuments` writes. */
const manifestSchema = z.record(z.string().regex(/^[0-9a-f]{64}$/), z.string().min(1).max(65_536));
const askSchema = z.strictObject({ version: z.literal(1), sha256Hash: z.string().regex(/^[0-9a-f]{64}$/) });

/**
 * Documents that pages of ours send by their hash alone: small requests, and, with `only`, the only documents that are served at all.
 * Nobody registers one by asking: the manifest is part of the installation.
 */
export class TrustedDocuments {
  readonly #byHash: ReadonlyMap<string, string>;
  readonly #texts: ReadonlySet<string>;
  readonly #only: boolean;

  constructor(byHash: ReadonlyMap<string, string>, only: boolean) {
    this.#byHash = byHash;
    this.#texts = new Set(byHash.values());
    this.#only = only;
  }

  /** How many there are. */
  get size(): number { return this.#byHash.size; }

  /** The text to execute, from the text and the `persistedQuery` of a request. Throws BAD_REQUEST, UNKNOWN_DOCUMENT. */
  resolve(query: string | undefined, persisted: unknown): string {
    if (persisted === undefined || persisted === null) return this.#plain(query);
    const ask = askSchema.safeParse(persisted);
    if (!ask.success) throw new ApiError('BAD_REQUEST', 'extensions.persistedQuery takes version 1 and sha256Hash, 64 hexadecimal digits');
    const text = this.#byHash.get(ask.data.sha256Hash);
    if (text === undefined) throw new ApiError('UNKNOWN_DOCUMENT', 'no document of this hash is stored: send the query itself, or add it to the manifest of the installation');
    if (query !== undefined && query !== text) throw new ApiError('BAD_REQUEST', 'the query is not the stored document of that hash: send one of the two');
    return text;
  }

  #plain(query: string | undefined): string {
    if (query === undefined) throw new ApiError('BAD_REQUEST', 'send query, or the hash of a stored document in extensions.persistedQuery');
    if (this.#only && !this.#texts.has(query)) throw new ApiError('UNKNOWN_DOCUMENT', 'only stored documents are served here: add it to the manifest of the installation');
    return query;
  }
}

/** Reads a manifest. Throws ConfigError naming what is wrong: a hash that is not that of its text would be somebody's mistake for ever. */
export function readManifest(text: string, only: boolean): TrustedDocuments {
  const parsed = manifestSchema.safeParse(jsonOf(text));
  if (!parsed.success) throw new ConfigError('Config', 'RAMBO_GRAPHQL_DOCUMENTS_FILE must hold a JSON object of documents by their SHA-256 in hexadecimal digits');
  const documents = new Map(Object.entries(parsed.data));
  for (const [hash, document] of documents) {
    const actual = createHash('sha256').update(document).digest('hex');
    if (actual !== hash) throw new ConfigError('Config', `RAMBO_GRAPHQL_DOCUMENTS_FILE: ${hash} is not the SHA-256 of its document, that is ${actual}`);
  }
  return new TrustedDocuments(documents, only);
}

/** No manifest: every document is served, none by a hash. */
export const NO_DOCUMENTS = new TrustedDocuments(new Map(), false);

function jsonOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}
