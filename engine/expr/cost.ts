import type { ASTNode } from '@marcbachmann/cel-js';
import { ValueError } from '../errors.ts';
import { COMPREHENSIONS, SAFE_MATCHES } from './environment.ts';
import { children } from './inspect.ts';
import { sizeOf, type Size } from './values.ts';

/** Steps an evaluation may take: one per 8 AST nodes evaluated (so about one per round of a small comprehension), and per 64 bytes compared or copied. */
export const MAX_STEPS = 100_000;
/** Bytes an evaluation may create in all, intermediate texts and lists included. */
const MAX_ALLOCATED = 16 * 1024 * 1024;
/** Values an expression may read, until larger ones are loaded by reference. */
const MAX_READ = 1024 * 1024;
const BODY_NODES_PER_STEP = 8;
const POINTER_BYTES = 8;
const BYTES_PER_STEP = 64;

/** Bounds of a value that is not computed yet; `value` is there when it is known exactly. */
interface Bound extends Size {
  readonly value?: unknown;
  /**
   * Bytes on average over the rounds of the one comprehension around it. Costs that grow linearly with a value may be
   * summed with it, so that one long text among many does not count for all; inside two comprehensions they may not.
   */
  readonly mean: number;
}

interface Meter {
  steps: number;
  allocated: number;
  /** How often the part being looked at will run. */
  times: number;
  /** Comprehensions around it. */
  nesting: number;
  readonly names: Map<string, Bound>;
}

const SCALAR: Bound = { bytes: 8, len: 0, child: 0, below: 0, mean: 8 };

/**
 * Bounds the cost of an expression before it is evaluated, from its AST and the actual sizes of what it reads.
 * Returns the steps it may take. Throws ValueError when it may take too many, or create or read too much.
 */
export function boundCost(root: ASTNode, context: Readonly<Record<string, unknown>>): number {
  const names = new Map<string, Bound>();
  for (const [name, value] of Object.entries(context)) names.set(name, known(value));
  const meter: Meter = { steps: 0, allocated: 0, times: 1, nesting: 0, names };
  bound(root, meter);
  return meter.steps;
}

function known(value: unknown): Bound {
  const size = sizeOf(value);
  return { value, bytes: size.bytes, len: size.len, child: size.child, below: size.below, mean: size.bytes };
}

/** A part of a value of which only the bounds are known. */
function partOf(whole: Bound): Bound {
  return { bytes: whole.child, len: whole.below, child: whole.child, below: whole.below, mean: Math.min(whole.child, whole.mean) };
}

/** Bytes of a value for sums: the average where that is sound, else the bound. */
function weight(part: Bound, meter: Meter): number {
  return meter.nesting <= 1 ? part.mean : part.bytes;
}

function spend(meter: Meter, steps: number): void {
  meter.steps += steps * meter.times;
  if (meter.steps > MAX_STEPS) throw new ValueError('ExpressionTooCostly', `it may take more than ${MAX_STEPS} steps on these values`);
}

/** A text is copied character by character. */
function create(meter: Meter, bytes: number): void {
  hold(meter, bytes);
  spend(meter, bytes / BYTES_PER_STEP);
}

/** A list shares its elements: a new one holds pointers. */
function hold(meter: Meter, bytes: number): void {
  meter.allocated += bytes * meter.times;
  if (meter.allocated > MAX_ALLOCATED) throw new ValueError('ExpressionTooCostly', `it may create more than ${MAX_ALLOCATED} bytes on these values`);
}

