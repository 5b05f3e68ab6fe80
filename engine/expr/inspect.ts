import type { ASTNode } from '@marcbachmann/cel-js';
import { ValueError } from '../errors.ts';
import { COMPREHENSIONS, FUNCTIONS, METHODS, RESERVED, ROOTS, SAFE_MATCHES, type Root } from './environment.ts';

/** What an expression refers to, found in its AST. */
export interface References {
  readonly roots: ReadonlySet<Root>;
  /** Node name -> its fields that are read (`output`, `status`, `error`, `attempts`, or `*` for the whole). */
  readonly nodes: ReadonlyMap<string, ReadonlySet<string>>;
  /** First-level fields of `inputs` that are read by a fixed name. */
  readonly inputs: ReadonlySet<string>;
  /** False when its cost cannot grow beyond its own text: no comprehension, call, or operator on whole values. */
  readonly costly: boolean;
}

const MAX_DEPTH = 200;
const NODE_FIELDS: ReadonlySet<string> = new Set(['output', 'status', 'error', 'attempts']);
const TYPE_NAMES: ReadonlySet<string> = new Set(['string', 'bool', 'int', 'double', 'map', 'list', 'null_type', 'type']);

/** Every child of a node that is itself a node. */
export function children(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case 'value': case 'id': return [];
    case '.': case '.?': return [node.args[0]];
    case 'call': return node.args[1];
    case 'rcall': return [node.args[1], ...node.args[2]];
    case 'map': return node.args.flat();
    case '!_': case '-_': return [node.args];
    default: return node.args;
  }
}

/** Refuses an AST nested beyond what can be walked and evaluated safely; walks without recursion. */
export function refuseDepth(root: ASTNode): void {
  const stack: { readonly node: ASTNode; readonly depth: number }[] = [{ node: root, depth: 1 }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (top.depth > MAX_DEPTH) throw new ValueError('ExpressionTooDeep', `the expression is nested more than ${MAX_DEPTH} levels deep`);
    for (const child of children(top.node)) stack.push({ node: child, depth: top.depth + 1 });
  }
}

interface Walk {
  readonly roots: Set<Root>;
  readonly nodes: Map<string, Set<string>>;
  readonly inputs: Set<string>;
  costly: boolean;
}

/** Collects what the expression refers to and refuses what is not part of our dialect. Depth is checked before. */
export function inspect(root: ASTNode): References {
  const walk: Walk = { roots: new Set(), nodes: new Map(), inputs: new Set(), costly: false };
  visit(root, walk, [], 0);
  return walk;
}

function visit(node: ASTNode, walk: Walk, bound: readonly string[], nesting: number): void {
  switch (node.op) {
    case 'value': return visitLiteral(node.args);
    case 'id': return visitName(node.args, walk, bound);
    case '.': case '[]': return visitAccess(node, walk, bound, nesting);
    case 'call': return visitCall(node.args[0], node.args[1], walk, bound, nesting);
    case 'rcall': return visitMethod(node, walk, bound, nesting);
    case 'map': for (const [key] of node.args) refuseKey(key); break;
    case '==': case '!=': if (!node.args.some(isScalar)) walk.costly = true; break;
    case '+': case 'in': walk.costly = true; break;
    default:
  }
  for (const child of children(node)) visit(child, walk, bound, nesting);
}

function isScalar(node: ASTNode): boolean {
  return node.op === 'value';
}

function visitLiteral(value: unknown): void {
  if (typeof value === 'object' && value !== null) {
    throw new ValueError('ExpressionInvalid', 'bytes and unsigned literals are not JSON and not supported');
  }
}

function refuseKey(key: ASTNode): void {
  if (key.op !== 'value') return;
  if (typeof key.args !== 'string') throw new ValueError('ExpressionInvalid', 'keys of a map literal must be strings, as in JSON');
  if (key.args === '__proto__' || key.args === 'constructor' || key.args === 'prototype') {
    throw new ValueError('ExpressionInvalid', `a map literal cannot have the key ${JSON.stringify(key.args)}`);
  }
}

