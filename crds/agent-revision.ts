import { z } from 'zod';
import { EFFECTS } from './agent-run.ts';
import { specHash } from './canonical.ts';
import type { DeepReadonly } from './readonly.ts';

/**
 * A revision: everything a run of an agent needs, resolved once and never changed, found by the hash of its content. Not in it, and read
 * when they are used: where a Model or ToolServer is, its credentials, limits and prices. Times are milliseconds, money is nano-USD as
 * decimal text.
 */

const text = z.string();
const ms = z.int().min(0);
const nano = z.string().regex(/^\d{1,30}$/);
const json = z.unknown();

/** One tool as a run has it. */
export const revisionToolSchema = z.object({
  /** What the model calls it: `server__tool`, made to fit `[a-zA-Z0-9_-]{1,64}`; unique in the revision. */
  name: text.regex(/^[a-zA-Z0-9_-]{1,64}$/),
  /** What people call it: `server/tool`; `workflow/<name>` and `agent/<name>` for those. Policies and guardrails name this. */
  display: text,
  /** `memory`: the agent's own long-term memory, served by the gateway itself. */
  kind: z.enum(['mcp', 'http', 'workflow', 'agent', 'memory']),
  /** ToolServer, or name of the Workflow or Agent, of the run's namespace. */
  server: text,
  /** Name at the server; empty for a Workflow or an Agent. */
  tool: text,
  description: text,
  /** JSON Schema of the arguments as the model gives them: those of `bind` are taken out. Always of type object. */
  inputSchema: json,
  outputSchema: json.optional(),
  /** SHA-256 of description, input and output schema as discovered: what an approval is bound to. */
  schemaHash: text,
  effect: z.enum(EFFECTS),
  risk: z.enum(['Normal', 'Destructive']),
  timeoutMs: ms,
  /** ReadOnly: how long an answer serves the same call again. */
  cacheMs: ms.optional(),
  /** Preset arguments; they win over the model's. */
  bind: z.record(text, json),
  idempotency: z.object({ header: text.optional(), meta: text.optional(), argument: text.optional() }).optional(),
  reconcile: z.object({ tool: text, arguments: json.optional() }).optional(),
  /** Kind http: how the arguments become a request below the server's `baseUrl`. `{x}` in path, `query` names, the rest is the JSON body. */
  http: z.object({ method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']), path: text, query: z.array(text) }).optional(),
  /** Kind agent: the child's input is the argument of this name; absent: all arguments as one object. */
  inputArgument: text.optional(),
});

/** One guardrail as a run has it. */
export const revisionGuardrailSchema = z.object({
  name: text,
  stage: z.enum(['Input', 'ToolCall', 'ToolResult', 'Output']),
  /** Display names of tools; absent: all. */
  tools: z.array(text).optional(),
  cel: text.optional(),
  webhook: z.object({ url: text, timeoutMs: ms, credentialsRef: z.object({ name: text, key: text }).optional() }).optional(),
  model: z.object({ model: text, instructions: text }).optional(),
  action: z.enum(['Deny', 'RequireApproval', 'Mutate']),
  replace: z.object({ pattern: text, with: text }).optional(),
  message: text.optional(),
});

/** The content of a revision. */
export const revisionSpecSchema = z.object({
  v: z.literal(1),
  namespace: text,
  /** Name of the Agent; absent for one written inline. */
  agent: text.optional(),
  description: text.optional(),
  instructions: text,
  /** Names of Models, the first is asked first, the others on an outage or `Degrade`. Never empty. */
  models: z.array(text).min(1),
  parameters: z.object({ temperature: z.number().optional(), topP: z.number().optional(), maxOutputTokens: z.int().min(1) }),
  inputSchema: json.optional(),
  outputSchema: json.optional(),
  tools: z.array(revisionToolSchema),
  policy: z.array(z.object({ match: text, decision: z.enum(['Allow', 'Deny', 'RequireApproval']), approvers: z.array(text), fourEyes: z.literal(true).optional(), timeoutMs: ms, message: text.optional() })),
  limits: z.object({
    maxSteps: z.int(), timeoutMs: ms, parallelTools: z.int(), maxDepth: z.int(), repeatWindow: z.int(), outputRepairs: z.int(),
  }),
  /** Absent amounts are unlimited here; the installation may still limit them. */
  budget: z.object({ tokens: z.int().optional(), nano: nano.optional(), onExceeded: z.enum(['Stop', 'Pause', 'Degrade']) }),
  dailyBudget: z.object({ tokens: z.int().optional(), nano: nano.optional() }),
  guardrails: z.array(revisionGuardrailSchema),
  memory: z.object({
    compaction: z.object({ atTokens: z.int(), keepLast: z.int() }).optional(),
    longTerm: z.object({ scope: z.enum(['Namespace', 'Agent', 'User']), ttlMs: ms, required: z.boolean() }).optional(),
  }),
  trust: z.object({ untrustedInput: z.boolean(), sensitiveData: z.boolean(), outsideChange: z.boolean() }),
});

/** The content of a revision. */
export type RevisionSpec = DeepReadonly<z.output<typeof revisionSpecSchema>>;
/** One tool of a revision. */
export type RevisionTool = DeepReadonly<z.output<typeof revisionToolSchema>>;
/** One guardrail of a revision. */
export type RevisionGuardrail = DeepReadonly<z.output<typeof revisionGuardrailSchema>>;

/** Name of a revision: SHA-256 (hex) of its content. */
export function revisionHash(spec: RevisionSpec): string {
  return specHash(spec);
}

/** A tool as its server describes it: what discovery gives and the mirror of a ToolServer holds. */
export const discoveredToolSchema = z.object({
  /** Whatever the server says: an impossible name is refused where tools are looked through. */
  name: text,
  description: text.default(''),
  inputSchema: json,
  outputSchema: json.optional(),
  annotations: z.object({ readOnlyHint: z.boolean().optional(), destructiveHint: z.boolean().optional(), idempotentHint: z.boolean().optional(), openWorldHint: z.boolean().optional() }).optional(),
});
/** A tool as its server describes it. */
export type DiscoveredTool = DeepReadonly<z.output<typeof discoveredToolSchema>>;

/** A tool of a server after it was looked through: text cleaned, schema checked, class settled. */
export const knownToolSchema = z.object({
  name: text,
  description: text,
  inputSchema: json,
  outputSchema: json.optional(),
  schemaHash: text,
  effect: z.enum(EFFECTS),
  risk: z.enum(['Normal', 'Destructive']),
  /** Why no agent gets it: `ToolChanged`, `SchemaInvalid`, `NameInvalid`, `NameCollision`. A call of a tool that is refused is not sent. */
  refused: z.object({ reason: text, message: text }).optional(),
});
/** A tool of a server after it was looked through. */
export type KnownTool = DeepReadonly<z.output<typeof knownToolSchema>>;

/** What the column `tools` of the mirror of a ToolServer holds. */
export const knownToolsSchema = z.object({
  tools: z.array(knownToolSchema),
  /** Schema hash by name of every tool that was ever accepted, also of those the server no longer offers. */
  accepted: z.record(text, text),
  /** Where they were found, as a hash: a server that its owner moves is another one, whose tools are accepted anew. */
  place: text.optional(),
  /** What the server speaks, as discovery found it. */
  protocol: text.optional(),
});
/** What the column `tools` of the mirror of a ToolServer holds. */
export type KnownTools = DeepReadonly<z.output<typeof knownToolsSchema>>;
