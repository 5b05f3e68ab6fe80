import { z } from 'zod';
import { AGENT_LIMITS, effectSchema, hostSchema, idempotencySchema, reconcileSchema, riskSchema, secretKeySchema, urlSchema } from './agent-parts.ts';
import { specHash } from './canonical.ts';
import { anyJson, byName, conditionsSchema, durationSchema, envVarSchema, observedGenerationSchema, resourcesSchema, subdomainSchema, timeSchema } from './parts.ts';
import type { DeepReadonly } from './readonly.ts';
import { exactlyOneOf, withRules } from './rules.ts';

const toolNameSchema = z.string().min(1).max(128);

/** A server that speaks over its standard input and output, in a Deployment of its own. */
const stdioSchema = z.object({
  image: z.string().min(1).max(1_024),
  args: z.array(z.string().max(4_096)).min(1).max(64).describe('The program in the image and its arguments; no shell reads them.'),
  env: z.array(envVarSchema).max(64).optional().meta(byName),
  envFrom: z.array(z.object({ secretRef: z.object({ name: subdomainSchema }) })).max(8).optional().describe('Secrets whose keys become its environment.'),
  resources: resourcesSchema.optional(),
  imagePullSecrets: z.array(z.object({ name: subdomainSchema })).max(8).optional().meta(byName),
});

const mcpSchema = withRules(z.object({
  url: urlSchema.optional().describe('Address of the streamable HTTP endpoint.'),
  stdio: stdioSchema.optional(),
  protocol: z.enum(['auto', '2026-07-28', 'legacy']).default('auto'),
}), [exactlyOneOf(['url', 'stdio'], 'mcp needs exactly one of url, stdio')]);

