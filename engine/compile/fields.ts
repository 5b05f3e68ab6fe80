import { agentSpecSchema } from '../../crds/agent.ts';
import type { NodeSpec, NodeType, WithSpec } from '../../crds/node.ts';
import type { Root } from '../expr/environment.ts';
import { parseProgram, type Program } from '../expr/program.ts';
import { isList } from '../expr/values.ts';
import { isJson } from '../schema/schemas.ts';
import { parseTemplate, parseText, type Template } from '../expr/template.ts';
import { parseDuration } from '../../crds/duration.ts';
import { parseInstant } from '../instant.ts';
import type { CasePlan } from './plan.ts';
import type { Problems } from './problems.ts';

interface Rule { readonly required: readonly (keyof WithSpec)[]; readonly optional: readonly (keyof WithSpec)[] }

/** Fields of `with` by type. Types without a rule are not run by this release. */
const RULES: Partial<Readonly<Record<NodeType, Rule>>> = {
  container: { required: ['image'], optional: ['command', 'args', 'env', 'input'] },
  script: { required: ['language', 'source'], optional: ['env', 'input'] },
  http: { required: ['url'], optional: ['method', 'headers', 'body', 'expect', 'env', 'input'] },
  transform: { required: ['output'], optional: [] },
  switch: { required: ['cases'], optional: ['default'] },
  wait: { required: [], optional: ['duration', 'until'] },
  agent: { required: [], optional: ['agentRef', 'inline', 'input', 'conversation'] },
};

/** What the fields of one node become. */
export interface Fields {
  readonly fields: (readonly [string, Template])[];
  readonly env: (readonly [string, Template])[];
  readonly cases: CasePlan[];
  otherwise?: Template;
  waitMs?: number;
  until?: Template;
  expectStatus?: readonly number[];
  expect?: Program;
}

/** Whether this release runs the type. */
export function isSupported(type: NodeType): boolean {
  return RULES[type] !== undefined;
}

/** Checks the `with` of a node against its type and parses what is in it. */
export function compileFields(node: NodeSpec, visible: ReadonlySet<Root>, problems: Problems): Fields {
  const out: Fields = { fields: [], env: [], cases: [] };
  const rule = RULES[node.type];
  if (rule === undefined) return out;
  const given: WithSpec = node.with ?? {};
  checkPresence(node, given, rule, problems);
  const parse = new FieldParser(node, given, visible, problems, out);
  switch (node.type) {
    case 'container': parse.container(); break;
    case 'script': parse.script(); break;
    case 'http': parse.http(); break;
    case 'transform': parse.any('output', given.output); break;
    case 'switch': parse.switch(); break;
    case 'agent': parse.agent(); break;
    default: parse.wait();
  }
  parse.env();
  return out;
}

function checkPresence(node: NodeSpec, given: WithSpec, rule: Rule, problems: Problems): void {
  for (const field of rule.required) {
    if (given[field] === undefined) problems.add(node.name, `with.${field}`, 'FieldRequired', `a ${node.type} node needs it`);
  }
  const allowed = new Set<string>([...rule.required, ...rule.optional]);
  for (const [field, value] of Object.entries(given)) {
    if (value === undefined || allowed.has(field)) continue;
    problems.add(node.name, `with.${field}`, 'FieldNotAllowed', `a ${node.type} node does not take it; it takes ${[...allowed].join(', ')}`, value);
  }
}

class FieldParser {
  private readonly node: NodeSpec;
  private readonly given: WithSpec;
  private readonly visible: ReadonlySet<Root>;
  private readonly problems: Problems;
  private readonly out: Fields;

  constructor(node: NodeSpec, given: WithSpec, visible: ReadonlySet<Root>, problems: Problems, out: Fields) {
    this.node = node;
    this.given = given;
    this.visible = visible;
    this.problems = problems;
    this.out = out;
  }

  /** A field that may hold expressions anywhere. */
  any(name: string, value: unknown): void {
    if (value === undefined) return;
    this.push(name, this.guard(name, value, () => parseTemplate(value, this.visible)));
  }

  container(): void {
    const { image, command, args, input } = this.given;
    if (image !== undefined) this.push('image', this.guard('image', image, () => parseText(image, this.visible, true)));
    if (command !== undefined) this.whole('command', command);
    if (args !== undefined) this.whole('args', args);
    this.any('input', input);
  }

  script(): void {
    const { language, source, input } = this.given;
    if (language !== undefined) this.push('language', { kind: 'literal', value: language });
    if (source !== undefined) this.push('source', { kind: 'literal', value: source });
    this.any('input', input);
  }

  http(): void {
    const { method, url, headers, body, expect, input } = this.given;
    this.push('method', { kind: 'literal', value: method ?? 'GET' });
    this.any('url', url);
    if (headers !== undefined) this.headers(headers);
    this.any('body', body);
    this.any('input', input);
    if (expect?.status !== undefined) this.out.expectStatus = expect.status;
    if (expect?.status !== undefined) this.push('expect', { kind: 'literal', value: { status: expect.status } });
    if (expect?.condition === undefined) return;
    const condition = expect.condition;
    const program = this.guard('expect.condition', condition, () => parseProgram(condition, new Set<Root>([...this.visible, 'response'])));
    if (program !== undefined) this.out.expect = program;
  }

