import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand, GetObjectCommand, HeadBucketCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { attachment, servedType } from './disposition.ts';
import { isMissing, storeError } from './errors.ts';
import type { ObjectHead, ObjectPage, ObjectStore, ObjectStoreOptions, SignedUpload, UploadTerms } from './types.ts';

/* The one client of the object store: S3, whoever serves it. Addresses are path style, which all of them know. */

export type { DownloadTerms, ObjectEntry, ObjectHead, ObjectPage, ObjectStore, ObjectStoreOptions, SignedUpload, UploadTerms } from './types.ts';
export { storeFault } from './errors.ts';

const TIMEOUT_MS = 10_000;
const CONNECT_MS = 2_000;
/** Objects at most in one request. */
const AT_ONCE = 1_000;

/** Opens a client; nothing is asked before the first verb. */
export function openObjects(options: ObjectStoreOptions): ObjectStore {
  const { bucket } = options;
  const client = clientOf(options, options.endpoint);
  // Signing asks nobody: a client of its own, for an address that only browsers may reach.
  const signer = options.publicEndpoint === undefined ? client : clientOf(options, options.publicEndpoint);
  const head = (key: string): Promise<ObjectHead | undefined> => absentOr(async () => {
    const answer = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' }));
    return { size: answer.ContentLength ?? 0, contentType: answer.ContentType, sha256: sha256Of(answer.ChecksumSHA256) };
  });
  const get = (key: string): Promise<{ readonly stream: Readable; readonly size: number } | undefined> => absentOr(async () => {
    const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return { stream: answer.Body instanceof Readable ? answer.Body : Readable.from([]), size: answer.ContentLength ?? 0 };
  });
  return {
    head, get,
    put: (key, body, contentType) => told(async () => {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentLength: body.length, ContentType: contentType, ChecksumSHA256: digestOf(body) }));
    }),
    measure: async (key) => {
      const known = await head(key);
      if (known?.sha256 !== undefined) return { size: known.size, sha256: known.sha256 };
      return known === undefined ? undefined : computed(await get(key));
    },
    remove: (keys) => told(async () => {
      for (let from = 0; from < keys.length; from += AT_ONCE) {
        const Objects = keys.slice(from, from + AT_ONCE).map((Key) => ({ Key }));
        await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }));
      }
    }),
    list: (prefix, after) => told(() => page(client, bucket, prefix, after)),
    presignPut: (key, terms) => told(() => signedPut(signer, bucket, key, terms)),
    presignGet: (key, { filename, contentType, seconds }) => told(() => getSignedUrl(signer, new GetObjectCommand({
      Bucket: bucket, Key: key, ResponseContentDisposition: attachment(filename), ResponseContentType: servedType(contentType), ResponseCacheControl: 'private, no-store',
    }), { expiresIn: seconds })),
    ping: () => told(async () => { await client.send(new HeadBucketCommand({ Bucket: bucket })); }),
    close: () => {
      client.destroy();
      if (signer !== client) signer.destroy();
    },
  };
}

/** Checksums only where we say so: the client's own would bind a presigned upload to the checksum of nothing. */
function clientOf(options: ObjectStoreOptions, endpoint: string): S3Client {
  return new S3Client({
    endpoint, region: options.region, forcePathStyle: true, maxAttempts: 2,
    credentials: { accessKeyId: options.accessKey, secretAccessKey: options.secretKey },
    requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: options.timeoutMs ?? TIMEOUT_MS, throwOnRequestTimeout: true },
  });
}

/** Size, checksum and type are signed as headers: an upload that says otherwise, or nothing, is refused by the store. */
async function signedPut(client: S3Client, bucket: string, key: string, terms: UploadTerms): Promise<SignedUpload> {
  const checksum = Buffer.from(terms.sha256).toString('base64');
  const command = new PutObjectCommand({ Bucket: bucket, Key: key, ContentLength: terms.size, ContentType: terms.contentType, ChecksumSHA256: checksum });
  const bound = new Set(['content-length', 'content-type', 'x-amz-checksum-sha256']);
  const url = await getSignedUrl(client, command, { expiresIn: terms.seconds, signableHeaders: bound, unhoistableHeaders: bound });
  return { method: 'PUT', url, headers: { 'content-length': String(terms.size), 'content-type': terms.contentType, 'x-amz-checksum-sha256': checksum } };
}

async function page(client: S3Client, bucket: string, prefix: string, after: string | undefined): Promise<ObjectPage> {
  const answer = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: AT_ONCE, ...(after === undefined ? {} : { StartAfter: after }) }));
  const objects = (answer.Contents ?? []).map((entry) => ({ key: entry.Key ?? '', size: entry.Size ?? 0, at: entry.LastModified?.getTime() ?? 0 }));
  return { objects, next: answer.IsTruncated === true ? objects.at(-1)?.key : undefined };
}

async function computed(content: { readonly stream: Readable } | undefined): Promise<{ readonly size: number; readonly sha256: Uint8Array } | undefined> {
  if (content === undefined) return undefined;
  const hash = createHash('sha256');
  let size = 0;
  await told(async () => {
    for await (const chunk of content.stream) {
      const bytes = Buffer.from(chunk);
      size += bytes.length;
      hash.update(bytes);
    }
  });
  return { size, sha256: hash.digest() };
}

function digestOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('base64');
}

/** A composite checksum (of parts: `…-3`) says nothing about the content as a whole. */
function sha256Of(text: string | undefined): Uint8Array | undefined {
  if (text === undefined || text.includes('-')) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === 32 ? bytes : undefined;
}

async function told<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw storeError(error);
  }
}

async function absentOr<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw storeError(error);
  }
}
