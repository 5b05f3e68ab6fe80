import type { RevisionTool } from '../../crds/agent-revision.ts';
import { RamboError } from '../../platform/errors/index.ts';
import type { AgentCallRow } from '../../prisma/store/index.ts';
import type { CallArguments, Tools } from './context.ts';
import { callHttp } from './http.ts';
import type { Outcome } from './outcome.ts';
import type { KnownServer } from './servers.ts';

/** Where K travels in `_meta` of an MCP call, unless the ToolServer says otherwise. No server is known to look at it by itself. */
export const META_KEY = 'rambo.dev/idempotency-key';
/** Where K travels over HTTP, unless the ToolServer says otherwise. */
const HEADER_KEY = 'idempotency-key';

/** A tool as it is called at its server. */
export type Callable = Pick<RevisionTool, 'kind' | 'tool' | 'inputSchema' | 'http' | 'idempotency' | 'timeoutMs'>;

/** Makes a call once, with the credentials of the server and the key where the server wants it. Never throws. */
export async function sendOnce(tools: Tools, server: KnownServer, tool: Callable, args: CallArguments, call: Pick<AgentCallRow, 'key' | 'effect'>): Promise<Outcome> {
  const fetch = tools.parts.fetchFor(server.namespace);
  let headers: Readonly<Record<string, string>>;
  try {
    headers = await tools.credentials.headers(server, fetch);
  } catch (error) {
    const refused = error instanceof RamboError ? error : new RamboError('AuthFailed', 'the credentials cannot be read', { cause: error });
    return { kind: 'notSent', reason: refused.code, message: refused.message, again: refused.code === 'Unavailable' };
  }
  const keyed = call.effect === 'KeyedIdempotent' ? call.key : undefined;
  const named = tool.idempotency ?? {};
  const sent = keyed !== undefined && named.argument !== undefined ? { ...args, [named.argument]: keyed } : args;
  const plainHeader = tool.kind === 'http' && named.argument === undefined && named.meta === undefined ? HEADER_KEY : undefined;
  const header = named.header?.toLowerCase() ?? plainHeader;
  const withKey = keyed === undefined || header === undefined ? headers : { ...headers, [header]: keyed };
  const { signal } = new AbortController();
  if (tool.kind === 'http') {
    if (tool.http === undefined) return { kind: 'notSent', reason: 'Invalid', message: 'the operation says no path', again: false };
    return callHttp({ baseUrl: server.url, operation: tool.http, arguments: sent, headers: withKey, timeoutMs: tool.timeoutMs, signal, fetch });
  }
  // The key goes along whatever the class: a server that knows it may dedupe, and its owner finds the call in the journal.
  const meta = { [META_KEY]: call.key, ...(keyed === undefined || named.meta === undefined ? {} : { [named.meta]: keyed }) };
  return tools.mcp.call({ id: server.uid, url: server.url, protocol: server.spec.mcp?.protocol ?? 'auto', headers, fetch },
    { tool, arguments: sent, meta, timeoutMs: tool.timeoutMs, signal, ...(keyed === undefined || header === undefined ? {} : { headers: { [header]: keyed } }) });
}
