import { AGENT_LIMITS } from '../../crds/agent-parts.ts';
import { discoveredToolSchema } from '../../crds/agent-revision.ts';
import { errorMessage, RamboError } from '../../platform/errors/index.ts';
import { NotSentError } from '../../platform/net/fetch.ts';
import { AGENT_ASK_CODES, type AgentAnswer, type AgentAsk, type AgentAskCode } from '../../platform/messages/agent-ask.ts';
import type { Tools } from './context.ts';
import { Credentials } from './credentials.ts';
import { credentialsIn, hidden, hiddenIn } from './echo.ts';
import type { KnownServer } from './servers.ts';

/** The controller waits no longer. */
const WHOLE_MS = 9_000;
/** What fits into one message of NATS, with room to spare. */
const MOST_BYTES = 900_000;

/** Answers what tools a server has, as it says it, nothing of it believed yet. Never throws, never takes longer than 9 s. */
export async function discover(tools: Tools, ask: Extract<AgentAsk, { verb: 'discover' }>): Promise<AgentAnswer> {
  const credentials: string[] = [];
  try {
    const server = await tools.book.fresh(ask.namespace, ask.name);
    if (server?.uid !== ask.uid || server.generation < ask.generation) return failure('NotMirrored', `ToolServer ${ask.namespace}/${ask.name} is not known here in that version yet`);
    return await within(lookUp(tools, server, credentials), WHOLE_MS, server.name);
  } catch (error) {
    // It ends in a status that everybody reads, and may hold what the server said of what it was sent.
    return failure(codeOf(error), hidden(errorMessage(error), credentials).slice(0, 1_000));
  }
}

/** `credentials` gets what opened the server, as soon as it is known. */
async function lookUp(tools: Tools, server: KnownServer, credentials: string[]): Promise<AgentAnswer> {
  const fetch = tools.parts.fetchFor(server.namespace);
  // A token of its own: what was asked for before may be what is wrong.
  const headers = await new Credentials(tools.parts.secrets, tools.parts.clock).headers(server, fetch);
  credentials.push(...credentialsIn(server, headers));
  if (server.spec.http !== undefined) return { v: 1, ok: true, tools: [] };
  const endpoint = { id: server.uid, url: server.url, protocol: server.spec.mcp?.protocol ?? 'auto' as const, headers, fetch };
  const { tools: listed, protocol } = await tools.mcp.list(endpoint, AGENT_LIMITS.discovered, MOST_BYTES, AbortSignal.timeout(WHOLE_MS));
  const readable = hiddenIn(listed, credentials).map((tool) => discoveredToolSchema.safeParse(tool)).flatMap((parsed) => (parsed.success ? [parsed.data] : []));
  return { v: 1, ok: true, tools: readable, protocol: protocol.slice(0, 64) };
}

function within(work: Promise<AgentAnswer>, ms: number, name: string): Promise<AgentAnswer> {
  const late = new Promise<AgentAnswer>((resolve) => {
    AbortSignal.timeout(ms).addEventListener('abort', () => { resolve(failure('Unreachable', `ToolServer ${name} did not answer in time`)); }, { once: true });
  });
  return Promise.race([work, late]);
}

function codeOf(error: unknown): AgentAskCode {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  if (status === 401 || status === 403) return 'AuthFailed';
  const code = innerCode(error);
  switch (code) {
    case 'SecretMissing': return /no key/.test(errorMessage(error)) ? 'SecretKeyMissing' : 'SecretNotFound';
    case 'AuthUnsupported': return 'ConfigInvalid';
    case 'Unavailable': return 'Busy';
    case 'Unreachable': case 'ECONNRESET': case 'REQUEST_TIMEOUT': case 'CONNECTION_CLOSED': return 'Unreachable';
    default: return AGENT_ASK_CODES.find((known) => known === code) ?? 'ProtocolError';
  }
}

function innerCode(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (at instanceof RamboError || at instanceof NotSentError) return at.code;
    if ('code' in at && typeof at.code === 'string' && depth > 0) return at.code;
  }
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function failure(code: AgentAskCode, message: string): AgentAnswer {
  return { v: 1, ok: false, error: { code, message: message === '' ? code : message } };
}
