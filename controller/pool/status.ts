import { CONDITIONS, REASONS, setCondition, type NewCondition } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/parts.ts';
import type { RunnerPoolStatus } from '../../crds/runner-pool.ts';

/** What a pool's status is made of. */
export interface PoolFacts {
  readonly generation: number;
  readonly minReady: number;
  readonly ready: number;
  readonly starting: number;
  /** Why pods do not become ready, or cannot be made; absent when nothing is wrong. */
  readonly trouble?: PoolTrouble | undefined;
}

/** What keeps a pool from having its pods. */
export interface PoolTrouble {
  readonly reason: typeof REASONS.podsFailing | typeof REASONS.creationRefused;
  readonly message: string;
}

/** Status of a pool; `before` are its conditions so far, so that transition times stay. */
export function poolStatus(facts: PoolFacts, before: readonly Condition[], now: number): RunnerPoolStatus {
  const { generation, ready, starting } = facts;
  const conditions = conditionsOf(facts).reduce((list, condition) => setCondition(list, { ...condition, observedGeneration: generation }, now), before);
  return { observedGeneration: generation, ready, starting, conditions: [...conditions] };
}

/** Whether the conditions tell something new; numbers alone may wait for their minute. */
export function sameConditions(a: readonly Condition[], b: readonly Condition[]): boolean {
  const text = (list: readonly Condition[]): string => JSON.stringify(list.map((c) => [c.type, c.status, c.reason, c.observedGeneration]));
  return text(a) === text(b);
}

function conditionsOf({ minReady, ready, trouble }: PoolFacts): readonly NewCondition[] {
  const enough = ready >= minReady;
  const { reason, message } = enough
    ? { reason: REASONS.poolReady, message: 'the pool has the pods it keeps ready' }
    : trouble ?? { reason: REASONS.scalingUp, message: 'pods are starting' };
  return [
    { type: CONDITIONS.ready, status: enough ? 'True' : 'False', reason, message },
    { type: CONDITIONS.reconciling, status: enough || trouble !== undefined ? 'False' : 'True', reason, message },
    { type: CONDITIONS.stalled, status: trouble === undefined ? 'False' : 'True', reason: trouble?.reason ?? reason, message: trouble?.message ?? message },
  ];
}
