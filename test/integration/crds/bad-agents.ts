import type { Case } from './bad-input.ts';
import type { Kind } from './cluster.ts';

function of(kind: Kind, good: object): (what: string, more: object, refusal?: RegExp) => Case {
  return (what, more, refusal) => ({ what, kind, spec: { ...good, ...more }, ...(refusal === undefined ? {} : { refusal }) });
}

const model = of('Model', { model: 'm', baseUrl: 'https://models.example.com/v1' });
const server = of('ToolServer', { mcp: { url: 'https://tools.example.com/mcp' } });
const agent = of('Agent', { modelRef: { name: 'm' } });
const CA = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----';
const ALL = { untrustedInput: true, sensitiveData: true, outsideChange: true };

const models: readonly Case[] = [
  model('a model with everything', {
    provider: 'openai-compatible', tls: { ca: CA, serverName: 'x' }, credentialsRef: { name: 's', key: 'k' }, capabilities: { tools: true, contextWindow: 8_192 },
    pricing: { input: 0.15, cachedInput: 0.01, cacheWrite: 0.2, output: 0.6, currency: 'USD', version: '2026-11' }, fallback: [{ name: 'b' }], limits: { rpm: 1, tpm: 1, concurrency: 1 }, timeout: '1m', retries: 0,
  }),
  model('openai without an address', { provider: 'openai', baseUrl: undefined }),
  model('a compatible one without an address', { baseUrl: undefined }, /baseUrl is required for provider openai-compatible/),
  ...[0, -1, -0.5].map((price) => model(`a price of ${price}`, { pricing: { input: price, output: 1 } }, /a price is above zero: leave pricing out/)),
  model('a price of zero for what comes out of the cache', { pricing: { input: 1, output: 1, cachedInput: 0 } }, /a price is above zero/),
  model('a price for the input alone', { pricing: { input: 1 } }, /pricing\.output/),
  model('another currency', { pricing: { input: 1, output: 1, currency: 'EUR' } }, /Unsupported value: "EUR"/),
  model('an address with a password', { baseUrl: 'https://me:secret@models.example.com/v1' }, /baseUrl/),
  model('an address with a query', { baseUrl: 'https://models.example.com/v1?key=1' }, /baseUrl/),
  model('an address of another protocol', { baseUrl: 'file:///etc/passwd' }, /baseUrl/),
  model('a limit of nothing', { limits: { rpm: 0 } }, /limits\.rpm/),
  model('no model', { model: '' }, /spec\.model/),
  model('another provider', { provider: 'other' }, /Unsupported value: "other"/),
];

const servers: readonly Case[] = [
  server('an MCP server', {}),
  server('a stdio server', { mcp: { stdio: { image: 'local/tools', args: ['serve'], env: [{ name: 'A', value: 'b' }] } } }),
  server('operations over HTTP', { mcp: undefined, http: { baseUrl: 'https://api.example.com', operations: [{ name: 'get-user', description: 'd', method: 'GET', path: '/users/{id}', query: ['q'] }] } }),
  server('both', { http: { baseUrl: 'https://api.example.com', operations: [{ name: 'a', description: 'd', method: 'GET', path: '/' }] } }, /exactly one of mcp, http/),
  server('neither', { mcp: undefined }, /exactly one of mcp, http/),
  server('a url and stdio', { mcp: { url: 'https://x.example.com/', stdio: { image: 'i', args: ['a'] } } }, /mcp needs exactly one of url, stdio/),
  server('a stdio server without a program', { mcp: { stdio: { image: 'i', args: [] } } }, /stdio\.args/),
  server('no operation', { mcp: undefined, http: { baseUrl: 'https://api.example.com', operations: [] } }, /http\.operations/),
  server('two ways to sign in', { auth: { none: {}, secret: { secretRef: { name: 's' } } } }, /auth needs exactly one of/),
  server('client credentials', { auth: { clientCredentials: { tokenUrl: 'https://id.example.com/token', clientId: 'c', clientSecretRef: { name: 's' } } } }),
  server('every tool reconcilable', { defaultEffect: 'Reconcilable' }, /defaultEffect may not be Reconcilable/),
  server('a reconcilable tool without a probe', { tools: [{ name: 'a', effect: 'Reconcilable' }] }, /effect Reconcilable and reconcile go together/),
  server('a probe without the class', { tools: [{ name: 'a', reconcile: { tool: 'b' } }] }, /effect Reconcilable and reconcile go together/),
  server('a probe', { tools: [{ name: 'a', effect: 'Reconcilable', reconcile: { tool: 'b', arguments: { id: '${{ arguments.id }}' } } }] }),
  server('a key in two places', { tools: [{ name: 'a', idempotency: { header: 'X', meta: 'y' } }] }, /idempotency needs exactly one of/),
  server('a key of a tool that only reads', { tools: [{ name: 'a', effect: 'ReadOnly', idempotency: { header: 'X' } }] }, /idempotency belongs to effect KeyedIdempotent/),
  server('a cache of a tool that changes', { tools: [{ name: 'a', effect: 'Idempotent', cacheTTL: '1m' }] }, /cacheTTL belongs to effect ReadOnly/),
  server('another class', { defaultEffect: 'ExactlyOnce' }, /Unsupported value: "ExactlyOnce"/),
];

