import type { Compiled, Validators } from '../compile/plan.ts';
import { EngineBug } from '../errors.ts';
import type { Json, Problem } from '../types.ts';
import { prepare, type Validator } from './library.ts';
import { validate, withoutId } from './schemas.ts';

/**
 * Prepares the JSON Schemas of a definition and keeps them in it. The only asynchronous function of the engine,
 * because the library's preparation is; it does no I/O. Call it once after `compile`, before the first run.
 */
export async function compileSchemas(compiled: Compiled): Promise<Validators> {
  if (compiled.validators !== undefined) return compiled.validators;
  const outputs = new Map<number, Validator>();
  for (const node of compiled.nodes) {
    if (node.outputSchema !== undefined) outputs.set(node.index, await prepare(withoutId(node.outputSchema)));
  }
  const input = compiled.inputSchema === undefined ? {} : { input: await prepare(withoutId(compiled.inputSchema)) };
  compiled.validators = { ...input, outputs };
  return compiled.validators;
}

function prepared(compiled: Compiled): Validators {
  if (compiled.validators === undefined) throw new EngineBug('compileSchemas was not called for this definition');
  return compiled.validators;
}

/** Checks the input of a run against the workflow's schema. An empty list: it is valid, or there is no schema. */
export function validateInput(compiled: Compiled, input: Json): readonly Problem[] {
  if (compiled.inputSchema === undefined) return [];
  const { input: validator } = prepared(compiled);
  return validator === undefined ? [] : validate(validator, compiled.inputSchema, input, 'input');
}

/** Checks the output of a node against its `outputSchema`. */
export function validateOutput(compiled: Compiled, index: number, output: Json): readonly Problem[] {
  const schema = compiled.nodes[index]?.outputSchema;
  if (schema === undefined) return [];
  const validator = prepared(compiled).outputs.get(index);
  return validator === undefined ? [] : validate(validator, schema, output, 'output');
}
