import type { NodePlan } from '../compile/plan.ts';
import type { References } from '../expr/inspect.ts';
import type { Scope } from '../expr/program.ts';
import { toCel, type Cel } from '../expr/values.ts';
import { formatInstant } from '../instant.ts';
import { NO_ITEM, type Json, type NodeError } from '../types.ts';
import { isTerminal, rowAt, statusOf, type RunState } from './state.ts';

/** What a field sees beside the names that all see. */
export interface Extra {
  readonly item?: number;
  readonly error?: NodeError;
  readonly attempts?: number;
  readonly response?: Json;
}

/** Names an expression sees, built only for what it refers to. */
export class RunScope implements Scope {
  spent = 0;
  private readonly state: RunState;
  private extra: Extra = {};
  private plan: NodePlan | undefined;

  constructor(state: RunState) {
    this.state = state;
  }

  /** The scope for a field of a node; `plan` undefined for the run's outputs. */
  of(plan: NodePlan | undefined, extra: Extra = {}): this {
    this.plan = plan;
    this.extra = extra;
    return this;
  }

  context(references: References): Readonly<Record<string, unknown>> {
    const out: Record<string, unknown> = {};
    for (const root of references.roots) {
      switch (root) {
        case 'inputs': out['inputs'] = this.cel(this.state.meta.input); break;
        case 'nodes': out['nodes'] = this.nodes(references); break;
        case 'item': out['item'] = this.cel(this.item()); break;
        case 'index': out['index'] = BigInt(this.extra.item ?? 0); break;
        case 'run': out['run'] = this.run(); break;
        case 'workflow': out['workflow'] = this.workflow(); break;
        case 'error': out['error'] = errorView(this.extra.error); break;
        case 'attempts': out['attempts'] = BigInt(this.extra.attempts ?? 0); break;
        case 'response': out['response'] = this.cel(this.extra.response ?? null); break;
      }
    }
    return out;
  }

  /** Which of the nodes read have no output: the usual cause of a missing key. */
  explain(references: References): string {
    const absent: string[] = [];
    for (const [name, fields] of references.nodes) {
      const index = this.state.compiled.byName.get(name);
      if (index === undefined || !fields.has('output') || outputOf(this.state, index) !== undefined) continue;
      absent.push(`node ${JSON.stringify(name)} is ${statusOf(this.state, index)} and has no output`);
    }
    return absent.length === 0 ? '' : ` (${absent.join('; ')})`;
  }

  private item(): Json {
    const item = this.extra.item ?? NO_ITEM;
    return (this.plan === undefined ? undefined : this.state.fans.get(this.plan.index)?.items[item]) ?? null;
  }

  private cel(value: Json): Cel {
    if (typeof value !== 'object' || value === null) return toCel(value);
    const known = this.state.cel.get(value);
    if (known !== undefined) return known;
    const made = toCel(value);
    this.state.cel.set(value, made);
    return made;
  }

  private nodes(references: References): ReadonlyMap<string, unknown> {
    const out = new Map<string, unknown>();
    for (const name of references.nodes.keys()) {
      const index = this.state.compiled.byName.get(name);
      if (index !== undefined) out.set(name, this.node(index));
    }
    return out;
  }

  private node(index: number): ReadonlyMap<string, unknown> {
    const row = rowAt(this.state, index, NO_ITEM);
    const view = new Map<string, unknown>([['status', row?.status ?? 'Pending'], ['attempts', BigInt(row?.attempt ?? 0)]]);
    const output = outputOf(this.state, index);
    if (output !== undefined) view.set('output', this.cel(output));
    if (row?.error !== undefined && isTerminal(row.status)) view.set('error', errorView(row.error));
    return view;
  }

  private run(): ReadonlyMap<string, string> {
    const { meta, run } = this.state;
    // Constant while main nodes run, so that an attempt's dispatch comes out the same whenever it is computed again.
    const ended = run.phase === 'Succeeded' || run.phase === 'Failed' || run.phase === 'Cancelled';
    const phase = ended ? run.phase : run.exitPhase ?? 'Running';
    return new Map([
      ['id', meta.id], ['name', meta.name], ['namespace', meta.namespace], ['phase', phase],
      ['startedAt', run.startedAt === undefined ? '' : formatInstant(run.startedAt)],
    ]);
  }

  private workflow(): ReadonlyMap<string, unknown> {
    const { meta, compiled } = this.state;
    return new Map<string, unknown>([
      ['name', meta.workflowName ?? compiled.name ?? ''], ['labels', new Map(Object.entries(meta.workflowLabels ?? {}))],
    ]);
  }
}

function errorView(error: NodeError | undefined): ReadonlyMap<string, string> {
  return new Map(error === undefined ? [] : [['class', error.class], ['reason', error.reason], ['message', error.message]]);
}

/** Output of a node, of a forEach also where the list is not stored with its row. */
export function outputOf(state: RunState, index: number): Json | undefined {
  return state.rows[index]?.output ?? state.fans.get(index)?.output;
}
