import { nodeRow, placementOf } from '../../engine/index.ts';
import type { Hindrance } from '../../engine/types.ts';
import type { LiveRun } from './live-run.ts';
import { attemptPodName } from './pod-name.ts';
import { waitingForImage, type PodView } from './pod-outcome.ts';

/** What can be asked about an attempt that nobody has taken. */
export interface HindranceParts {
  readonly live: (run: string) => LiveRun | undefined;
  /** The attempt's own pod, as the watch has it. */
  readonly pod: (namespace: string, name: string) => { readonly view: PodView } | undefined;
  /** What keeps a pool from having its pods. */
  readonly pool: (namespace: string, pool: string) => Hindrance | undefined;
}

const PENDING_TIMER = /^pending:([^:]+):(-?\d+):\d+$/;

/** Why the attempt was not taken whose waiting time is over, for an engine that only knows that it was not; undefined for all other timers. */
export function hindranceOf(parts: HindranceParts, run: string, timer: string): Hindrance | undefined {
  const match = PENDING_TIMER.exec(timer);
  const live = match === null ? undefined : parts.live(run);
  if (match === null || live === undefined) return undefined;
  const [node, item] = [match[1] ?? '', Number(match[2])];
  const { mode, pool } = placementOf(live.state, node);
  if (mode === 'warm') return pool === undefined ? undefined : parts.pool(live.meta.namespace, pool);
  const row = nodeRow(live.state, node, item);
  if (mode !== 'pod' || row === undefined) return undefined;
  const name = attemptPodName(run, node, item, row.attempt);
  const pod = parts.pod(live.meta.namespace, name);
  return pod === undefined ? undefined : podHindrance(name, pod.view);
}

/** What a pod that has not begun with its attempt says for itself. */
export function podHindrance(name: string, view: PodView): Hindrance | undefined {
  const image = waitingForImage(view);
  if (image !== undefined) return { reason: image, message: view.main?.waiting?.message ?? `pod ${name} waits for its image` };
  if (view.unschedulable !== undefined) return { reason: 'Unschedulable', message: `pod ${name}: ${view.unschedulable}` };
  if (view.runner !== true || view.main?.running === undefined) return undefined;
  return { reason: 'RunnerSilent', message: `pod ${name} runs, but nothing in it asked for the attempt: the image of its pool has to start RamBo's runner and to reach NATS` };
}