const operationSchema = z.object({
  name: toolNameSchema.regex(/^[A-Za-z][A-Za-z0-9_-]*$/),
  description: z.string().min(1).max(AGENT_LIMITS.description),
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
  path: z.string().min(1).max(1_024).regex(/^\/[^\s?#]*$/).describe('Below baseUrl; {name} takes an argument.'),
  query: z.array(z.string().min(1).max(128)).max(64).optional().describe('Arguments that go into the query; the others that the path does not take are the JSON body.'),
  inputSchema: anyJson.optional().describe('JSON Schema (2020-12) of the arguments, an object.'),
  outputSchema: anyJson.optional(),
});

const httpSchema = z.object({
  baseUrl: urlSchema,
  operations: z.array(operationSchema).min(1).max(128).meta(byName),
});

const authSchema = withRules(z.object({
  none: z.object({}).optional(),
  secret: z.object({
    secretRef: secretKeySchema,
    header: z.string().min(1).max(128).regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/).default('Authorization'),
    prefix: z.string().max(64).default('Bearer ').describe('What stands before the key.'),
  }).optional(),
  clientCredentials: z.object({
    tokenUrl: urlSchema, clientId: z.string().min(1).max(512), clientSecretRef: secretKeySchema,
    scopes: z.array(z.string().min(1).max(256)).max(32).optional(), audience: z.string().min(1).max(512).optional(),
  }).optional(),
  perUser: z.object({ authorizationUrl: urlSchema, tokenUrl: urlSchema, clientId: z.string().min(1).max(512), clientSecretRef: secretKeySchema.optional(), scopes: z.array(z.string().min(1).max(256)).max(32).optional() })
    .optional().describe('OAuth per end user; refused by this release.'),
  tokenExchange: z.object({ tokenUrl: urlSchema, audience: z.string().min(1).max(512).optional() }).optional().describe('RFC 8693; refused by this release.'),
}), [exactlyOneOf(['none', 'secret', 'clientCredentials', 'perUser', 'tokenExchange'], 'auth needs exactly one of none, secret, clientCredentials, perUser, tokenExchange')]);

/** What the owner says about one tool. */
const toolOverrideSchema = withRules(z.object({
  name: toolNameSchema,
  effect: effectSchema.optional(),
  risk: riskSchema.optional(),
  idempotency: idempotencySchema.optional(),
  reconcile: reconcileSchema.optional(),
  timeout: durationSchema.optional().describe('Of one call (default 60s).'),
  cacheTTL: durationSchema.optional().describe('ReadOnly: how long an answer serves the same call again.'),
}), [
  {
    cel: "!has(self.idempotency) || !has(self.effect) || self.effect == 'KeyedIdempotent'", message: 'idempotency belongs to effect KeyedIdempotent',
    holds: ({ idempotency, effect }) => idempotency === undefined || effect === undefined || effect === 'KeyedIdempotent',
  },
  {
    cel: "has(self.reconcile) == (has(self.effect) && self.effect == 'Reconcilable')", message: 'effect Reconcilable and reconcile go together',
    holds: ({ reconcile, effect }) => (reconcile !== undefined) === (effect === 'Reconcilable'),
  },
  {
    cel: "!has(self.cacheTTL) || (has(self.effect) && self.effect == 'ReadOnly')", message: 'cacheTTL belongs to effect ReadOnly',
    holds: ({ cacheTTL, effect }) => cacheTTL === undefined || effect === 'ReadOnly',
  },
]);

/** `spec` of a ToolServer. */
export const toolServerSpecSchema = withRules(z.object({
  description: z.string().max(4_096).optional(),
  mcp: mcpSchema.optional(),
  http: httpSchema.optional(),
  auth: authSchema.optional().describe('Used by the model gateway only; neither model nor runner sees it.'),
  defaultEffect: effectSchema.default('AtMostOnce').describe('Of tools that say nothing else.'),
  trustHints: z.boolean().default(false).describe('MCP hints (readOnly, idempotent, destructive) count.'),
  tools: z.array(toolOverrideSchema).max(128).optional().meta(byName),
  egress: z.array(hostSchema).max(64).optional().describe('Hosts the server and its credentials may reach.'),
}), [
  exactlyOneOf(['mcp', 'http'], 'spec needs exactly one of mcp, http'),
  {
    cel: "self.defaultEffect != 'Reconcilable'", message: 'spec.defaultEffect may not be Reconcilable: every such tool names a probe of its own', fieldPath: '.defaultEffect',
    holds: ({ defaultEffect }) => defaultEffect !== 'Reconcilable',
  },
]);

/** `status` of a ToolServer. */
export const toolServerStatusSchema = z.object({
  observedGeneration: observedGenerationSchema,
  conditions: conditionsSchema.optional(),
  toolCount: z.int().min(0).optional(),
  tools: z.array(z.object({
    name: toolNameSchema, schemaHash: z.string().max(64), effect: effectSchema,
    changed: z.boolean().optional().describe('Its schema is not the accepted one: no agent gets it.'),
  })).max(40).optional().meta(byName).describe('The first of its tools.'),
  discoveryHash: z.string().max(64).optional().describe('Of all tools together; what the annotation rambo.dev/accept-schemas names.'),
  discoveredAt: timeSchema.optional().describe('When what stands here was found; the same answer again changes nothing.'),
  protocol: z.string().max(32).optional(),
  auth: z.enum(['None', 'Ok', 'Failed', 'Unknown']).optional(),
});

/** `spec` of a ToolServer with defaults applied. */
export type ToolServerSpec = DeepReadonly<z.output<typeof toolServerSpecSchema>>;
/** `status` of a ToolServer. */
export type ToolServerStatus = DeepReadonly<z.output<typeof toolServerStatusSchema>>;

/** Port on which a server over stdio is reached through its bridge. */
export const STDIO_PORT = 8_080;

/** Name of the Deployment and the Service of a server over stdio. */
export function stdioName(toolServer: string): string {
  const name = `rambo-tools-${toolServer}`;
  return name.length <= 63 ? name : `${name.slice(0, 54)}-${specHash(toolServer).slice(0, 8)}`;
}

/** Where a ToolServer is reached: as its spec says, or at the Service of its own Deployment. */
export function toolServerUrl(namespace: string, name: string, spec: ToolServerSpec): string {
  if (spec.http !== undefined) return spec.http.baseUrl;
  return spec.mcp?.url ?? `http://${stdioName(name)}.${namespace}.svc:${STDIO_PORT}/mcp`;
}
