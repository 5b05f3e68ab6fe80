import { createHash } from 'node:crypto';
import {
  Client, isInputRequiredResult, ProtocolError, SdkError, SdkErrorCode, SdkHttpError, StreamableHTTPClientTransport, UnauthorizedError, type CallToolResult, type InputRequiredResult, type Tool,
} from '@modelcontextprotocol/client';
import { z } from 'zod';
import type { DiscoveredTool, RevisionTool } from '../../crds/agent-revision.ts';
import type { ToolServerSpec } from '../../crds/tool-server.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { errorMessage, RamboError } from '../../platform/errors/index.ts';
import { capped, NotSentError } from '../../platform/net/fetch.ts';
import type { InputAnswers } from '../../crds/agent-run.ts';
import { refusedByStatus, WIRE_BYTES, type Outcome, type RawQuestion } from './outcome.ts';
import type { Fetch } from './parts.ts';

/** Where an MCP server is and what opens it. */
export interface Endpoint {
  /** Uid of the ToolServer. */
  readonly id: string;
  readonly url: string;
  readonly protocol: NonNullable<ToolServerSpec['mcp']>['protocol'];
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: Fetch;
}

/** What one call needs beside its endpoint. */
export interface McpCall {
  readonly tool: Pick<RevisionTool, 'tool' | 'inputSchema'>;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly meta: Readonly<Record<string, string>>;
  /** What a person said to what the tool asked, and the state it gave along. */
  readonly resume?: Resume | undefined;
  /** Headers of this call alone. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Asked when the server is reached, before the call is sent; false sends nothing. */
  readonly may: () => Promise<boolean>;
}

/** How a call goes on that its tool has asked about. */
export interface Resume {
  readonly answers: InputAnswers;
  readonly state?: string | undefined;
}

const CONNECT_MS = 10_000;
/** A connection is made anew after so long, so that a changed server or address is noticed. */
const MAX_AGE_MS = 300_000;
const MOST = 256;
const MODERN = '2026-07-28';

interface Connection {
  readonly client: Promise<Client>;
  readonly until: number;
}

/**
 * Connections to MCP servers, one per server and credential, used by all calls. The library's own validators are left out: they compile
 * code, and results are checked by ours. A stream that breaks is not resumed: the effect class decides.
 */