function bound(node: ASTNode, meter: Meter): Bound {
  spend(meter, 1 / BODY_NODES_PER_STEP);
  switch (node.op) {
    case 'value': return known(node.args);
    case 'id': return meter.names.get(node.args) ?? SCALAR;
    case '.': return read(step(bound(node.args[0], meter), node.args[1]));
    case '[]': return index(bound(node.args[0], meter), bound(node.args[1], meter));
    case '?:': bound(node.args[0], meter); return larger(bound(node.args[1], meter), bound(node.args[2], meter));
    case '+': return concatenate(bound(node.args[0], meter), bound(node.args[1], meter), meter);
    case '==': case '!=': return compare(bound(node.args[0], meter), bound(node.args[1], meter), meter);
    case 'in': return search(bound(node.args[0], meter), bound(node.args[1], meter), meter);
    case 'list': case 'map': return aggregate(node, meter);
    case 'call': return node.args[0] === 'has' ? SCALAR : call(node.args[0], node.args[1].map((arg) => bound(arg, meter)), meter);
    case 'rcall': return method(node, meter);
    default: for (const child of children(node)) bound(child, meter); return SCALAR;
  }
}

function read(value: Bound): Bound {
  if (value.bytes > MAX_READ && value.value instanceof Object) {
    throw new ValueError('ValueTooLarge', `it reads a value over ${MAX_READ} bytes`);
  }
  return value;
}

function step(target: Bound, key: string): Bound {
  if (!(target.value instanceof Map)) return partOf(target);
  return target.value.has(key) ? known(target.value.get(key)) : SCALAR;
}

function index(target: Bound, at: Bound): Bound {
  if (typeof at.value === 'string') return read(step(target, at.value));
  if (Array.isArray(target.value) && typeof at.value === 'bigint') return known(target.value[Number(at.value)]);
  return partOf(target);
}

function larger(a: Bound, b: Bound): Bound {
  return { bytes: Math.max(a.bytes, b.bytes), len: Math.max(a.len, b.len), child: Math.max(a.child, b.child), below: Math.max(a.below, b.below), mean: Math.max(a.bytes, b.bytes) };
}

function isNumber(a: Bound): boolean {
  return typeof a.value === 'bigint' || typeof a.value === 'number';
}

function concatenate(a: Bound, b: Bound, meter: Meter): Bound {
  if (isNumber(a) || isNumber(b)) return SCALAR;
  const mean = weight(a, meter) + weight(b, meter);
  const isList = Array.isArray(a.value) || Array.isArray(b.value);
  if (isList) spend(meter, (a.len + b.len) / BYTES_PER_STEP);
  if (isList) hold(meter, (a.len + b.len) * POINTER_BYTES);
  else create(meter, mean);
  return { bytes: a.bytes + b.bytes, len: a.len + b.len, child: Math.max(a.child, b.child), below: Math.max(a.below, b.below), mean };
}

function compare(a: Bound, b: Bound, meter: Meter): Bound {
  spend(meter, Math.min(weight(a, meter), weight(b, meter)) / BYTES_PER_STEP);
  return SCALAR;
}

function search(needle: Bound, hay: Bound, meter: Meter): Bound {
  if (hay.value instanceof Map) return SCALAR;
  spend(meter, (hay.len * (1 + Math.min(needle.bytes, hay.child) / BYTES_PER_STEP)) / 8);
  return SCALAR;
}

function aggregate(node: ASTNode, meter: Meter): Bound {
  let [bytes, mean, child, below, len] = [2, 2, 0, 0, 0];
  for (const entry of children(node)) {
    const part = bound(entry, meter);
    bytes += part.bytes + 1;
    mean += weight(part, meter) + 1;
    child = Math.max(child, part.bytes);
    below = Math.max(below, part.len, part.below);
    len += 1;
  }
  hold(meter, len * POINTER_BYTES);
  return { bytes, len, child, below, mean };
}

function call(name: string, args: readonly Bound[], meter: Meter): Bound {
  const [first, second] = args;
  if (first === undefined) return SCALAR;
  switch (name) {
    case 'range': return rangeOf(first, meter);
    case 'matches': return match(first, second ?? SCALAR, meter);
    case 'string': return { bytes: first.bytes + 24, len: first.len + 24, child: 4, below: 1, mean: first.mean + 24 };
    case 'dyn': return first;
    default: spend(meter, weight(first, meter) / (BYTES_PER_STEP * 4)); return SCALAR;
  }
}

