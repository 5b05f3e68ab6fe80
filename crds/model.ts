import { z } from 'zod';
import { refSchema, secretKeySchema, urlSchema } from './agent-parts.ts';
import { conditionsSchema, durationSchema, observedGenerationSchema, timeSchema } from './parts.ts';
import type { DeepReadonly } from './readonly.ts';
import { withRules } from './rules.ts';

/** USD per million tokens. */
const priceSchema = withRules(z.number().max(1_000_000), [{
  cel: 'self > 0.0', message: 'a price is above zero: leave pricing out for a model without a price, which is then bounded by token budgets only', holds: (price) => price > 0,
}]);

/** `spec` of a Model: where a language model answers, what it can do, what it costs. */
export const modelSpecSchema = withRules(z.object({
  provider: z.enum(['openai-compatible', 'openai', 'anthropic']).default('openai-compatible'),
  model: z.string().min(1).max(256).describe('Name of the model at the provider.'),
  baseUrl: urlSchema.optional().describe('Root of the API, such as https://api.example.com/v1.'),
  tls: z.object({
    ca: z.string().max(65_536).optional().describe('Certificates (PEM) to trust besides the public ones.'),
    serverName: z.string().min(1).max(253).optional(),
  }).optional(),
  credentialsRef: secretKeySchema.optional().describe('Secret with the key, labelled rambo.dev/credentials: "true"; read by the model gateway only.'),
  capabilities: z.object({
    tools: z.boolean().default(true),
    structuredOutput: z.boolean().default(false),
    vision: z.boolean().default(false),
    contextWindow: z.int().min(256).max(100_000_000).optional().describe('Tokens of prompt and answer together.'),
  }).optional(),
  pricing: z.object({
    input: priceSchema, cachedInput: priceSchema.optional(), cacheWrite: priceSchema.optional(), output: priceSchema,
    currency: z.enum(['USD']).default('USD'),
    version: z.string().min(1).max(64).optional().describe('Journaled with each charge.'),
  }).optional().describe('Per million tokens.'),
  fallback: z.array(refSchema).max(8).optional().meta({ 'x-kubernetes-list-type': 'atomic' }).describe('Models tried in this order on an outage, or when a budget degrades.'),
  limits: z.object({
    rpm: z.int().min(1).max(10_000_000).optional().describe('Requests per minute, over all runs.'),
    tpm: z.int().min(1).max(1_000_000_000).optional().describe('Tokens per minute, over all runs.'),
    concurrency: z.int().min(1).max(100_000).optional().describe('Requests at once, over all runs.'),
  }).optional(),
  timeout: durationSchema.optional().describe('Of one request (default 10m).'),
  retries: z.int().min(0).max(10).optional().describe('Of one request before a fallback is tried (default 2).'),
}), [{
  cel: "(has(self.provider) && self.provider != 'openai-compatible') || has(self.baseUrl)",
  message: 'spec.baseUrl is required for provider openai-compatible',
  holds: ({ provider, baseUrl }) => provider !== 'openai-compatible' || baseUrl !== undefined,
}]);

/** `status` of a Model. */
export const modelStatusSchema = z.object({
  observedGeneration: observedGenerationSchema,
  conditions: conditionsSchema.optional(),
  lastProbe: timeSchema.optional().describe('When what stands here was found out; the same answer again changes nothing.'),
  models: z.array(z.string().max(128)).max(24).optional().describe('Models the provider offers, the first of them.'),
});

/** `spec` of a Model with defaults applied. */
export type ModelSpec = DeepReadonly<z.output<typeof modelSpecSchema>>;
/** `status` of a Model. */
export type ModelStatus = DeepReadonly<z.output<typeof modelStatusSchema>>;