export class McpPool {
  readonly #clock: Clock;
  readonly #connections = new Map<string, Connection>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls a tool once. Throws only what `may` throws. */
  async call(endpoint: Endpoint, call: McpCall): Promise<Outcome> {
    const outcome = await this.#once(endpoint, call);
    // A server that knows its sessions answers 404 to one it has forgotten, before it looks at the call.
    return outcome === 'sessionLost' ? plainOutcome(await this.#once(endpoint, call)) : outcome;
  }

  /** What a server lists, page by page, until there are more than `most`. Throws RamboError. */
  async list(endpoint: Endpoint, most: number, maxBytes: number, signal: AbortSignal): Promise<{ readonly tools: readonly DiscoveredTool[]; readonly protocol: string }> {
    const client = await this.#connect({ ...endpoint, fetch: bounded(endpoint.fetch, maxBytes * 4) });
    try {
      const tools: Tool[] = [];
      let cursor: string | undefined;
      let bytes = 0;
      do {
        // The first page too: without a cursor the library would walk through all of them.
        const page = await client.request({ method: 'tools/list', params: cursor === undefined ? {} : { cursor } }, { signal, timeout: CONNECT_MS });
        const text = JSON.stringify(page.tools);
        bytes += text.length;
        tools.push(...plainJson<Tool[]>(text));
        if (tools.length > most) throw new RamboError('TooManyTools', `the server offers more than ${most} tools`);
        if (bytes > maxBytes) throw new RamboError('AnswerTooLarge', `what the server says of its tools is over ${maxBytes} bytes`);
        cursor = page.nextCursor;
      } while (cursor !== undefined && cursor !== '');
      return { tools: tools.map(discovered), protocol: client.getNegotiatedProtocolVersion() ?? 'unknown' };
    } finally {
      await client.close().catch(() => undefined);
    }
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    const open = [...this.#connections.values()];
    this.#connections.clear();
    await Promise.allSettled(open.map(async ({ client }) => (await client).close()));
  }

  async #once(endpoint: Endpoint, call: McpCall): Promise<Outcome | 'sessionLost'> {
    const key = keyOf(endpoint);
    let client: Client;
    try {
      client = await this.#connection(key, endpoint);
    } catch (error) {
      return connectFailed(error);
    }
    if (!await call.may()) return { kind: 'lost' };
    try {
      const { tool, inputSchema } = { tool: call.tool.tool, inputSchema: call.tool.inputSchema as Tool['inputSchema'] };
      // The definition is given so that the library does not fetch one, send the call again or check what comes back.
      const result: CallToolResult | InputRequiredResult = await client.callTool({ name: tool, arguments: { ...call.arguments }, _meta: { ...call.meta }, ...resumed(call.resume) }, {
        signal: call.signal, timeout: call.timeoutMs, maxTotalTimeout: call.timeoutMs, toolDefinition: { name: tool, inputSchema }, allowInputRequired: true,
        ...(call.headers === undefined ? {} : { headers: call.headers }),
      });
      return isInputRequiredResult(result) ? asked(result) : answered(result);
    } catch (error) {
      const outcome = failed(error, client.getProtocolEra() === 'legacy');
      if (outcome === 'sessionLost' || outcome.kind !== 'answered') this.#drop(key);
      return outcome;
    }
  }

  #connection(key: string, endpoint: Endpoint): Promise<Client> {
    const now = this.#clock.monotonic();
    const known = this.#connections.get(key);
    if (known !== undefined && known.until > now) return known.client;
    if (known !== undefined || this.#connections.size >= MOST) this.#drop(known === undefined ? this.#connections.keys().next().value ?? key : key);
    const client = this.#connect({ ...endpoint, fetch: bounded(endpoint.fetch, WIRE_BYTES) });
    this.#connections.set(key, { client, until: now + MAX_AGE_MS });
    client.catch(() => { this.#connections.delete(key); });
    return client;
  }

  /** Calls that go on over it are not cut: the connection is only not used again. */
  #drop(key: string): void {
    this.#connections.delete(key);
  }

  async #connect({ url, protocol, headers, fetch }: Endpoint): Promise<Client> {
    const client = new Client({ name: 'rambo', version: '1' }, {
      capabilities: { elicitation: { form: {} } }, inputRequired: { autoFulfill: false }, jsonSchemaValidator: { getValidator: () => unchecked },
      versionNegotiation: { mode: protocol === 'auto' ? 'auto' : protocol === 'legacy' ? 'legacy' : { pin: MODERN }, probe: { timeoutMs: CONNECT_MS } },
    });
    const transport = new StreamableHTTPClientTransport(new URL(url), {
      fetch, requestInit: { headers: { ...headers }, redirect: 'manual' },
      reconnectionOptions: { initialReconnectionDelay: 1_000, maxReconnectionDelay: 1_000, reconnectionDelayGrowFactor: 1, maxRetries: 0 },
    });
    // A server of 2025 asks in the middle of a request and waits with the connection open: nobody is there, which is what `cancel` says.
    client.setRequestHandler('elicitation/create', () => ({ action: 'cancel' }));
    await client.connect(transport, { timeout: CONNECT_MS });
    return client;
  }
}

/** Their interface asks for the type the caller wants; our own check comes after the call. */
function unchecked(input: unknown): { readonly valid: true; readonly data: never; readonly errorMessage: undefined } {
  return { valid: true, data: input as never, errorMessage: undefined };
}

function bounded(fetch: Fetch, maxBytes: number): Fetch {
  return async (input, init) => capped(await fetch(input, init), maxBytes);
}

/** Credentials are part of what a connection is, but not as they are: keys of maps end in dumps. */
function keyOf({ id, url, protocol, headers }: Endpoint): string {
  return `${id}/${createHash('sha256').update(JSON.stringify([url, protocol, Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1))])).digest('hex')}`;
}

function plainOutcome(outcome: Outcome | 'sessionLost'): Outcome {
  return outcome === 'sessionLost' ? { kind: 'notSent', reason: 'Unreachable', message: 'the server forgot its session at once', again: true } : outcome;
}

function connectFailed(error: unknown): Outcome {
  if (error instanceof UnauthorizedError) return { kind: 'notSent', reason: 'AuthFailed', message: 'the server refused the credentials', again: false };
  const refused = error instanceof SdkHttpError ? refusedByStatus(error.status, '') : undefined;
  if (refused?.kind === 'notSent') return refused;
  const inner = causeOf(error, NotSentError);
  return { kind: 'notSent', reason: inner?.code ?? 'Unreachable', message: `no connection to the server: ${inner?.message ?? errorMessage(error).slice(0, 500)}`, again: inner?.code !== 'AddressRefused' };
}

function failed(error: unknown, legacy: boolean): Outcome | 'sessionLost' {
  const unsent = causeOf(error, NotSentError);
  if (unsent !== undefined) return { kind: 'notSent', reason: unsent.code, message: unsent.message, again: unsent.code !== 'AddressRefused' };
  if (error instanceof UnauthorizedError) return { kind: 'notSent', reason: 'AuthFailed', message: 'the server refused the credentials', again: false };
  if (error instanceof SdkHttpError) {
    if (error.status === 404 && legacy) return 'sessionLost';
    return refusedByStatus(error.status, '') ?? { kind: 'notSent', reason: 'Refused', message: `the server refused the call (HTTP ${error.status})`, again: false };
  }
  if (error instanceof ProtocolError) return { kind: 'answered', isError: true, text: `The server refused the call: ${error.message}` };
  const large = causeOf(error, RamboError);
  if (large?.code === 'ResultTooLarge') return { kind: 'answered', isError: true, text: 'The call was made, but its result is over 32 MiB and was not kept.' };
  if (error instanceof SdkError && error.code === SdkErrorCode.InvalidResult) return { kind: 'answered', isError: true, text: 'The tool answered something that is no result of a tool.' };
  return { kind: 'unknown', message: error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout ? 'no answer in time' : `the answer was lost: ${errorMessage(error).slice(0, 300)}` };
}

function causeOf<T extends Error>(error: unknown, kind: abstract new (...args: never[]) => T): T | undefined {
  for (let at: unknown = error, depth = 0; depth < 5; depth += 1) {
    if (at instanceof kind) return at;
    at = at instanceof Error ? at.cause : undefined;
  }
  return undefined;
}

/** Plain data of ours, whatever the library made of what it read. */
function plainJson<T>(text: string): T {
  const value: T = JSON.parse(text);
  return value;
}

function answered(result: CallToolResult): Outcome {
  const { structuredContent, isError } = result;
  const text = (result.content ?? []).map(blockText).join('\n');
  const structured = structuredContent === undefined ? undefined : JSON.stringify(structuredContent);
  return {
    kind: 'answered', isError: isError === true, text: text === '' && structured !== undefined ? structured : text,
    ...(structured === undefined ? {} : { structured: plainJson<unknown>(structured) }),
  };
}

/** Their type has no place for it in what `callTool` takes; their codec has. */
function resumed(resume: Resume | undefined): object {
  return resume === undefined ? {} : { ...(Object.keys(resume.answers).length === 0 ? {} : { inputResponses: plainJson(JSON.stringify(resume.answers)) }), ...(resume.state === undefined ? {} : { requestState: resume.state }) };
}

/** Their library hands a server's questions on as they came. */
const requestSchema = z.object({ method: z.string(), params: z.object({ mode: z.string().optional(), message: z.string().optional(), requestedSchema: z.unknown().optional() }).optional() });

/** What a server wants first. Only forms were offered to it: what it asks else is a mistake of its own. */
function asked({ inputRequests, requestState }: InputRequiredResult): Outcome {
  const questions: RawQuestion[] = [];
  for (const [key, request] of Object.entries(inputRequests ?? {})) {
    const parsed = requestSchema.safeParse(request);
    const { method, params }: z.output<typeof requestSchema> = parsed.success ? parsed.data : { method: 'something that is no question' };
    if (method !== 'elicitation/create' || params?.mode === 'url') {
      const what = method === 'elicitation/create' ? 'to open an address' : `for ${method.slice(0, 64)}`;
      return { kind: 'answered', isError: true, text: `The tool asks ${what}, which it was not offered: the call was not completed.` };
    }
    questions.push({ key, message: params?.message ?? '', schema: plainJson(JSON.stringify(params?.requestedSchema ?? null)) });
  }
  return { kind: 'asks', questions, ...(requestState === undefined ? {} : { state: requestState }) };
}

function blockText(block: CallToolResult['content'][number]): string {
  switch (block.type) {
    case 'text': return block.text;
    case 'image': case 'audio': return `[${block.type} ${block.mimeType}, ${Math.floor(block.data.length * 3 / 4)} bytes]`;
    case 'resource': return 'text' in block.resource ? block.resource.text : `[resource ${block.resource.uri}]`;
    case 'resource_link': return `[link ${block.uri}]`;
    default: return '';
  }
}

function discovered({ name, description, inputSchema, outputSchema, annotations }: Tool): DiscoveredTool {
  const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = annotations ?? {};
  return {
    name, description: description ?? '', inputSchema, ...(outputSchema === undefined ? {} : { outputSchema }),
    ...(annotations === undefined ? {} : { annotations: { ...(readOnlyHint === undefined ? {} : { readOnlyHint }), ...(destructiveHint === undefined ? {} : { destructiveHint }),
      ...(idempotentHint === undefined ? {} : { idempotentHint }), ...(openWorldHint === undefined ? {} : { openWorldHint }) } }),
  };
}
