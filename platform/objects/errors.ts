import { RamboError, UnavailableError } from '../errors/index.ts';

/** Names of S3's answers that say "there is no such object". */
const MISSING = new Set(['NoSuchKey', 'NotFound']);
/** The bytes are not those that were announced. */
const SPOILT = new Set(['BadDigest', 'XAmzContentChecksumMismatch', 'XAmzContentSHA256Mismatch', 'InvalidDigest', 'IncompleteBody']);

/** Whether an error of the client says that the object does not exist. The bucket's absence is another matter. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && (MISSING.has(error.name) || (statusOf(error) === 404 && error.name !== 'NoSuchBucket'));
}

/**
 * An error of the client in our words: UnavailableError, or RamboError `ObjectSpoilt` where the content did not arrive as it was
 * sent. The message never holds a key, a URL or a credential; the cause is for logs.
 */
export function storeError(error: unknown): RamboError {
  if (error instanceof RamboError) return error;
  if (error instanceof Error && SPOILT.has(error.name)) {
    return new RamboError('ObjectSpoilt', 'the object store refused the content: it is not what was announced', { cause: error });
  }
  return new UnavailableError('the object store', error);
}

/** What went wrong, for a log line: the name of S3's answer or the code of the system, and the HTTP status. */
export function storeFault(error: unknown): { readonly code: string; readonly status?: number } {
  const inner = error instanceof RamboError && error.cause !== undefined ? error.cause : error;
  const status = statusOf(inner);
  const code = inner instanceof Error && 'code' in inner && typeof inner.code === 'string' ? inner.code : inner instanceof Error ? inner.name : 'Unknown';
  return status === undefined ? { code } : { code, status };
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
