import type { RevisionTool } from '../../crds/agent-revision.ts';
import type { AgentFacts } from '../../engine/index.ts';
import type { AgentCallRow, AgentRunRow } from '../../prisma/store/index.ts';
import type { SeenRuns } from '../run/seen-runs.ts';
import type { AnswerCache } from './cache.ts';
import type { Credentials } from './credentials.ts';
import type { Leases } from './leases.ts';
import type { McpPool } from './mcp.ts';
import type { ToolParts } from './parts.ts';
import type { ServerBook } from './servers.ts';

/** What the functions of this room share: one per process. */
export interface Tools {
  readonly parts: ToolParts;
  readonly book: ServerBook;
  readonly credentials: Credentials;
  readonly mcp: McpPool;
  readonly leases: Leases;
  readonly cache: AnswerCache;
  /** Runs that calls wait for. */
  readonly children: SeenRuns;
}

/** Arguments of a call as they are sent. */
export type CallArguments = Readonly<Record<string, unknown>>;

/** The arguments stored with a call; they were checked when they were stored. */
export function storedArguments(call: Pick<AgentCallRow, 'arguments'>): CallArguments {
  return objectOf(JSON.parse(new TextDecoder().decode(call.arguments)));
}

/** An object as it is; anything else is no arguments. */
export function objectOf(value: unknown): CallArguments {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** What expressions may know of a run. */
export function runFacts(run: AgentRunRow): NonNullable<AgentFacts['run']> {
  return { id: run.runId, namespace: run.namespace, agent: run.agent ?? '', principal: run.principal };
}

/** The name a person knows a tool by. */
export function shownTool(tool: RevisionTool | undefined, name: string): string {
  return tool?.display ?? name.slice(0, 192);
}
