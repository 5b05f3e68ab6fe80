import type { z } from 'zod';
import { ApiError } from '../errors.ts';

/** One thing wrong with what a caller sent. */
export interface InputProblem {
  /** Path of the field: `title`, `metadata.tags[2]`; empty for the input as a whole. */
  readonly field: string;
  /** CamelCase and stable: `FieldInvalid`, `UnknownField`, `Required`. */
  readonly reason: string;
  /** What was given, as JSON, shortened. */
  readonly value?: string | undefined;
  /** What is wrong and the way out. */
  readonly message: string;
}

/** Input that does not fit: all that is wrong with it, at most 20. */
export class InvalidInput extends ApiError {
  readonly problems: readonly InputProblem[];

  constructor(problems: readonly InputProblem[]) {
    super('BAD_USER_INPUT', summary(problems));
    this.problems = problems;
  }
}

/** Problems beyond this number help nobody. */
const MOST_PROBLEMS = 20;
const MOST_VALUE = 80;

/** One problem with one field, as an error. */
export function invalidField(field: string, value: unknown, message: string): InvalidInput {
  return new InvalidInput([{ field, reason: 'FieldInvalid', value: shortened(value), message }]);
}

/** What zod says about `raw`, in our shape. */
export function problemsOf(error: z.ZodError, raw: unknown): readonly InputProblem[] {
  return error.issues.flatMap((issue) => issueProblems(issue, raw)).slice(0, MOST_PROBLEMS);
}

type Issue = z.ZodError['issues'][number];

function issueProblems(issue: Issue, raw: unknown): readonly InputProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: fieldPath([...issue.path, key]), reason: 'UnknownField', message: 'is no field of this input: remove it or correct its name' }));
  }
  const value = valueAt(raw, issue.path);
  const field = fieldPath(issue.path);
  if (value === undefined) return [{ field, reason: 'Required', message: 'is needed: give it' }];
  return [{ field, reason: 'FieldInvalid', value: shortened(value), message: plain(issue) }];
}

/** zod's sentence, put as ours. */
function plain(issue: Issue): string {
  if (issue.code === 'invalid_type') return `has another type: give ${article(issue.expected)}`;
  if (issue.code === 'invalid_value') return `is none of the values allowed: give one of ${issue.values.map(String).join(', ')}`;
  if (issue.code === 'too_big') return `is too ${sizeWord(issue.origin, 'big')}: at most ${String(issue.maximum)}${unitOf(issue.origin)}`;
  if (issue.code === 'too_small') return `is too ${sizeWord(issue.origin, 'small')}: at least ${String(issue.minimum)}${unitOf(issue.origin)}`;
  return issue.message;
}

function article(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function sizeWord(origin: string, size: 'big' | 'small'): string {
  if (origin === 'string' || origin === 'array') return size === 'big' ? 'long' : 'short';
  return size === 'big' ? 'large' : 'small';
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' ? ' entries' : '';
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

/** A value as JSON in at most 80 characters. */
export function shortened(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= MOST_VALUE ? text : `${text.slice(0, MOST_VALUE - 1)}…`;
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path.map((key, index) => {
    if (typeof key === 'number') return `[${key}]`;
    const text = String(key).slice(0, MOST_VALUE);
    return index === 0 ? text : `.${text}`;
  }).join('');
}

function summary(problems: readonly InputProblem[]): string {
  const [first] = problems;
  if (first === undefined) return 'the input does not fit';
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const value = first.value === undefined ? '' : ` ${first.value}`;
  return `${first.field === '' ? 'the input' : first.field}${value} ${first.message}${more}`;
}
