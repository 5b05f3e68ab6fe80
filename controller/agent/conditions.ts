import { CONDITIONS, REASONS, setCondition, type ConditionType, type NewCondition, type Reason } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/parts.ts';
import { cleanText, headOf } from '../../engine/index.ts';

/** Something that keeps a definition from being ready. */
export interface Trouble {
  readonly reason: Reason;
  readonly message: string;
  /** What it is about: the spec itself, what it names, whether it answers. */
  readonly about: 'Accepted' | 'ResolvedRefs' | 'Ready';
  /** The controller goes on trying by itself; else somebody has to do something. */
  readonly passes?: boolean;
  /** Nothing is known: neither good nor bad. */
  readonly unknown?: boolean;
}

/** Characters of one message, so that five conditions and a list fit into a status of 8 KiB. */
const MESSAGE = 600;
/** Names of several problems in one message. */
const SHOWN = 4;

/** Conditions of an Agent, Model or ToolServer: Accepted, ResolvedRefs, Ready, and Reconciling and Stalled in kstatus manner. */
export function conditionsOf(troubles: readonly Trouble[], good: { readonly reason: Reason; readonly message: string }, generation: number, before: readonly Condition[], now: number, more: readonly NewCondition[] = []): readonly Condition[] {
  const [first] = troubles;
  const words = first === undefined ? good : { reason: first.reason, message: textOf(troubles) };
  const passing = first !== undefined && troubles.every((trouble) => trouble.passes === true);
  const unknown = first !== undefined && troubles.every((trouble) => trouble.unknown === true);
  const list: readonly NewCondition[] = [
    about(CONDITIONS.accepted, 'Accepted', troubles, { reason: REASONS.valid, message: 'the spec is right' }),
    about(CONDITIONS.resolvedRefs, 'ResolvedRefs', troubles, { reason: REASONS.resolved, message: 'everything it names is there' }),
    { type: CONDITIONS.ready, status: first === undefined ? 'True' : unknown ? 'Unknown' : 'False', ...words },
    { type: CONDITIONS.reconciling, status: passing ? 'True' : 'False', ...words },
    { type: CONDITIONS.stalled, status: first !== undefined && !passing ? 'True' : 'False', ...words },
    ...more,
  ];
  return list.reduce((all, condition) => setCondition(all, { ...condition, message: bounded(condition.message), observedGeneration: generation }, now), before);
}

function about(type: ConditionType, what: Trouble['about'], troubles: readonly Trouble[], good: { readonly reason: Reason; readonly message: string }): NewCondition {
  const mine = troubles.filter((trouble) => trouble.about === what);
  const [first] = mine;
  if (first === undefined) return { type, status: 'True', ...good };
  return { type, status: 'False', reason: first.reason, message: textOf(mine) };
}

function textOf(troubles: readonly Trouble[]): string {
  const shown = troubles.slice(0, SHOWN).map(({ message }) => message);
  return `${shown.join('; ')}${troubles.length > SHOWN ? ` (and ${troubles.length - SHOWN} more)` : ''}`;
}

/** Messages quote what servers and providers say: without invisible characters, and no longer than they may be, in bytes. */
function bounded(message: string): string {
  let text = cleanText(message, MESSAGE);
  while (Buffer.byteLength(text) > MESSAGE + 100) text = `${headOf(text, Math.floor(text.length * 0.8))}…`;
  return text;
}
