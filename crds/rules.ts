import type { z } from 'zod';

/** A rule across fields. One statement serves the API server (`cel`) and the parser at the door (`holds`). */
export interface Rule<T> {
  /** Expression of `x-kubernetes-validations`, within the cost budget of a CRD. */
  readonly cel: string;
  /** What a person reads: names the field and the way out. */
  readonly message: string;
  /** CEL that builds a message naming the object; falls back to `message`. */
  readonly messageExpression?: string;
  /** Relative path the API server reports the error at, such as `.cancel`. */
  readonly fieldPath?: string;
  /** Same rule for the parser. Left out for rules over `oldSelf`, which only the API server can judge. */
  readonly holds?: (value: T) => boolean;
}

/** A rule as it stands in the CRD. */
export interface CelValidation {
  readonly rule: string;
  readonly message: string;
  readonly messageExpression?: string;
  readonly fieldPath?: string;
}

/** The schema with all `rules` attached, for the parser and, as metadata, for the CRD. Call once per schema. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  let checked = schema;
  for (const { holds, message, fieldPath } of rules) {
    if (holds === undefined) continue;
    const path = fieldPath === undefined ? [] : fieldPath.split('.').slice(1);
    checked = checked.refine(holds, { message, path });
  }
  return checked.meta({ ...schema.meta(), 'x-kubernetes-validations': rules.map(celValidation) });
}

/** The part of a rule that goes into the CRD. */
export function celValidation(rule: Rule<never>): CelValidation {
  return {
    rule: rule.cel,
    message: rule.message,
    ...(rule.messageExpression === undefined ? {} : { messageExpression: rule.messageExpression }),
    ...(rule.fieldPath === undefined ? {} : { fieldPath: rule.fieldPath }),
  };
}

/** Rule: exactly one of `fields` is given. */
export function exactlyOneOf<K extends string>(fields: readonly K[], message: string): Rule<Readonly<Partial<Record<K, unknown>>>> {
  return {
    cel: `${fields.map((field) => `(has(self.${field}) ? 1 : 0)`).join(' + ')} == 1`,
    message,
    holds: (value) => fields.filter((field) => value[field] !== undefined).length === 1,
  };
}