function visitName(name: string, walk: Walk, bound: readonly string[]): void {
  if (bound.includes(name) || TYPE_NAMES.has(name)) return;
  const root = ROOTS.find((entry) => entry === name);
  if (root === undefined) throw new ValueError('UnknownName', `unknown name ${JSON.stringify(name)}; known are ${ROOTS.join(', ')}`);
  if (root === 'nodes') throw new ValueError('ExpressionInvalid', 'nodes must be followed by a fixed name: nodes.build or nodes["build-all"]');
  walk.roots.add(root);
}

/** The fixed name after `x.` or in `x["…"]`. */
function keyOf(node: ASTNode): string | undefined {
  if (node.op === '.') return node.args[1];
  if (node.op !== '[]') return undefined;
  const index = node.args[1];
  return index.op === 'value' && typeof index.args === 'string' ? index.args : undefined;
}

function visitAccess(node: ASTNode & { op: '.' | '[]' }, walk: Walk, bound: readonly string[], nesting: number): void {
  const target = node.args[0];
  if (node.op === '[]') visit(node.args[1], walk, bound, nesting);
  if (isRoot(target, 'nodes', bound)) return visitNode(node, '*', walk);
  const key = keyOf(node);
  if ((target.op === '.' || target.op === '[]') && isRoot(target.args[0], 'nodes', bound)) {
    if (key !== undefined && !NODE_FIELDS.has(key)) {
      throw new ValueError('UnknownField', `a node has the fields ${[...NODE_FIELDS].join(', ')}, not ${JSON.stringify(key)}`);
    }
    return visitNode(target, key ?? '*', walk);
  }
  if (key !== undefined && isRoot(target, 'inputs', bound)) walk.inputs.add(key);
  visit(target, walk, bound, nesting);
}

function isRoot(node: ASTNode, name: Root, bound: readonly string[]): boolean {
  return node.op === 'id' && node.args === name && !bound.includes(name);
}

function visitNode(access: ASTNode, field: string, walk: Walk): void {
  const name = keyOf(access);
  if (name === undefined) throw new ValueError('ExpressionInvalid', 'nodes[…] takes a fixed name in quotes: what a node depends on is known before it runs');
  walk.roots.add('nodes');
  const fields = walk.nodes.get(name) ?? new Set<string>();
  walk.nodes.set(name, fields.add(field));
}

function visitCall(name: string, args: readonly ASTNode[], walk: Walk, bound: readonly string[], nesting: number): void {
  if (!FUNCTIONS.has(name)) throw new ValueError('UnknownFunction', `unknown function ${name}(); known are ${[...FUNCTIONS].join(', ')}`);
  if (name === 'matches' || name === 'range') walk.costly = true;
  for (const arg of args) visit(arg, walk, bound, nesting);
}

function visitMethod(node: ASTNode & { op: 'rcall' }, walk: Walk, bound: readonly string[], nesting: number): void {
  const [name, receiver, args] = node.args;
  walk.costly = true;
  visit(receiver, walk, bound, nesting);
  if (COMPREHENSIONS.has(name)) return visitComprehension(name, args, walk, bound, nesting + 1);
  if (!METHODS.has(name)) throw new ValueError('UnknownFunction', `unknown function .${name}(); known are ${[...METHODS].join(', ')}`);
  if (name.startsWith('get') && args.length > 0) throw new ValueError('ExpressionInvalid', `.${name}() takes no time zone: times are in UTC`);
  if (name === 'matches') Reflect.set(node.args, 0, SAFE_MATCHES);
  for (const arg of args) visit(arg, walk, bound, nesting);
}

function visitComprehension(name: string, args: readonly ASTNode[], walk: Walk, bound: readonly string[], nesting: number): void {
  if (nesting > 2) throw new ValueError('ExpressionTooDeep', 'comprehensions may be nested 2 deep at most');
  const variable = args[0];
  if (variable?.op !== 'id') throw new ValueError('ExpressionInvalid', `the first argument of .${name}() is a variable name`);
  if (RESERVED.has(variable.args)) throw new ValueError('ExpressionInvalid', `.${name}() cannot name its variable ${variable.args}: that name is taken`);
  const inner = [...bound, variable.args];
  for (const arg of args.slice(1)) visit(arg, walk, inner, nesting);
}
