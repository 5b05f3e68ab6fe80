import type { Readable } from 'node:stream';

/** What a client of the object store is made from. */
export interface ObjectStoreOptions {
  /** Where the S3 API is: `https://s3.example.com`. */
  readonly endpoint: string;
  /** Where browsers reach it, when that is another address: presigned URLs lead there. */
  readonly publicEndpoint?: string | undefined;
  readonly bucket: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Of one request, its body apart; 10 s. */
  readonly timeoutMs?: number;
}

/** What the store says of an object. */
export interface ObjectHead {
  /** Bytes. */
  readonly size: number;
  readonly contentType: string | undefined;
  /** SHA-256 as the store has verified it at the upload; undefined where it keeps none. */
  readonly sha256: Uint8Array | undefined;
}

/** One object of a listing. */
export interface ObjectEntry {
  readonly key: string;
  readonly size: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** A page of a listing, in the order of the keys. */
export interface ObjectPage {
  readonly objects: readonly ObjectEntry[];
  /** Last key of a page that others follow. */
  readonly next: string | undefined;
}

/** What an upload is bound to: the store refuses any other bytes. */
export interface UploadTerms {
  /** Bytes, exactly. */
  readonly size: number;
  /** SHA-256 of the content. */
  readonly sha256: Uint8Array;
  readonly contentType: string;
  /** How long the URL is good for. */
  readonly seconds: number;
}

/** A request that somebody else makes: method, address and the headers it must carry. */
export interface SignedUpload {
  readonly method: 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** How a download presents itself. */
export interface DownloadTerms {
  /** Name under which browsers save it; any text. */
  readonly filename: string;
  readonly contentType: string;
  readonly seconds: number;
}

/**
 * The object store: one bucket. Every method throws UnavailableError while the store does not answer or does not let us in: to
 * a caller that is the same, and the cause says which.
 */
export interface ObjectStore {
  /** Stores bytes; an object of that key is replaced. The store checks the content against its SHA-256. */
  put(key: string, body: Uint8Array, contentType: string): Promise<void>;
  /** The content and its size; undefined where there is no such object. Whoever takes the stream reads or destroys it. */
  get(key: string): Promise<{ readonly stream: Readable; readonly size: number } | undefined>;
  head(key: string): Promise<ObjectHead | undefined>;
  /** Size and SHA-256 of the content itself: from the store where it has verified them, else read and computed. */
  measure(key: string): Promise<{ readonly size: number; readonly sha256: Uint8Array } | undefined>;
  /** Deletes; keys without an object are fine. */
  remove(keys: readonly string[]): Promise<void>;
  /** At most 1,000 objects whose keys begin with `prefix`, from after the key `after`. */
  list(prefix: string, after?: string): Promise<ObjectPage>;
  presignPut(key: string, terms: UploadTerms): Promise<SignedUpload>;
  /** Always an attachment: what a person uploaded is never shown under an address of ours. */
  presignGet(key: string, terms: DownloadTerms): Promise<string>;
  /** Throws UnavailableError unless the bucket can be reached. */
  ping(): Promise<void>;
  close(): void;
}
