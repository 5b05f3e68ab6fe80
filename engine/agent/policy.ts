import type { RevisionSpec, RevisionTool } from '../../crds/agent-revision.ts';
import { AGENT_DEFAULTS } from '../../crds/agent-parts.ts';
import { firstLine } from '../errors.ts';
import type { Root } from '../expr/environment.ts';
import { evaluateBool, parseProgram, type Program } from '../expr/program.ts';
import { parseTemplate, render, type Template } from '../expr/template.ts';
import { toCel } from '../expr/values.ts';
import type { Json } from '../types.ts';

/** Expressions of agents: policies, guardrails, probes. Parsed once, evaluated with what one call is about. */

/** What expressions of an agent may look at. Fields that do not apply are absent, and an expression that reads one fails. */
export interface AgentFacts {
  readonly tool?: RevisionTool;
  /** The arguments with those of `bind` merged in. */
  readonly arguments?: Json;
  /** Text of the input, the result or the output. */
  readonly text?: string;
  /** Idempotency key of the call. */
  readonly key?: string;
  readonly run?: { readonly id: string; readonly namespace: string; readonly agent: string; readonly principal: string };
}

const POLICY: ReadonlySet<Root> = new Set<Root>(['tool', 'arguments', 'run']);
const TEXT: ReadonlySet<Root> = new Set<Root>(['text', 'run']);
const CALL: ReadonlySet<Root> = new Set<Root>(['text', 'tool', 'arguments', 'run']);
const PROBE: ReadonlySet<Root> = new Set<Root>(['arguments', 'key', 'run']);

/** Parses the `match` of a policy rule. Throws ValueError. */
export function parseMatch(source: string): Program {
  return parseProgram(source, POLICY);
}

/** Parses the `cel` of a guardrail. Throws ValueError. */
export function parseGuardrail(source: string, stage: 'Input' | 'ToolCall' | 'ToolResult' | 'Output'): Program {
  return parseProgram(source, stage === 'Input' || stage === 'Output' ? TEXT : CALL);
}

/** Parses the arguments of a probe (`reconcile.arguments`). Throws ValueError. */
export function parseProbe(value: unknown): Template {
  return parseTemplate(value ?? {}, PROBE);
}

/** Arguments of a probe for one call. Throws ValueError. */
export function probeArguments(template: Template, facts: AgentFacts): Json {
  return render(template, scopeOf(facts));
}

/** Whether a condition of an agent holds. Throws ValueError when it cannot be told. */
export function holds(program: Program, facts: AgentFacts): boolean {
  return evaluateBool(program, scopeOf(facts));
}

/** What a policy says about a call. */
export interface PolicyDecision {
  readonly decision: 'Allow' | 'Deny' | 'RequireApproval';
  /** Index of the rule that decided; absent where none did. */
  readonly rule?: number;
  readonly reason: string;
  readonly approvers: readonly string[];
  /** Who started the run may not approve. */
  readonly fourEyes: boolean;
  readonly timeoutMs: number;
}

/**
 * What may become of a call: the first rule that is true decides. A rule that cannot be evaluated decides if it restricts, and is
 * passed over if it allows, so that an argument left out gets nobody past a rule. No rule: destructive tools ask, others may.
 */
export function decide(policy: RevisionSpec['policy'], facts: AgentFacts & { readonly tool: RevisionTool }): PolicyDecision {
  for (const [rule, { match, decision, approvers, fourEyes = false, timeoutMs, message }] of policy.entries()) {
    const verdict = verdictOf(match, facts);
    if (verdict === false || (verdict !== true && decision === 'Allow')) continue;
    const why = verdict === true ? message ?? match : `the rule ${match} cannot be evaluated (${verdict})`;
    return { decision, rule, reason: `policy[${rule}]: ${why}`, approvers, fourEyes, timeoutMs };
  }
  const common = { approvers: [], fourEyes: false, timeoutMs: AGENT_DEFAULTS.approvalTimeoutMs };
  if (facts.tool.risk === 'Destructive') return { decision: 'RequireApproval', reason: 'the tool is destructive and no rule of the policy decides', ...common };
  return { decision: 'Allow', reason: 'no rule of the policy decides', ...common };
}

/** True, false, or why it cannot be told. */
function verdictOf(match: string, facts: AgentFacts): boolean | string {
  try {
    return holds(parseMatch(match), facts);
  } catch (error) {
    return firstLine(error);
  }
}

function scopeOf(facts: AgentFacts): Parameters<typeof render>[1] {
  return { spent: 0, context: () => contextOf(facts) };
}

function contextOf({ tool, arguments: given, text, key, run }: AgentFacts): Readonly<Record<string, unknown>> {
  return {
    ...(tool === undefined ? {} : { tool: toCel(toolView(tool)) }),
    ...(given === undefined ? {} : { arguments: toCel(given) }),
    ...(text === undefined ? {} : { text }),
    ...(key === undefined ? {} : { key }),
    ...(run === undefined ? {} : { run: toCel({ id: run.id, namespace: run.namespace, agent: run.agent, principal: run.principal }) }),
  };
}

/** A tool as expressions see it. */
function toolView({ display, server, tool, kind, effect, risk }: RevisionTool): Json {
  return { name: display, server, tool, kind, effect, risk, changing: effect !== 'ReadOnly', destructive: risk === 'Destructive' };
}
