import { LIMITS } from '../../crds/names.ts';
import type { NodePlan } from '../compile/plan.ts';
import { ValueError, firstLine } from '../errors.ts';
import { kindOf } from '../expr/program.ts';
import { asText, render } from '../expr/template.ts';
import { isList, jsonBytes } from '../expr/values.ts';
import { NO_ITEM, type Dispatch, type Json, type NodeError } from '../types.ts';
import type { RunScope } from './scope.ts';

/** What people call a node, or an item of a forEach. */
export function label(plan: NodePlan, item: number): string {
  return item === NO_ITEM ? plan.name : `${plan.name}[${item}]`;
}

/** The error of a node whose own field could not be evaluated. */
export function invalid(plan: NodePlan, item: number, field: string, error: unknown): NodeError {
  const reason = error instanceof ValueError ? error.reason : 'ExpressionFailed';
  return { class: 'Invalid', reason, message: `node ${JSON.stringify(label(plan, item))}, ${field}: ${firstLine(error)}` };
}

/** An error with the field it belongs to, so that the caller need not know how far it came. */
export class FieldError extends Error {
  readonly field: string;
  override readonly cause: unknown;

  constructor(field: string, cause: unknown) {
    super(firstLine(cause));
    this.field = field;
    this.cause = cause;
  }
}

/**
 * What an executor gets for one attempt. A function of the definition, the input, the item and outputs that never
 * change again, so it comes out the same whenever it is computed. Throws FieldError.
 */
export function buildDispatch(plan: NodePlan, item: number, attempt: number, scope: RunScope): Dispatch {
  scope.of(plan, { item });
  const fields: Record<string, Json> = {};
  let field = '';
  try {
    for (const [name, template] of plan.fields) {
      field = `with.${name}`;
      fields[name] = shaped(plan, name, render(template, scope));
    }
    const env: Record<string, string> = {};
    for (const [name, template] of plan.env) {
      field = `env ${name}`;
      env[name] = asText(render(template, scope));
    }
    return {
      node: plan.name, item, attempt, type: plan.type, mode: plan.mode === 'pod' ? 'pod' : 'warm', pool: plan.pool,
      with: fields, env, ...(plan.timeoutMs === undefined ? {} : { timeoutMs: plan.timeoutMs }),
    };
  } catch (error) {
    throw new FieldError(field, error);
  }
}

/** Bytes of JSON that one character of a text may take: `\\u0001`. */
const MOST_PER_CHARACTER = 6;

/** Refuses what no message could carry to a runner. Throws FieldError. */
export function refuseTooLarge({ with: fields, env }: Dispatch): void {
  // The estimate is enough nearly always; what may be too large is written out.
  if ((jsonBytes(fields) + jsonBytes(env)) * MOST_PER_CHARACTER <= LIMITS.dispatchBytes) return;
  const bytes = Buffer.byteLength(JSON.stringify([fields, env]));
  if (bytes <= LIMITS.dispatchBytes) return;
  throw new FieldError('with and env', new ValueError('InputTooLarge', `what they come to is ${bytes} bytes; an attempt may be given ${LIMITS.dispatchBytes}`));
}

/** Texts that a program's command line or a request needs as texts. */
function shaped(plan: NodePlan, name: string, value: Json): Json {
  if (plan.type === 'http') return name === 'url' ? text(value) : value;
  if (plan.type === 'agent') return name === 'conversation' ? text(value) : value;
  if (plan.type !== 'container') return value;
  if (name === 'image') return text(value);
  if (name !== 'command' && name !== 'args') return value;
  return asList(value).map(text);
}

function asList(value: Json): readonly Json[] {
  return typeof value === 'object' && value !== null && isList(value) ? value : [];
}

function text(value: Json): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new ValueError('ExpressionFailed', `a text is needed here, not ${kindOf(value)}`);
}
