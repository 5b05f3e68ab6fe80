import { z } from 'zod';
import { anyJson, byName, durationSchema, expressionSchema, nameSchema, objectNameSchema, subdomainSchema } from './parts.ts';
import { exactlyOneOf, withRules } from './rules.ts';

/** Building blocks that the specs of Agent, Model and ToolServer share. */

/** Hard limits of agents. Each is named in the message of whatever refuses a value beyond it. */
export const AGENT_LIMITS = {
  /** Tools the model of one agent sees. */
  tools: 128,
  /** Tools that discovery of one server takes in; a server with more is refused. */
  discovered: 512,
  /** Characters of a description as the model sees it. */
  description: 1_024,
  /** Canonical JSON of one tool's input schema. */
  schemaBytes: 32_768,
  /** Characters of a tool's name as the model sees it. */
  toolName: 64,
  instructions: 131_072,
  /** Questions of a tool at once, and rounds of them in one call. */
  questions: 16,
  inputRounds: 8,
  /** JSON of the questions of a round, and of the answers to them; bytes. */
  inputBytes: 65_536,
  /** The server's own state beside its questions; bytes. */
  inputState: 65_536,
  /** Canonical JSON of a whole status. */
  statusBytes: 8_192,
} as const;

/** What an agent has that says nothing: where neither its spec nor the installation says otherwise. */
export const AGENT_DEFAULTS = {
  maxSteps: 25, timeoutMs: 3_600_000, parallelTools: 4, maxDepth: 3, repeatWindow: 3, outputRepairs: 2, maxOutputTokens: 4_096,
  toolTimeoutMs: 60_000, approvalTimeoutMs: 86_400_000, inputTimeoutMs: 86_400_000, guardrailTimeoutMs: 10_000, modelTimeoutMs: 600_000, modelRetries: 2, keepLast: 8, memoryTtlMs: 30 * 86_400_000,
} as const;

/** A reference to an object of the same namespace. */
export const refSchema = z.object({ name: objectNameSchema });
/** A key of a Secret of the same namespace, which must carry the label `rambo.dev/credentials: "true"`. */
export const secretKeySchema = z.object({
  name: subdomainSchema,
  key: z.string().min(1).max(253).regex(/^[-._a-zA-Z0-9]+$/).optional().describe('Key in the Secret (default: apiKey).'),
});

/** An address over HTTP without credentials in it. */
export const urlSchema = z.string().min(8).max(2_048).regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/)
  .describe('http or https, without user, query or fragment.');
/** A host, with * for one label at the front, or an address block. */
export const hostSchema = z.string().min(1).max(253).regex(/^[A-Za-z0-9*._:/[\]-]+$/);
/** Tokens of a budget. */
export const tokensSchema = z.int().min(1).max(1_000_000_000_000);
/** A price or an amount of money in USD. */
export const usdSchema = withRules(z.number().max(1_000_000_000), [{
  cel: 'self > 0.0', message: 'an amount of money is above zero: leave it out to set none', holds: (usd) => usd > 0,
}]);

/** Most one thing may spend; what is absent is unlimited. */
export const amountsSchema = z.object({ tokens: tokensSchema.optional(), usd: usdSchema.optional() });

/** What a tool call does to the world, and so what may be done where its outcome is unknown. */
export const effectSchema = z.enum(['ReadOnly', 'Idempotent', 'KeyedIdempotent', 'Reconcilable', 'AtMostOnce']);
/** Whether a call can do harm that nobody can undo; such calls ask for approval where no policy decides. */
export const riskSchema = z.enum(['Normal', 'Destructive']);

/** Where the key of a `KeyedIdempotent` call travels. */
export const idempotencySchema = withRules(z.object({
  header: z.string().min(1).max(128).regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/).optional().describe('HTTP header, such as Idempotency-Key.'),
  meta: z.string().min(1).max(128).optional().describe('Key in _meta of an MCP call.'),
  argument: z.string().min(1).max(128).optional().describe('Argument of the tool.'),
}), [exactlyOneOf(['header', 'meta', 'argument'], 'idempotency needs exactly one of header, meta, argument')]);

/** The call that finds out whether a `Reconcilable` call happened. */
export const reconcileSchema = z.object({
  tool: z.string().min(1).max(128).describe('Tool of the same server, which must be ReadOnly.'),
  arguments: anyJson.optional().describe('Its arguments; ${{ arguments.x }}, ${{ key }} and other expressions are evaluated.'),
});

/** One rule of an agent's policy. */
export const policyRuleSchema = z.object({
  match: expressionSchema.describe('CEL over tool, arguments and run; the first rule that is true decides.'),
  decision: z.enum(['Allow', 'Deny', 'RequireApproval']),
  approvers: z.array(z.string().min(1).max(253)).max(32).optional().describe('Who may decide, as user or group; anybody with the right when absent.'),
  fourEyes: z.boolean().optional().describe('Who started the run may not approve: it takes another person.'),
  timeout: durationSchema.optional().describe('How long an approval waits before it is refused (default 24h).'),
  message: z.string().max(1_024).optional(),
});

/** One guardrail: what is looked at, by what, and what follows. */
export const guardrailSchema = withRules(z.object({
  name: nameSchema,
  stage: z.enum(['Input', 'ToolCall', 'ToolResult', 'Output']),
  tools: z.array(z.string().min(1).max(192)).max(64).optional().describe('ToolCall and ToolResult: only these (server/tool).'),
  cel: expressionSchema.optional().describe('True: the action is taken. Sees text, and tool and arguments at the stages of tools.'),
  webhook: z.object({ url: urlSchema, timeout: durationSchema.optional(), credentialsRef: secretKeySchema.optional() }).optional()
    .describe('Asked with the text; answers what to do. No answer denies.'),
  model: z.object({ modelRef: refSchema, instructions: z.string().min(1).max(16_384) }).optional().describe('A model that answers whether to take the action.'),
  action: z.enum(['Deny', 'RequireApproval', 'Mutate']).default('Deny'),
  replace: z.object({ pattern: z.string().min(1).max(1_024), with: z.string().max(1_024) }).optional().describe('Mutate: what matches (RE2) and what stands there instead.'),
  message: z.string().max(1_024).optional(),
}), [
  exactlyOneOf(['cel', 'webhook', 'model'], 'a guardrail needs exactly one of cel, webhook, model'),
  {
    cel: "self.action != 'Mutate' || has(self.replace) || has(self.webhook)", message: 'action Mutate needs replace, unless a webhook gives the new text',
    holds: ({ action, replace, webhook }) => action !== 'Mutate' || replace !== undefined || webhook !== undefined,
  },
  {
    cel: "self.action != 'RequireApproval' || self.stage == 'ToolCall'", message: 'action RequireApproval belongs to stage ToolCall: only a call can wait for approval',
    holds: ({ action, stage }) => action !== 'RequireApproval' || stage === 'ToolCall',
  },
]);

/** Guardrails merge by name. */
export const guardrailsSchema = z.array(guardrailSchema).max(32).meta(byName);
