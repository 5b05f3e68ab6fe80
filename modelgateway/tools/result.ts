import { createHash } from 'node:crypto';
import type { AgentEventPayload } from '../../crds/agent-run.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { AgentRunRow } from '../../prisma/store/index.ts';
import { MODEL_BYTES, MOST_BYTES } from './outcome.ts';
import type { ToolParts } from './parts.ts';

/** The part of ToolCompleted that says what the model gets and where the rest is. */
export type Kept = Pick<AgentEventPayload<'ToolCompleted'>, 'text' | 'bytes' | 'truncated' | 'ref'>;

/**
 * Fits a result into the journal. What is larger than a model gets goes to the object store whole, up to 32 MiB; without one, or
 * while it does not answer, it is cut, and the text says so.
 */
export async function keep(parts: Pick<ToolParts, 'objects' | 'log'>, run: Pick<AgentRunRow, 'id' | 'namespace'>, callId: string, result: { readonly text: string; readonly type?: string | undefined }): Promise<Kept> {
  const whole = Buffer.from(withoutNul(result.text));
  if (whole.length <= MODEL_BYTES) return { text: whole.toString('utf8'), bytes: whole.length, truncated: false };
  const ref = whole.length > MOST_BYTES ? undefined : await store(parts, run, callId, whole, result.type ?? 'text/plain');
  const where = ref === undefined ? 'the rest was not kept' : `the whole is kept as ${ref.key}`;
  return { text: `${cutBytes(whole, MODEL_BYTES - 256)}\n[cut: ${whole.length} bytes in all; ${where}]`, bytes: whole.length, truncated: true, ...(ref === undefined ? {} : { ref }) };
}

async function store(parts: Pick<ToolParts, 'objects' | 'log'>, run: Pick<AgentRunRow, 'id' | 'namespace'>, callId: string, body: Buffer, type: string): Promise<NonNullable<Kept['ref']> | undefined> {
  if (parts.objects === undefined) return undefined;
  const key = `agents/${run.namespace}/${run.id}/${callId}`;
  try {
    await parts.objects.put(key, body, type);
    return { key, sha256: createHash('sha256').update(body).digest('hex'), bytes: body.length };
  } catch (error) {
    parts.log.warn({ namespace: run.namespace, bytes: body.length, err: errorMessage(error) }, 'the result of a tool could not be kept whole');
    return undefined;
  }
}

/** So many bytes at most, no character cut in two. */
export function cutBytes(bytes: Buffer, most: number): string {
  let end = Math.min(most, bytes.length);
  while (end > 0 && end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** Postgres holds the journal as bytes, yet what shows it as text may not have NUL in it. */
function withoutNul(text: string): string {
  return text.includes('\u0000') ? text.replaceAll('\u0000', '') : text;
}
