import { doubling } from '../../platform/clock/index.ts';
import { REASONS } from '../../crds/conditions.ts';
import type { PoolTrouble } from './status.ts';

/** A runner pod that ended, as far as this cares. */
export interface EndedPod {
  readonly name: string;
  readonly failed: boolean;
  /** What the pod says of its end, or of why it waits. */
  readonly problem?: string | undefined;
}

const FIRST_MS = 1_000;
const LAST_MS = 60_000;

/**
 * Pods that end in failure one after another: each makes the pool wait longer before it starts the next, 1 s to 1 min,
 * so that a broken image costs a pod a minute and not a hot loop. A pod that becomes ready ends the series.
 */
export class FailingPods {
  #series = 0;
  #notBefore = 0;
  #trouble: PoolTrouble | undefined;

  /** What is wrong right now, for the pool's conditions. */
  get trouble(): PoolTrouble | undefined { return this.#trouble; }

  /** Milliseconds until the next pod may be started; 0 when at once. */
  wait(now: number): number {
    return Math.max(0, this.#notBefore - now);
  }

  /** Pods that ended since the last look. */
  ended(pods: readonly EndedPod[], now: number): void {
    for (const pod of pods.filter((p) => p.failed)) {
      this.#series++;
      this.#notBefore = now + doubling(FIRST_MS, LAST_MS, this.#series - 1);
      this.#trouble = { reason: REASONS.podsFailing, message: `pod ${pod.name} failed${pod.problem === undefined ? '' : `: ${pod.problem}`}` };
    }
  }

  /** Pods that are there: one that is ready ends the series, one that cannot start (its image) is trouble. */
  alive(pods: readonly { readonly name: string; readonly ready: boolean; readonly problem?: string | undefined }[]): void {
    if (pods.some((pod) => pod.ready)) {
      this.#series = 0;
      this.#notBefore = 0;
      this.#trouble = undefined;
      return;
    }
    const stuck = pods.find((pod) => pod.problem !== undefined);
    if (stuck !== undefined) this.#trouble = { reason: REASONS.podsFailing, message: `pod ${stuck.name} does not start: ${stuck.problem ?? ''}` };
  }

  /** The pool wants no pod and waits for none: what went wrong last is over. */
  rest(now: number): void {
    if (this.wait(now) === 0) this.#trouble = undefined;
  }

  /** The API server took no pod. */
  refused(message: string, now: number): void {
    this.#series++;
    this.#notBefore = now + doubling(FIRST_MS, LAST_MS, this.#series - 1);
    this.#trouble = { reason: REASONS.creationRefused, message };
  }
}
