import { CONDITIONS, REASONS, setCondition, type NewCondition } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/parts.ts';
import type { RunnerPoolStatus } from '../../crds/runner-pool.ts';

/** What a pool's status is made of. */
export interface PoolFacts {
  readonly generation: number;
  readonly minReady: number;
  readonly ready: number;
  readonly starting: number;
  /** Ready pods of the present definition; the others wait to be replaced. */
  readonly current: number;
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

/**
 * Stalled is told apart from trouble: a pool that has the pods it promises and cannot grow is ready, and says in the same
 * condition what hinders it. One without any pod of its present definition is not, whatever it promises.
 */
function conditionsOf({ minReady, ready, current, trouble }: PoolFacts): readonly NewCondition[] {
  const stalled = trouble !== undefined && current < Math.max(1, minReady);
  const rolling = !stalled && current < minReady;
  const { reason, message } = words({ stalled, rolling, enough: ready >= minReady, trouble });
  return [
    { type: CONDITIONS.ready, status: ready >= minReady && !stalled ? 'True' : 'False', reason, message },
    { type: CONDITIONS.reconciling, status: rolling ? 'True' : 'False', reason, message },
    { type: CONDITIONS.stalled, status: stalled ? 'True' : 'False', reason, message },
  ];
}

function words(facts: { readonly stalled: boolean; readonly rolling: boolean; readonly enough: boolean; readonly trouble: PoolTrouble | undefined }): Pick<NewCondition, 'reason' | 'message'> {
  const { stalled, rolling, enough, trouble } = facts;
  if (stalled && trouble !== undefined) return trouble;
  if (rolling) return { reason: REASONS.scalingUp, message: enough ? 'pods of the present definition replace the older ones' : 'pods are starting' };
  if (trouble !== undefined) return { reason: trouble.reason, message: `the pool has the pods it keeps ready and gets no more: ${trouble.message}` };
  return { reason: REASONS.poolReady, message: 'the pool has the pods it keeps ready' };
}

/** What keeps a pool from having pods at all, as its conditions tell every replica; undefined when it has them or will soon. */
export function poolHindrance(pool: { readonly conditions: readonly Condition[] } | undefined): { readonly reason: string; readonly message: string } | undefined {
  const stalled = pool?.conditions.find((condition) => condition.type === CONDITIONS.stalled && condition.status === 'True');
  return stalled === undefined ? undefined : { reason: stalled.reason, message: `its runner pool is stalled: ${stalled.message}` };
}
