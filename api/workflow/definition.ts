import { canonicalJson, tooDeepAt } from '../../crds/canonical.ts';
import { LIMITS } from '../../crds/names.ts';
import { workflowSpecSchema } from '../../crds/workflow.ts';
import { compile } from '../../engine/compile/compile.ts';

/** One thing wrong with what a caller sent. */
export interface InputProblem {
  /** Name of the node meant, if one is. */
  readonly node?: string | undefined;
  /** Path of the field: `definition.nodes[0].with`, `input`. */
  readonly field: string;
  /** CamelCase and stable: `FieldInvalid`, `UnknownField`, `Cycle`. */
  readonly reason: string;
  readonly message: string;
}

/** Problems beyond this number help nobody. */
const MOST_PROBLEMS = 20;

/** Everything wrong with an inline definition, as far as it can be said without running it. Empty: it is fine. */
export function definitionProblems(definition: unknown): readonly InputProblem[] {
  if (tooDeepAt(definition, LIMITS.jsonDepth) !== undefined) {
    return [{ field: 'definition', reason: 'TooDeep', message: `is nested deeper than ${LIMITS.jsonDepth} levels: flatten it` }];
  }
  const parsed = workflowSpecSchema.safeParse(definition);
  if (!parsed.success) {
    return parsed.error.issues.slice(0, MOST_PROBLEMS).map((issue) => ({
      field: pathText(['definition', ...issue.path]), reason: 'FieldInvalid', message: issue.message,
    }));
  }
  const unknown = unknownFields(definition, parsed.data, ['definition']).slice(0, MOST_PROBLEMS);
  if (unknown.length > 0) return unknown.map((field) => ({ field, reason: 'UnknownField', message: 'is not a field of a workflow: remove it or correct its name' }));
  const compiled = compile(parsed.data);
  if (compiled.ok) return [];
  return compiled.problems.slice(0, MOST_PROBLEMS).map((problem) => ({
    node: problem.node, field: `definition.${problem.field}`, reason: problem.reason, message: problem.message,
  }));
}

/** JSON text of a definition that has no problems. */
export function definitionText(definition: unknown): string {
  return canonicalJson(definition);
}

/** Paths in `given` that the schema dropped: typing errors would otherwise be ignored in silence. */
function unknownFields(given: unknown, kept: unknown, path: readonly (string | number)[]): readonly string[] {
  if (Array.isArray(given)) return given.flatMap((item, index) => unknownFields(item, Array.isArray(kept) ? kept[index] : undefined, [...path, index]));
  if (typeof given !== 'object' || given === null) return [];
  if (typeof kept !== 'object' || kept === null) return [pathText(path)];
  return Object.entries(given).flatMap(([key, value]) => {
    if (!Object.hasOwn(kept, key)) return [pathText([...path, key])];
    return unknownFields(value, Reflect.get(kept, key), [...path, key]);
  });
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map((key, index) => {
    if (typeof key === 'number') return `[${key}]`;
    const text = String(key).slice(0, LIMITS.nameLength);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return `[${JSON.stringify(text)}]`;
    return index === 0 ? text : `.${text}`;
  }).join('');
}
