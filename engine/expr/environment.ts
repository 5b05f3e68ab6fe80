import { Environment } from '@marcbachmann/cel-js';
import type { ASTNode } from '@marcbachmann/cel-js';
import { LIMITS } from '../../crds/names.ts';
import { ValueError } from '../errors.ts';
import { matches } from '../pattern.ts';

/** Names that the fields of a workflow start from. */
const RUN_ROOTS = ['inputs', 'nodes', 'item', 'index', 'run', 'workflow', 'error', 'attempts', 'response'] as const;
/** Names that policies, guardrails and probes of agents start from. A comprehension may use them for its variable, as it could before they came. */
const AGENT_ROOTS = ['tool', 'arguments', 'text', 'key'] as const;
/** Names an expression may start from; which of them a field sees is checked per field. */
export const ROOTS = [...RUN_ROOTS, ...AGENT_ROOTS] as const;
/** Names that no comprehension may use for its variable. */
export const RESERVED: ReadonlySet<string> = new Set(RUN_ROOTS);
/** One of the names an expression may start from. */
export type Root = (typeof ROOTS)[number];

/** Our name for `matches` inside the library, whose own runs on backtracking regular expressions and cannot be replaced. */
export const SAFE_MATCHES = 'matchesLinear';

/** Macros that iterate, all of the shape `list.macro(variable, …)`. */
export const COMPREHENSIONS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
/** Functions called as `f(x)`. What is not listed is refused: nothing of the library gets in unnoticed. */
export const FUNCTIONS: ReadonlySet<string> = new Set([
  'has', 'size', 'dyn', 'type', 'bool', 'int', 'double', 'string', 'timestamp', 'duration', 'matches', 'range',
]);
/** Functions called as `x.f(…)`. Time zones are left out: the library's depend on the machine's own. */
export const METHODS: ReadonlySet<string> = new Set([
  'size', 'startsWith', 'endsWith', 'contains', 'matches', 'lowerAscii', 'upperAscii', 'trim', 'indexOf', 'lastIndexOf',
  'substring', 'split', 'join', 'getFullYear', 'getMonth', 'getDayOfMonth', 'getDate', 'getDayOfWeek', 'getHours',
  'getMinutes', 'getSeconds', 'getMilliseconds',
]);

type Mixed = number | bigint;
const ARITHMETIC: readonly (readonly [string, (a: number, b: number) => number])[] = [
  ['+', (a, b) => a + b], ['-', (a, b) => a - b], ['*', (a, b) => a * b], ['/', (a, b) => a / b],
];

function withMixedNumbers(env: Environment): Environment {
  for (const [op, compute] of ARITHMETIC) {
    const handler = (a: Mixed, b: Mixed): number => compute(Number(a), Number(b));
    env.registerOperator(`int ${op} double: double`, handler);
    env.registerOperator(`double ${op} int: double`, handler);
  }
  env.registerOperator('int == double', (a: Mixed, b: Mixed) => Number(a) === Number(b));
  return env;
}

function range(n: bigint): readonly bigint[] {
  if (n < 0n || n > BigInt(LIMITS.forEachItems)) {
    throw new ValueError('RangeInvalid', `range(${String(n)}) is outside 0 to ${LIMITS.forEachItems}`);
  }
  return Array.from({ length: Number(n) }, (_, i) => BigInt(i));
}

function build(): Environment {
  const sync = { async: false };
  const env = new Environment({ homogeneousAggregateLiterals: false, limits: { maxAstNodes: 4_096, maxDepth: 100 } });
  withMixedNumbers(env)
    .registerFunction('range(int): list<int>', range, sync)
    .registerFunction('matches(string, string): bool', matches, sync)
    .registerFunction(`string.${SAFE_MATCHES}(string): bool`, matches, sync)
    .registerFunction('string(google.protobuf.Timestamp): string', (at: { toISOString(): string }) => at.toISOString(), sync)
    .registerFunction('int(google.protobuf.Timestamp): int', (at: { getTime(): number }) => BigInt(Math.floor(at.getTime() / 1_000)), sync)
    .registerFunction('string(google.protobuf.Duration): string', (d: { toString(): string }) => d.toString(), sync)
    .registerVariable('inputs', 'dyn').registerVariable('nodes', 'dyn').registerVariable('item', 'dyn')
    .registerVariable('index', 'int').registerVariable('run', 'map<string, string>').registerVariable('workflow', 'dyn')
    .registerVariable('error', 'map<string, string>').registerVariable('attempts', 'int').registerVariable('response', 'dyn')
    .registerVariable('tool', 'dyn').registerVariable('arguments', 'dyn').registerVariable('text', 'string').registerVariable('key', 'string');
  return env;
}

const environment = build();

/** A parsed expression of the library: callable with the values of its roots. */
export interface Parsed {
  (context: Readonly<Record<string, unknown>>): unknown;
  readonly ast: ASTNode;
  check(): { readonly valid: boolean; readonly type?: string; readonly error?: unknown };
}

/** Parses one expression. Throws what the library throws, and RangeError when it is nested absurdly. */
export function parseCel(source: string): Parsed {
  return environment.parse(source);
}
