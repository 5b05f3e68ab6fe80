import { z } from 'zod';
import { AGENT_LIMITS, amountsSchema, guardrailsSchema, policyRuleSchema, refSchema, tokensSchema, usdSchema } from './agent-parts.ts';
import { anyJson, conditionsSchema, durationSchema, objectNameSchema, observedGenerationSchema, subdomainSchema, timeSchema } from './parts.ts';
import type { DeepReadonly } from './readonly.ts';
import { exactlyOneOf, withRules } from './rules.ts';
import type { Rule } from './rules.ts';

/** Where the system prompt stands. */
const instructionsSchema = withRules(z.object({
  text: z.string().max(AGENT_LIMITS.instructions).optional(),
  configMapKeyRef: z.object({ name: subdomainSchema, key: z.string().min(1).max(253).regex(/^[-._a-zA-Z0-9]+$/) }).optional(),
}), [exactlyOneOf(['text', 'configMapKeyRef'], 'instructions need exactly one of text, configMapKeyRef')]);

/** A source of tools. */
const toolSourceSchema = withRules(z.object({
  toolServerRef: z.object({
    name: objectNameSchema,
    include: z.array(z.string().min(1).max(128)).max(AGENT_LIMITS.tools).optional().describe('Only these tools of the server; all when absent.'),
  }).optional(),
  workflowRef: refSchema.optional().describe('A Workflow as a tool: its inputs are the arguments.'),
  agentRef: refSchema.optional().describe('An Agent as a tool; it may not lead back to this one.'),
  description: z.string().max(AGENT_LIMITS.description).optional().describe('workflowRef, agentRef: what the model reads.'),
  bind: anyJson.optional().describe('Object of preset arguments, hidden from the model.'),
}), [
  exactlyOneOf(['toolServerRef', 'workflowRef', 'agentRef'], 'an entry of tools needs exactly one of toolServerRef, workflowRef, agentRef'),
  {
    cel: '!has(self.description) || !has(self.toolServerRef)', message: 'description belongs to workflowRef and agentRef: a server describes its own tools',
    holds: ({ description, toolServerRef }) => description === undefined || toolServerRef === undefined,
  },
]);

interface Trusting {
  readonly trust?: { readonly untrustedInput?: boolean | undefined; readonly sensitiveData?: boolean | undefined; readonly outsideChange?: boolean | undefined } | undefined;
  readonly policy?: readonly { readonly match: string; readonly decision: string }[] | undefined;
}

/** First rules of a policy that no call which changes anything gets past. */
const GUARDS_ALL = ['true', 'tool.changing'];

const trustRule: Rule<Trusting> = {
  cel: '!has(self.trust) || !(has(self.trust.untrustedInput) && self.trust.untrustedInput && has(self.trust.sensitiveData) && self.trust.sensitiveData'
    + ' && has(self.trust.outsideChange) && self.trust.outsideChange)'
    + ` || (has(self.policy) && self.policy.size() > 0 && self.policy[0].match in [${GUARDS_ALL.map((text) => `'${text}'`).join(', ')}] && self.policy[0].decision != 'Allow')`,
  message: 'spec.trust: untrusted input, sensitive data and outside change together let a prompt leak what it reads: set at most two,'
    + ' or make the first rule of policy {match: tool.changing, decision: RequireApproval}',
  fieldPath: '.trust',
  holds: ({ trust, policy }) => {
    if (trust?.untrustedInput !== true || trust.sensitiveData !== true || trust.outsideChange !== true) return true;
    const first = policy?.[0];
    return first !== undefined && GUARDS_ALL.includes(first.match) && first.decision !== 'Allow';
  },
};

