import { z } from 'zod';
import { modelSpecSchema, type ModelSpec } from '../../crds/model.ts';
import { errorMessage, RamboError, UnavailableError } from '../../platform/errors/index.ts';
import { capped } from '../../platform/net/fetch.ts';
import type { AgentAnswer, AgentAsk, AgentAskCode } from '../../platform/messages/agent-ask.ts';
import { getModel, type Executor } from '../../prisma/store/index.ts';
import type { Secrets } from './secrets.ts';
import { jsonOf } from '../json.ts';

/** What probing needs. */
export interface ProbeParts {
  readonly db: Executor;
  readonly secrets: Secrets;
  readonly fetchFor: (namespace: string, tls: ModelSpec['tls']) => typeof fetch;
}

const PROBE_MS = 9_000;
const MOST_BYTES = 4_194_304;
const MOST_MODELS = 64;
const BASE = { 'openai-compatible': '', openai: 'https://api.openai.com/v1', anthropic: 'https://api.anthropic.com/v1' } as const;
const ANTHROPIC_VERSION = '2023-06-01';

const listSchema = z.object({ data: z.array(z.object({ id: z.string() })).default([]) });

/** Finds out whether a Model answers with the credentials it names: it is asked for its list of models, which costs nothing. Never throws. */
export async function probeModel(parts: ProbeParts, ask: Extract<AgentAsk, { verb: 'probe' }>): Promise<AgentAnswer> {
  const row = await getModel(parts.db, ask.namespace, ask.name);
  if (row?.uid !== ask.uid || row.generation < ask.generation) return failure('NotMirrored', 'the mirror of the Model is older');
  const parsed = modelSpecSchema.safeParse(JSON.parse(new TextDecoder().decode(row.spec)));
  if (!parsed.success) return failure('ConfigInvalid', 'the spec of the Model cannot be read');
  try {
    return await look(parts, ask.namespace, parsed.data);
  } catch (error) {
    return failure(codeOf(error), errorMessage(error));
  }
}

async function look({ secrets, fetchFor }: ProbeParts, namespace: string, spec: ModelSpec): Promise<AgentAnswer> {
  const key = spec.credentialsRef === undefined ? undefined : await secrets.read(namespace, spec.credentialsRef.name, spec.credentialsRef.key);
  const url = `${(spec.baseUrl ?? BASE[spec.provider]).replace(/\/$/, '')}/models`;
  const headers = key === undefined ? {} : spec.provider === 'anthropic' ? { 'x-api-key': key, 'anthropic-version': ANTHROPIC_VERSION } : { authorization: `Bearer ${key}` };
  const response = await fetchFor(namespace, spec.tls)(url, { headers: { accept: 'application/json', ...headers }, signal: AbortSignal.timeout(PROBE_MS) });
  if (response.status === 401 || response.status === 403) return failure('AuthFailed', `${url} answered ${response.status}`);
  // Servers that list nothing are there all the same.
  if (response.status === 404 || response.status === 405) return { v: 1, ok: true, models: [] };
  if (!response.ok) return failure(response.status >= 500 ? 'Unreachable' : 'ProtocolError', `${url} answered ${response.status}`);
  const listed = listSchema.safeParse(jsonOf(await capped(response, MOST_BYTES).text()));
  if (!listed.success) return failure('ProtocolError', `${url} answered no list of models`);
  return { v: 1, ok: true, models: listed.data.data.slice(0, MOST_MODELS).map(({ id }) => id.slice(0, 256)) };
}

function codeOf(error: unknown): AgentAskCode {
  if (error instanceof UnavailableError) return 'Busy';
  if (!(error instanceof RamboError)) return 'Unreachable';
  switch (error.code) {
    case 'SecretMissing': return error.message.includes('has no key') ? 'SecretKeyMissing' : 'SecretNotFound';
    case 'SecretNotLabelled': case 'AddressRefused': case 'Unreachable': return error.code;
    default: return 'ProtocolError';
  }
}

function failure(code: AgentAskCode, message: string): AgentAnswer {
  return { v: 1, ok: false, error: { code, message: message.slice(0, 2_048) } };
}
