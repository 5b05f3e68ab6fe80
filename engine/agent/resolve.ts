import type { AgentSpec } from '../../crds/agent.ts';
import { AGENT_DEFAULTS } from '../../crds/agent-parts.ts';
import { revisionHash, type RevisionGuardrail, type RevisionSpec } from '../../crds/agent-revision.ts';
import { parseDuration } from '../../crds/duration.ts';
import type { ModelSpec } from '../../crds/model.ts';
import { nanoOfUsd } from '../../crds/money.ts';
import { checkSchema } from '../schema/schemas.ts';
import { linearPattern } from '../pattern.ts';
import { expectBoolean } from './expectations.ts';
import { parseGuardrail, parseMatch } from './policy.ts';
import { AgentProblems, type AgentProblem } from './problems.ts';
import { resolveTools } from './tools.ts';
import type { AgentWorld } from './world.ts';

/** A revision with its name, or everything that stands in its way. */
export type ResolvedAgent =
  | { readonly ok: true; readonly hash: string; readonly revision: RevisionSpec }
  | { readonly ok: false; readonly problems: readonly AgentProblem[] };

/**
 * What a run of the agent needs, from its spec and what the spec names. A function of its arguments: the controller (Agents) and the
 * model gateway (inline agents) come to the same revision. Times are settled to milliseconds, money to nano-USD, defaults filled in.
 */
export function resolveAgent(spec: AgentSpec, world: AgentWorld): ResolvedAgent {
  const problems = new AgentProblems();
  const models = resolveModels(spec, world, problems);
  const instructions = instructionsOf(spec, world, problems);
  checkSchemas(spec, problems);
  const tools = resolveTools(spec, world, problems);
  if (tools.length > 0) checkCapabilities(models, tools.length, problems);
  const guardrails = resolveGuardrails(spec, world, problems);
  const revision: RevisionSpec = {
    v: 1, namespace: world.namespace, ...(world.agent === undefined ? {} : { agent: world.agent }), ...(spec.description === undefined ? {} : { description: spec.description }),
    instructions, models: models.map(({ name }) => name),
    parameters: { ...spec.parameters, maxOutputTokens: spec.parameters?.maxOutputTokens ?? AGENT_DEFAULTS.maxOutputTokens },
    ...(spec.inputSchema === undefined ? {} : { inputSchema: spec.inputSchema }), ...(spec.outputSchema === undefined ? {} : { outputSchema: spec.outputSchema }),
    tools, policy: resolvePolicy(spec, problems), limits: limitsOf(spec, problems),
    budget: { ...amounts(spec.budget), onExceeded: spec.budget?.onExceeded ?? 'Stop' }, dailyBudget: amounts(spec.dailyBudget),
    guardrails, memory: memoryOf(spec, problems),
    trust: { ...NO_TRUST, ...present(spec.trust) },
  };
  return problems.found.length > 0 ? { ok: false, problems: problems.found } : { ok: true, hash: revisionHash(revision), revision };
}

const NO_TRUST: RevisionSpec['trust'] = { untrustedInput: false, sensitiveData: false, outsideChange: false };

interface NamedModel { readonly name: string; readonly spec: ModelSpec }

/** The model and its fallbacks, each once. A budget in USD can only be held where every one of them has a price. */
function resolveModels(spec: AgentSpec, world: AgentWorld, problems: AgentProblems): readonly NamedModel[] {
  const found: NamedModel[] = [];
  const add = (name: string, field: string): ModelSpec | undefined => {
    const model = world.model(name);
    if (model === undefined) problems.reference(field, 'ModelNotFound', `there is no Model ${JSON.stringify(name)} in namespace ${world.namespace}`);
    else if (!found.some((entry) => entry.name === name)) found.push({ name, spec: model });
    return model;
  };
  const first = add(spec.modelRef.name, 'modelRef');
  for (const { name } of first?.fallback ?? []) add(name, `modelRef, fallback of Model ${spec.modelRef.name}`);
  if (first !== undefined && spec.budget?.onExceeded === 'Degrade' && (first.fallback ?? []).length === 0) {
    problems.reference('budget.onExceeded', 'NoFallback', `Degrade needs a fallback, and Model ${JSON.stringify(spec.modelRef.name)} has none`);
  }
  if (spec.budget?.usd !== undefined || spec.dailyBudget?.usd !== undefined) for (const { name, spec: model } of found) {
    if (model.pricing === undefined) problems.reference('budget.usd', 'ModelHasNoPrice', `Model ${JSON.stringify(name)} has no pricing, so no budget in USD can be held: give it one, or set a budget in tokens`);
  }
  return found;
}

function checkCapabilities(models: readonly NamedModel[], tools: number, problems: AgentProblems): void {
  for (const { name, spec } of models) {
    if (spec.capabilities?.tools === false) problems.reference('modelRef', 'ModelLacksTools', `Model ${JSON.stringify(name)} cannot call tools (capabilities.tools is false) and the agent has ${tools}`);
  }
}