function rangeOf(count: Bound, meter: Meter): Bound {
  const len = typeof count.value === 'bigint' ? Math.max(0, Math.min(Number(count.value), MAX_STEPS)) : MAX_STEPS;
  hold(meter, len * POINTER_BYTES);
  spend(meter, len / BYTES_PER_STEP);
  return { bytes: len * 8, len, child: 8, below: 0, mean: len * 8 };
}

function match(text: Bound, pattern: Bound, meter: Meter): Bound {
  spend(meter, (Math.min(text.len, weight(text, meter)) * (1 + pattern.len / 16)) / 8);
  return SCALAR;
}

function method(node: ASTNode & { op: 'rcall' }, meter: Meter): Bound {
  const [name, receiver, args] = node.args;
  const target = bound(receiver, meter);
  if (COMPREHENSIONS.has(name)) return comprehend(name, target, args, meter);
  const [first] = args.map((arg) => bound(arg, meter));
  switch (name) {
    case SAFE_MATCHES: return match(target, first ?? SCALAR, meter);
    case 'join': return join(target, first ?? SCALAR, meter);
    case 'split': return split(target, meter);
    case 'lowerAscii': case 'upperAscii': case 'trim': case 'substring': create(meter, weight(target, meter)); return { ...target, value: undefined };
    case 'size': return SCALAR;
    // Searching one text in another can cost the product of both in the worst case; a long needle is rare.
    case 'contains': case 'indexOf': case 'lastIndexOf':
      spend(meter, (Math.min(target.len, weight(target, meter)) * Math.max(1, (first?.len ?? 0) / 32)) / BYTES_PER_STEP); return SCALAR;
    default: return SCALAR;
  }
}

/** Pieces of a text: together as long as the text, each three bytes more. */
function split(text: Bound, meter: Meter): Bound {
  const bytes = text.bytes + (text.len + 1) * 3;
  create(meter, weight(text, meter));
  hold(meter, Math.min(text.len, weight(text, meter)) * POINTER_BYTES);
  return { bytes, len: text.len + 1, child: text.bytes, below: text.len, mean: bytes };
}

function join(list: Bound, separator: Bound, meter: Meter): Bound {
  const bytes = list.bytes + list.len * separator.len;
  create(meter, bytes);
  return { bytes, len: bytes, child: 4, below: 1, mean: bytes };
}

function comprehend(name: string, list: Bound, args: readonly ASTNode[], meter: Meter): Bound {
  const [variable, ...bodies] = args;
  if (variable?.op !== 'id') return SCALAR;
  // Maps iterate over their keys; elements of a list are bounded by the largest.
  const hidden = meter.names.get(variable.args);
  const part = partOf(list);
  meter.names.set(variable.args, { ...part, mean: list.len === 0 ? 0 : Math.min(part.bytes, list.bytes / list.len) });
  const times = meter.times;
  meter.times = times * list.len;
  meter.nesting += 1;
  spend(meter, 3 / BODY_NODES_PER_STEP);
  const results = bodies.map((body) => bound(body, meter));
  meter.times = times;
  meter.nesting -= 1;
  if (hidden === undefined) meter.names.delete(variable.args);
  else meter.names.set(variable.args, hidden);
  if (name === 'filter') return { ...list, value: undefined };
  const last = results.at(-1);
  if (name !== 'map' || last === undefined) return SCALAR;
  hold(meter, list.len * POINTER_BYTES);
  // Inside another comprehension only the bound holds; `mean` of the body belongs to the rounds of this one.
  const bytes = list.len * (meter.nesting === 0 ? last.mean : last.bytes) + 2;
  return { bytes, len: list.len, child: last.bytes, below: Math.max(last.len, last.below), mean: bytes };
}