  /** Who the agent is stands fixed: an expression there would let the input of a run choose instructions and tools. */
  agent(): void {
    const { agentRef, inline, input, conversation } = this.given;
    if ((agentRef === undefined) === (inline === undefined)) {
      this.problems.add(this.node.name, 'with', 'FieldRequired', 'an agent node takes exactly one of agentRef and inline');
    }
    if (agentRef !== undefined) this.push('agentRef', { kind: 'literal', value: { name: agentRef.name } });
    if (inline !== undefined) this.push('inline', inlineAgent(this.node.name, inline, this.problems));
    this.any('input', input);
    this.any('conversation', conversation);
  }

  switch(): void {
    this.given.cases?.forEach((entry, i) => {
      const when = this.guard(`cases[${i}].when`, entry.when, () => parseProgram(entry.when, this.visible));
      const output = this.guard(`cases[${i}].output`, entry.output, () => parseTemplate(entry.output, this.visible));
      if (when !== undefined) expectBool(this.node.name, `with.cases[${i}].when`, when, this.problems);
      if (when !== undefined && output !== undefined) this.out.cases.push({ when, output });
    });
    const { default: otherwise } = this.given;
    if (otherwise === undefined) return;
    const template = this.guard('default', otherwise, () => parseTemplate(otherwise, this.visible));
    if (template !== undefined) this.out.otherwise = template;
  }

  wait(): void {
    const { duration, until } = this.given;
    if ((duration === undefined) === (until === undefined)) {
      this.problems.add(this.node.name, 'with', 'FieldRequired', 'a wait node takes exactly one of duration and until');
    }
    if (duration !== undefined) {
      const ms = parseDuration(duration);
      if (ms === undefined) this.problems.add(this.node.name, 'with.duration', 'DurationInvalid', 'it is no duration such as 500ms, 10s or 1h30m', duration);
      else this.out.waitMs = ms;
    }
    if (until === undefined) return;
    const template = this.guard('until', until, () => parseText(until, this.visible));
    if (template?.kind === 'literal' && parseInstant(until) === undefined) {
      this.problems.add(this.node.name, 'with.until', 'InstantInvalid', 'it is no RFC 3339 time such as 2026-01-02T03:04:05Z', until);
    }
    if (template !== undefined) this.out.until = template;
  }

  /** `runner.env` may have text around an expression, `with.env` may not. The node's own `with.env` wins. */
  env(): void {
    for (const [list, field, whole] of [[this.node.runner?.env, 'runner.env', false], [this.given.env, 'with.env', true]] as const) {
      list?.forEach((entry, i) => {
        const text = entry.value ?? '';
        const template = this.problems.guard(this.node.name, `${field}[${i}].value`, text, () => parseText(text, this.visible, whole));
        if (template !== undefined) this.out.env.push([entry.name, template]);
      });
    }
  }

  private headers(headers: NonNullable<WithSpec['headers']>): void {
    const entries = headers.map((header, i): Template => {
      if ((header.value === undefined) === (header.fromEnv === undefined)) {
        this.problems.add(this.node.name, `with.headers[${i}]`, 'FieldRequired', 'a header takes exactly one of value and fromEnv', header.name);
      }
      const text = header.value;
      const value = text === undefined ? undefined : this.guard(`headers[${i}].value`, text, () => parseText(text, this.visible));
      const parts: (readonly [string, Template])[] = [['name', { kind: 'literal', value: header.name }]];
      if (value !== undefined) parts.push(['value', value]);
      if (header.fromEnv !== undefined) parts.push(['fromEnv', { kind: 'literal', value: header.fromEnv }]);
      return { kind: 'object', entries: parts };
    });
    this.push('headers', { kind: 'list', entries });
  }

  private whole(name: string, list: readonly string[]): void {
    const entries = list.map((text, i) => this.guard(`${name}[${i}]`, text, () => parseText(text, this.visible, true)));
    this.push(name, { kind: 'list', entries: entries.filter((entry) => entry !== undefined) });
  }

  private push(name: string, template: Template | undefined): void {
    if (template !== undefined) this.out.fields.push([name, template]);
  }

  private guard<T>(name: string, value: unknown, run: () => T): T | undefined {
    return this.problems.guard(this.node.name, `with.${name}`, value, run);
  }
}

/** The inline spec of an agent as a value that no expression is looked for in. What it names is looked for when it runs. */
function inlineAgent(node: string, inline: unknown, problems: Problems): Template | undefined {
  if (!isJson(inline) || typeof inline !== 'object' || inline === null || isList(inline)) {
    problems.add(node, 'with.inline', 'AgentInvalid', 'it is the spec of an Agent: an object', inline);
    return undefined;
  }
  const parsed = agentSpecSchema.safeParse(inline);
  if (parsed.success) return { kind: 'literal', value: inline };
  for (const { path, message } of parsed.error.issues.slice(0, 10)) problems.add(node, ['with.inline', ...path.map(String)].join('.'), 'AgentInvalid', message);
  return undefined;
}

/** Adds a problem when the checker knows that a condition is not true or false. */
export function expectBool(node: string | undefined, field: string, program: Program, problems: Problems): void {
  if (program.type === 'bool' || program.type === 'dyn') return;
  problems.add(node, field, 'ExpressionInvalid', `a condition is true or false, this is a ${program.type}`, program.source);
}
