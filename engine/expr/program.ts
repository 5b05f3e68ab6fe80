import { LIMITS } from '../../crds/names.ts';
import type { Json } from '../types.ts';
import { ValueError, firstLine, shorten } from '../errors.ts';
import { boundCost } from './cost.ts';
import { parseCel, type Parsed, type Root } from './environment.ts';
import { inspect, refuseDepth, type References } from './inspect.ts';
import { fromCel } from './values.ts';

/** Largest result of one expression, in bytes of JSON. */
const MAX_RESULT = 1024 * 1024;

/** A parsed, type-checked expression. Made once per definition, evaluated often. */
export interface Program {
  readonly source: string;
  readonly references: References;
  /** Type the checker found: `bool`, `list<int>`, `dyn`, … */
  readonly type: string;
  readonly parsed: Parsed;
}

/** Gives the values of the roots an expression refers to, as CEL values. */
export interface Scope {
  /** Values by root name; only the roots named in `references` are read. */
  context(references: References): Readonly<Record<string, unknown>>;
  /** Steps spent so far by every evaluation in this scope; the owner bounds their sum. */
  spent: number;
  /** What a person should know when a key was missing: which nodes have no output. Empty when there is nothing to say. */
  explain?(references: References): string;
}

const WRAPPED = /^\s*\$\{\{([\s\S]*)\}\}\s*$/;

/** The expression inside a `${{ }}` that stands around the whole, or the text itself. */
export function unwrap(source: string): string {
  return (WRAPPED.exec(source)?.[1] ?? source).trim();
}

/**
 * Parses and type-checks a bare expression (a `${{ }}` around the whole is accepted). `visible` are the roots this
 * field may see. Throws ValueError that says what is wrong with it.
 */
export function parseProgram(text: string, visible: ReadonlySet<Root>): Program {
  if (text.length > LIMITS.expressionLength) {
    throw new ValueError('ExpressionTooLong', `the expression has ${text.length} characters, at most ${LIMITS.expressionLength} are allowed`);
  }
  const source = unwrap(text);
  if (source === '') throw new ValueError('ExpressionInvalid', 'the expression is empty');
  const parsed = parse(source);
  refuseDepth(parsed.ast);
  const references = inspect(parsed.ast);
  for (const root of references.roots) {
    if (!visible.has(root)) throw new ValueError('UnknownName', `${root} does not exist here; this field sees ${[...visible].join(', ')}`);
  }
  const checked = check(parsed);
  return { source, references, type: checked, parsed };
}

function parse(source: string): Parsed {
  try {
    return parseCel(source);
  } catch (error) {
    throw new ValueError('ExpressionInvalid', `it does not parse: ${firstLine(error)}`);
  }
}

function check(parsed: Parsed): string {
  const result = parsed.check();
  if (!result.valid) throw new ValueError('ExpressionInvalid', `it does not type-check: ${firstLine(result.error)}`);
  return result.type ?? 'dyn';
}

/** Evaluates a program to JSON. Throws ValueError for everything that can go wrong; never anything else. */
export function evaluate(program: Program, scope: Scope): Json {
  try {
    const context = scope.context(program.references);
    scope.spent += program.references.costly ? boundCost(program.parsed.ast, context) : 1;
    return fromCel(program.parsed(context), MAX_RESULT);
  } catch (error) {
    const reason = error instanceof ValueError && error.reason !== 'NotJson' ? error.reason : 'ExpressionFailed';
    throw new ValueError(reason, `expression ${JSON.stringify(shorten(program.source))}: ${firstLine(error)}${scope.explain?.(program.references) ?? ''}`);
  }
}

/** Evaluates a condition. Throws ValueError when the result is not true or false. */
export function evaluateBool(program: Program, scope: Scope): boolean {
  const value = evaluate(program, scope);
  if (typeof value === 'boolean') return value;
  throw new ValueError('ExpressionFailed', `expression ${JSON.stringify(shorten(program.source))}: the result is ${kindOf(value)}, not true or false`);
}

/** What a person calls the kind of a JSON value. */
export function kindOf(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return `a ${typeof value}`;
}