const agents: readonly Case[] = [
  agent('an agent of a model alone', {}),
  agent('an agent with everything', {
    instructions: { text: 'Be brief.' }, inputSchema: { type: 'object' }, outputSchema: { type: 'object' },
    tools: [{ toolServerRef: { name: 's', include: ['a'] }, bind: { tenant: 1 } }, { workflowRef: { name: 'w' }, description: 'd' }, { agentRef: { name: 'b' } }],
    trust: { untrustedInput: true, sensitiveData: true }, policy: [{ match: 'tool.name == "s/a"', decision: 'RequireApproval', approvers: ['ops'], timeout: '1h' }],
    limits: { maxSteps: 5, timeout: '5m', parallelTools: 2, maxDepth: 1, repeatWindow: 3, outputRepairs: 1 }, budget: { tokens: 1_000, usd: 0.5, onExceeded: 'Pause' }, dailyBudget: { usd: 2 },
    guardrails: [{ name: 'a', stage: 'Input', cel: 'text.contains("x")', action: 'Mutate', replace: { pattern: 'x', with: 'y' } }, { name: 'b', stage: 'Output', webhook: { url: 'https://x.example.com/check' } }],
    memory: { compaction: { atTokens: 5_000, keepLast: 4 }, longTerm: { scope: 'User', ttl: '7d', required: true } }, runner: { isolation: 'warm', pool: 'p' }, parameters: { temperature: 0.5, maxOutputTokens: 100 },
  }),
  agent('no model', { modelRef: undefined }, /modelRef/),
  agent('instructions from two places', { instructions: { text: 'a', configMapKeyRef: { name: 'c', key: 'k' } } }, /instructions need exactly one of/),
  agent('a tool of two sources', { tools: [{ toolServerRef: { name: 's' }, agentRef: { name: 'b' } }] }, /an entry of tools needs exactly one of/),
  agent('a tool of none', { tools: [{ bind: {} }] }, /an entry of tools needs exactly one of/),
  agent('a description of a server', { tools: [{ toolServerRef: { name: 's' }, description: 'd' }] }, /a server describes its own tools/),
  agent('all three kinds of trust', { trust: ALL }, /set at most two/),
  agent('all three kinds of trust, and a policy that lets some through', { trust: ALL, policy: [{ match: 'tool.server == "s"', decision: 'RequireApproval' }] }, /set at most two/),
  agent('all three kinds of trust, and a first rule that allows', { trust: ALL, policy: [{ match: 'tool.changing', decision: 'Allow' }] }, /set at most two/),
  agent('all three kinds of trust, every changing tool asks', { trust: ALL, policy: [{ match: 'tool.changing', decision: 'RequireApproval' }, { match: 'true', decision: 'Allow' }] }),
  agent('two kinds of trust', { trust: { ...ALL, sensitiveData: false } }),
  agent('a budget of nothing', { budget: { usd: 0 } }, /an amount of money is above zero/),
  agent('a budget of less than nothing', { dailyBudget: { usd: -1 } }, /an amount of money is above zero/),
  agent('no tokens', { budget: { tokens: 0 } }, /budget\.tokens/),
  agent('no steps', { limits: { maxSteps: 0 } }, /limits\.maxSteps/),
  agent('a guardrail of nothing', { guardrails: [{ name: 'a', stage: 'Input' }] }, /a guardrail needs exactly one of/),
  agent('a guardrail that changes nothing', { guardrails: [{ name: 'a', stage: 'Input', cel: 'true', action: 'Mutate' }] }, /action Mutate needs replace/),
  agent('an output that asks for approval', { guardrails: [{ name: 'a', stage: 'Output', cel: 'true', action: 'RequireApproval' }] }, /RequireApproval belongs to stage ToolCall/),
  agent('another stage', { guardrails: [{ name: 'a', stage: 'Later', cel: 'true' }] }, /Unsupported value: "Later"/),
  agent('an inline agent', { runner: { isolation: 'inline' } }, /Unsupported value: "inline"/),
];

/** Objects of agents and what the API server has to say about them. */
export const AGENT_CASES: readonly Case[] = [...models, ...servers, ...agents];
