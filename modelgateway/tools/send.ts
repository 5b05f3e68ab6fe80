import type { RevisionTool } from '../../crds/agent-revision.ts';
import { RamboError } from '../../platform/errors/index.ts';
import type { AgentCallRow } from '../../prisma/store/index.ts';
import type { CallArguments, Tools } from './context.ts';
import { credentialsIn, withoutEcho } from './echo.ts';
import { callHttp } from './http.ts';
import type { Outcome } from './outcome.ts';
import type { Resume } from './mcp.ts';
import type { Fetch } from './parts.ts';
import type { KnownServer } from './servers.ts';

/** Where K travels in `_meta` of an MCP call, unless the ToolServer says otherwise. No server is known to look at it by itself. */
export const META_KEY = 'rambo.dev/idempotency-key';
/** Where K travels over HTTP, unless the ToolServer says otherwise. */
const HEADER_KEY = 'idempotency-key';

/** A tool as it is called at its server. */
export type Callable = Pick<RevisionTool, 'kind' | 'tool' | 'inputSchema' | 'http' | 'idempotency' | 'timeoutMs'>;

/** A tool, what it is given, and what a person said to what it asked. */
export interface Parcel {
  readonly tool: Callable;
  readonly args: CallArguments;
  readonly resume?: Resume | undefined;
}

/** When a request may leave, and when it is given up. */
export interface Leave {
  /** Asked last of all before anything of the call leaves; false is the outcome `lost`. */
  readonly may: () => Promise<boolean>;
  /** Aborts once nobody waits for the call. */
  readonly over: AbortSignal;
}

/** Makes a call once, with the credentials of the server and the key where the server wants it. Throws only what `may` throws. */
export async function sendOnce(tools: Tools, server: KnownServer, { tool, args, resume }: Parcel, call: Pick<AgentCallRow, 'key' | 'effect'> & { readonly traceparent?: string | undefined }, leave: Leave): Promise<Outcome> {
  const fetch = tools.parts.fetchFor(server.namespace);
  let headers: Readonly<Record<string, string>>;
  try {
    headers = await tools.credentials.headers(server, fetch);
  } catch (error) {
    const refused = error instanceof RamboError ? error : new RamboError('AuthFailed', 'the credentials cannot be read', { cause: error });
    return { kind: 'notSent', reason: refused.code, message: refused.message, again: refused.code === 'Unavailable' };
  }
  const keyed = call.effect === 'KeyedIdempotent' ? keyPlaces(tool, call.key) : NOWHERE;
  // The same name in a header and in `_meta`: what the tool does belongs below the call.
  const trace: Readonly<Record<string, string>> = call.traceparent === undefined ? {} : { traceparent: call.traceparent };
  return withoutEcho(await callTool(tools, server, tool, { ...args, ...keyed.arguments }, { headers, keyed, trace, key: call.key, fetch, resume, ...leave }), credentialsIn(server, headers));
}

/** What goes along with a call. */
interface Along extends Leave {
  readonly headers: Readonly<Record<string, string>>;
  readonly keyed: KeyPlaces;
  readonly trace: Readonly<Record<string, string>>;
  readonly key: string;
  readonly fetch: Fetch;
  readonly resume: Resume | undefined;
}

async function callTool(tools: Tools, server: KnownServer, tool: Callable, sent: CallArguments, { headers, keyed, trace, key, fetch, resume, may, over }: Along): Promise<Outcome> {
  if (tool.kind === 'http') {
    if (tool.http === undefined) return { kind: 'notSent', reason: 'Invalid', message: 'the operation says no path', again: false };
    if (!await may()) return { kind: 'lost' };
    return callHttp({ baseUrl: server.url, operation: tool.http, arguments: sent, headers: { ...trace, ...headers, ...keyed.headers }, timeoutMs: tool.timeoutMs, signal: over, fetch });
  }
  // The key goes along whatever the class: a server that knows it may dedupe, and its owner finds the call in the journal.
  return tools.mcp.call({ id: server.uid, url: server.url, protocol: server.spec.mcp?.protocol ?? 'auto', headers, fetch },
    { tool, arguments: sent, meta: { ...trace, [META_KEY]: key, ...keyed.meta }, timeoutMs: tool.timeoutMs, signal: over, headers: keyed.headers, resume, may });
}

interface KeyPlaces {
  readonly headers: Readonly<Record<string, string>>;
  readonly meta: Readonly<Record<string, string>>;
  readonly arguments: Readonly<Record<string, string>>;
}

const NOWHERE: KeyPlaces = { headers: {}, meta: {}, arguments: {} };

/** Where the server wants the key: as the ToolServer says, else in the header that HTTP APIs look for, or in `_meta`. */
function keyPlaces({ kind, idempotency }: Callable, key: string): KeyPlaces {
  const { header, meta, argument } = idempotency ?? {};
  if (argument !== undefined) return { ...NOWHERE, arguments: { [argument]: key } };
  if (header !== undefined) return { ...NOWHERE, headers: { [header.toLowerCase()]: key } };
  if (meta !== undefined) return { ...NOWHERE, meta: { [meta]: key } };
  return kind === 'http' ? { ...NOWHERE, headers: { [HEADER_KEY]: key } } : NOWHERE;
}
