import { createHash } from 'node:crypto';
import type { WorkflowSpec } from '../../crds/workflow.ts';
import { workflowSpecSchema } from '../../crds/workflow.ts';
import { compile } from '../../engine/index.ts';
import type { Compiled } from '../../engine/index.ts';
import { compileSchemas } from '../../engine/index.ts';
import type { NodeError, Problem } from '../../engine/types.ts';

/** A definition ready to run, or what is wrong with it. */
export type Definition = { readonly ok: true; readonly compiled: Compiled } | { readonly ok: false; readonly problems: readonly Problem[] };

/** How many compiled definitions are kept; the least recently used goes first. */
const KEPT = 1_000;

/** Compiles a definition once per content: thousands of runs of one workflow share one Compiled. */
export class Definitions {
  readonly #byHash = new Map<string, Promise<Definition>>();

  /** `bytes` is the JSON of a Workflow spec. Never throws: whatever is wrong comes back as problems. */
  get(bytes: Uint8Array): Promise<Definition> {
    const hash = definitionHash(bytes);
    const known = this.#byHash.get(hash);
    if (known !== undefined) {
      this.#byHash.delete(hash);
      this.#byHash.set(hash, known);
      return known;
    }
    const compiled = compileBytes(bytes);
    this.#byHash.set(hash, compiled);
    if (this.#byHash.size > KEPT) this.#byHash.delete(this.#byHash.keys().next().value ?? hash);
    return compiled;
  }
}

/** SHA-256 of a definition's bytes, hex. */
export function definitionHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function compileBytes(bytes: Uint8Array): Promise<Definition> {
  const spec = parseSpec(bytes);
  if ('problems' in spec) return { ok: false, problems: spec.problems };
  const result = compile(spec.spec);
  if (result.ok) await compileSchemas(result.compiled);
  return result;
}

function parseSpec(bytes: Uint8Array): { spec: WorkflowSpec } | { problems: readonly Problem[] } {
  try {
    const parsed = workflowSpecSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    if (parsed.success) return { spec: parsed.data };
    return { problems: parsed.error.issues.slice(0, 10).map((issue) => ({ field: issue.path.join('.'), reason: 'Invalid', message: issue.message })) };
  } catch {
    return { problems: [{ field: '', reason: 'Invalid', message: 'the definition is not valid JSON' }] };
  }
}

/** One error for a run whose definition or input cannot be used: names the first problems, and how many more there are. */
export function problemsError(problems: readonly Problem[]): NodeError {
  const shown = problems.slice(0, 5).map((p) => `${p.node === undefined ? '' : `node ${p.node}: `}${p.field}: ${p.message}`);
  const more = problems.length > shown.length ? ` (and ${problems.length - shown.length} more)` : '';
  return { class: 'Invalid', reason: 'Invalid', message: shown.join('; ') + more };
}
