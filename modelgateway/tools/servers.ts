import { knownToolsSchema, revisionSpecSchema, type KnownTools, type RevisionSpec, type RevisionTool } from '../../crds/agent-revision.ts';
import { toolServerSpecSchema, toolServerUrl, type ToolServerSpec } from '../../crds/tool-server.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { RamboError } from '../../platform/errors/index.ts';
import { getRevision, getToolServer, type Executor } from '../../prisma/store/index.ts';

/** A ToolServer as its mirror has it now. */
export interface KnownServer {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly spec: ToolServerSpec;
  readonly url: string;
  readonly known: KnownTools | undefined;
}

/** A changed ToolServer counts within this time. */
const KNOWN_MS = 1_000;
const MOST = 1_000;
const decoder = new TextDecoder();

/** Revisions and ToolServers, read once and kept a little. */
export class ServerBook {
  readonly #db: Executor;
  readonly #clock: Clock;
  readonly #servers = new Map<string, { readonly until: number; readonly server: KnownServer | undefined }>();
  readonly #revisions = new Map<string, RevisionSpec>();

  constructor(db: Executor, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** The content of a revision; its hash is its name, so it is never read twice. Throws RamboError `Bug` where it is missing. */
  async revision(hash: string): Promise<RevisionSpec> {
    const known = this.#revisions.get(hash);
    if (known !== undefined) return known;
    const stored = await getRevision(this.#db, hash);
    if (stored === undefined) throw new RamboError('Bug', `revision ${hash} is not stored`);
    const spec = revisionSpecSchema.parse(JSON.parse(decoder.decode(stored)));
    if (this.#revisions.size >= MOST) this.#revisions.clear();
    this.#revisions.set(hash, spec);
    return spec;
  }

  /** A ToolServer; undefined where there is none, or its spec cannot be read. */
  async server(namespace: string, name: string): Promise<KnownServer | undefined> {
    const id = `${namespace}/${name}`;
    const now = this.#clock.monotonic();
    const before = this.#servers.get(id);
    if (before !== undefined && before.until > now) return before.server;
    const server = await this.fresh(namespace, name);
    if (this.#servers.size >= MOST) this.#servers.clear();
    this.#servers.set(id, { until: now + KNOWN_MS, server });
    return server;
  }

  /** A ToolServer as its mirror is at this moment. */
  async fresh(namespace: string, name: string): Promise<KnownServer | undefined> {
    const row = await getToolServer(this.#db, namespace, name);
    const spec = row === undefined ? undefined : toolServerSpecSchema.safeParse(JSON.parse(decoder.decode(row.spec)));
    if (row === undefined || spec?.success !== true) return undefined;
    const known = row.tools === null ? undefined : knownToolsSchema.safeParse(JSON.parse(decoder.decode(row.tools)));
    return {
      namespace, name, uid: row.uid, generation: row.generation, spec: spec.data, url: toolServerUrl(namespace, name, spec.data),
      known: known?.success === true ? known.data : undefined,
    };
  }

  /** The server a tool is at, or why a call of it may not be sent. */
  async target(namespace: string, tool: RevisionTool): Promise<{ readonly server: KnownServer } | { readonly refused: string }> {
    const server = await this.server(namespace, tool.server);
    if (server === undefined) return { refused: `the ToolServer ${tool.server} is gone` };
    const known = server.known?.tools.find(({ name }) => name === tool.tool);
    if (known === undefined) return { refused: `ToolNotFound: ${tool.server} no longer offers ${tool.tool}` };
    if (known.refused !== undefined) return { refused: `${known.refused.reason}: ${known.refused.message}` };
    if (known.schemaHash !== tool.schemaHash) return { refused: `ToolChanged: ${tool.display} no longer says what this agent was made with` };
    return { server };
  }
}
