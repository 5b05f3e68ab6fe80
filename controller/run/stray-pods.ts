import { doubling, type Clock } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { Leases } from './leases.ts';
import type { PodObject, PodPort } from './pods.ts';

/** Which attempt a pod stands for. */
export interface PodAttempt {
  readonly run: string;
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
}

/** What looking for stray pods needs. */
export interface StrayParts {
  readonly clock: Clock;
  readonly port: Pick<PodPort, 'remove'>;
  readonly leases: Leases;
  readonly owns: (run: string) => boolean;
  /** The attempt of a place that is on its way or running, by the database; undefined when there is none. Throws when it cannot be read. */
  readonly current: (run: string, node: string, item: number) => Promise<number | undefined>;
  readonly log: { warn(facts: object, message: string): void };
}

/** A run that is being taken over, or whose commit is under way, has its leases by then. */
const LOOK_MS = 5_000;
const AGAIN_MAX_MS = 60_000;
const GRACE_SECONDS = 30;

/**
 * Removes pods of attempts that no longer count: whoever had to remove them died between the commit and the removal, or
 * the pod was made while its removal was already answered with "not found". Memory only makes suspicious; the database
 * decides.
 */
export class StrayPods {
  readonly #p: StrayParts;
  /** By uid; each is looked at once. */
  readonly #looking = new Set<string>();

  constructor(parts: StrayParts) {
    this.#p = parts;
  }

  /** A pod that lives was shown. Costs nothing where memory knows its attempt. */
  look(of: PodAttempt, pod: PodObject): void {
    if (this.#looking.has(pod.uid) || pod.view.deletionTimestamp !== undefined || !this.#suspicious(of)) return;
    this.#looking.add(pod.uid);
    this.#later(of, pod, 0);
  }

  #suspicious(of: PodAttempt): boolean {
    return this.#p.owns(of.run) && this.#p.leases.get(of.run, of.node, of.item)?.attempt !== of.attempt;
  }

  #later(of: PodAttempt, pod: PodObject, tries: number): void {
    this.#p.clock.after(doubling(LOOK_MS, AGAIN_MAX_MS, tries), () => { void this.#decide(of, pod, tries); });
  }

  async #decide(of: PodAttempt, pod: PodObject, tries: number): Promise<void> {
    try {
      if (this.#suspicious(of) && await this.#p.current(of.run, of.node, of.item) !== of.attempt) {
        this.#p.log.warn({ run: of.run, node: of.node, attempt: of.attempt, pod: pod.name }, 'a pod outlived its attempt; it is removed');
        await this.#p.port.remove(pod.namespace, pod.name, pod.uid, GRACE_SECONDS);
      }
      this.#looking.delete(pod.uid);
    } catch (error) {
      this.#p.log.warn({ run: of.run, pod: pod.name, err: errorMessage(error) }, 'could not look at, or remove, a pod that may have outlived its attempt; trying again');
      this.#later(of, pod, tries + 1);
    }
  }
}