function instructionsOf(spec: AgentSpec, world: AgentWorld, problems: AgentProblems): string {
  if (spec.instructions === undefined) return '';
  if (spec.instructions.text !== undefined) return spec.instructions.text;
  const ref = spec.instructions.configMapKeyRef;
  if (world.instructions === undefined) problems.reference('instructions.configMapKeyRef', 'ConfigMapNotFound', `there is no ConfigMap ${JSON.stringify(ref?.name ?? '')} with the key ${JSON.stringify(ref?.key ?? '')} in namespace ${world.namespace}`);
  return world.instructions ?? '';
}

function checkSchemas(spec: AgentSpec, problems: AgentProblems): void {
  for (const field of ['inputSchema', 'outputSchema'] as const) {
    if (spec[field] !== undefined) for (const text of checkSchema(spec[field])) problems.spec(field, 'SchemaInvalid', text);
  }
}

function resolvePolicy(spec: AgentSpec, problems: AgentProblems): RevisionSpec['policy'] {
  return (spec.policy ?? []).map(({ match, decision, approvers, fourEyes, timeout, message }, index) => {
    problems.guard(`policy[${index}].match`, () => { expectBoolean(parseMatch(match)); });
    return { match, decision, approvers: approvers ?? [], timeoutMs: settle(`policy[${index}].timeout`, timeout, problems) ?? AGENT_DEFAULTS.approvalTimeoutMs, ...(fourEyes === true ? { fourEyes } : {}), ...(message === undefined ? {} : { message }) };
  });
}

function resolveGuardrails(spec: AgentSpec, world: AgentWorld, problems: AgentProblems): readonly RevisionGuardrail[] {
  return (spec.guardrails ?? []).map((guardrail, index): RevisionGuardrail => {
    const field = `guardrails[${index}]`;
    const { name, stage, tools, cel, webhook, model, action, replace, message } = guardrail;
    if (cel !== undefined) problems.guard(`${field}.cel`, () => { expectBoolean(parseGuardrail(cel, stage)); });
    if (replace !== undefined) problems.guard(`${field}.replace.pattern`, () => linearPattern(replace.pattern));
    if (model !== undefined && world.model(model.modelRef.name) === undefined) problems.reference(`${field}.model.modelRef`, 'ModelNotFound', `there is no Model ${JSON.stringify(model.modelRef.name)} in namespace ${world.namespace}`);
    return {
      name, stage, action, ...(tools === undefined ? {} : { tools }), ...(cel === undefined ? {} : { cel }), ...(replace === undefined ? {} : { replace }), ...(message === undefined ? {} : { message }),
      ...(webhook === undefined ? {} : { webhook: {
        url: webhook.url, timeoutMs: settle(`${field}.webhook.timeout`, webhook.timeout, problems) ?? AGENT_DEFAULTS.guardrailTimeoutMs,
        ...(webhook.credentialsRef === undefined ? {} : { credentialsRef: { name: webhook.credentialsRef.name, key: webhook.credentialsRef.key ?? 'apiKey' } }),
      } }),
      ...(model === undefined ? {} : { model: { model: model.modelRef.name, instructions: model.instructions } }),
    };
  });
}

function limitsOf(spec: AgentSpec, problems: AgentProblems): RevisionSpec['limits'] {
  const limits = spec.limits ?? {};
  const { maxSteps, parallelTools, maxDepth, repeatWindow, outputRepairs } = { ...AGENT_DEFAULTS, ...present(limits) };
  return { maxSteps, timeoutMs: settle('limits.timeout', limits.timeout, problems) ?? AGENT_DEFAULTS.timeoutMs, parallelTools, maxDepth, repeatWindow, outputRepairs };
}

function amounts(budget: { readonly tokens?: number | undefined; readonly usd?: number | undefined } | undefined): { readonly tokens?: number; readonly nano?: string } {
  return { ...(budget?.tokens === undefined ? {} : { tokens: budget.tokens }), ...(budget?.usd === undefined ? {} : { nano: nanoOfUsd(budget.usd) }) };
}

function memoryOf(spec: AgentSpec, problems: AgentProblems): RevisionSpec['memory'] {
  const { compaction, longTerm } = spec.memory ?? {};
  return {
    ...(compaction === undefined ? {} : { compaction: { atTokens: compaction.atTokens, keepLast: compaction.keepLast ?? AGENT_DEFAULTS.keepLast } }),
    ...(longTerm === undefined ? {} : { longTerm: { scope: longTerm.scope, ttlMs: settle('memory.longTerm.ttl', longTerm.ttl, problems) ?? AGENT_DEFAULTS.memoryTtlMs, required: longTerm.required ?? false } }),
  };
}

function settle(field: string, text: string | undefined, problems: AgentProblems): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) problems.spec(field, 'DurationInvalid', 'it is no duration such as 500ms, 10s or 1h30m');
  return ms;
}

/** The fields that are given: a spread must not put `undefined` over a default. */
function present<T extends object>(value: T | undefined): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  // What is filtered is exactly what the type leaves out.
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, entry]) => entry !== undefined)) as { readonly [K in keyof T]?: Exclude<T[K], undefined> };
}