/** `spec` of an Agent; also the `inline` of a node. */
export const agentSpecSchema = withRules(z.object({
  description: z.string().max(4_096).optional().describe('What the agent is for; what a model reads where the agent is its tool.'),
  modelRef: refSchema.describe('Model to call.'),
  instructions: instructionsSchema.optional().describe('The system prompt. The input of a run is a message of its own.'),
  inputSchema: anyJson.optional().describe('JSON Schema (2020-12) of the input.'),
  outputSchema: anyJson.optional().describe('JSON Schema (2020-12) of the output; without one the output is the text of the last answer.'),
  tools: z.array(toolSourceSchema).max(64).optional().meta({ 'x-kubernetes-list-type': 'atomic' }),
  trust: z.object({
    untrustedInput: z.boolean().optional().describe('It reads what strangers wrote.'),
    sensitiveData: z.boolean().optional().describe('It reads what strangers may not see.'),
    outsideChange: z.boolean().optional().describe('It can change or send something outside.'),
  }).optional(),
  policy: z.array(policyRuleSchema).max(64).optional().meta({ 'x-kubernetes-list-type': 'atomic' }).describe('First match decides. No match: destructive tools ask, others may.'),
  limits: z.object({
    maxSteps: z.int().min(1).max(1_000).optional().describe('Model answers of one run (default 25).'),
    timeout: durationSchema.optional().describe('Of one run, waiting included (default 1h).'),
    parallelTools: z.int().min(1).max(32).optional().describe('Tool calls at once (default 4).'),
    maxDepth: z.int().min(0).max(8).optional().describe('Agents below agents (default 3).'),
    repeatWindow: z.int().min(2).max(100).optional().describe('The same call so many times in a row ends the run (default 3).'),
    outputRepairs: z.int().min(0).max(10).optional().describe('Times an answer that breaks outputSchema is sent back (default 2).'),
  }).optional(),
  parameters: z.object({
    temperature: z.number().min(0).max(2).optional(),
    topP: z.number().min(0).max(1).optional(),
    maxOutputTokens: z.int().min(1).max(1_000_000).optional().describe('Of one answer (default 4096).'),
  }).optional(),
  budget: z.object({
    tokens: tokensSchema.optional(), usd: usdSchema.optional(),
    onExceeded: z.enum(['Stop', 'Pause', 'Degrade']).default('Stop').describe('Stop the run, Pause it until somebody raises the budget, or Degrade to a fallback model.'),
  }).optional().describe('Of one run.'),
  dailyBudget: amountsSchema.optional().describe('Of all runs of this agent in one day (UTC).'),
  guardrails: guardrailsSchema.optional(),
  memory: z.object({
    compaction: z.object({
      atTokens: z.int().min(1_000).max(10_000_000).describe('Summarise once the prompt has so many tokens.'),
      keepLast: z.int().min(1).max(1_000).optional().describe('Messages that stay as they are (default 8).'),
    }).optional(),
    longTerm: z.object({
      scope: z.enum(['Namespace', 'Agent', 'User']).default('Agent'),
      ttl: durationSchema.optional().describe('How long something is remembered (default 30d).'),
      required: z.boolean().optional().describe('A memory that fails ends the run; otherwise it is only flagged.'),
    }).optional(),
  }).optional(),
  runner: z.object({ isolation: z.enum(['auto', 'warm', 'pod']).optional(), pool: objectNameSchema.optional() }).optional()
    .describe('Where the loop runs when the agent is started by itself; a node of a workflow says it in its own runner.'),
}), [trustRule]);

/** Totals of the runs an agent began this month (UTC), written at most once a minute. */
export const agentUsageSchema = z.object({
  runs: z.int().min(0), input: z.int().min(0), output: z.int().min(0), modelCalls: z.int().min(0), toolCalls: z.int().min(0),
  costUsd: z.string().max(40).regex(/^\d+(\.\d+)?$/),
});

/** `status` of an Agent. */
export const agentStatusSchema = z.object({
  observedGeneration: observedGenerationSchema,
  conditions: conditionsSchema.optional(),
  desiredRevision: z.string().max(64).optional().describe('What the spec and its references resolve to; absent while they do not.'),
  stableRevision: z.string().max(64).optional().describe('What runs get: the last one that resolved.'),
  tools: z.int().min(0).optional().describe('Tools its model sees.'),
  usage: agentUsageSchema.optional().describe('Of the runs begun this month (UTC).'),
  usageAt: timeSchema.optional(),
});

/** `spec` of an Agent with defaults applied. */
export type AgentSpec = DeepReadonly<z.output<typeof agentSpecSchema>>;
/** `status` of an Agent. */
export type AgentStatus = DeepReadonly<z.output<typeof agentStatusSchema>>;
/** Totals of an agent's runs. */
export type AgentUsage = DeepReadonly<z.output<typeof agentUsageSchema>>;
