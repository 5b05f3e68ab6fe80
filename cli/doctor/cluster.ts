import { z } from 'zod';
import { LABELS } from '../../crds/names.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import { crPath, listAll, objectSchema, PLURALS, type AnyObject } from '../io/cluster.ts';
import { crdFact } from './crds.ts';
import type { ClusterFacts, EventFact, ObjectFact, PodFact } from './facts.ts';
import { podFact } from './pods.ts';

const MOST_OBJECTS = 2_000;
const MOST_STALLED = 100;
const MOST_EVENTS = 300;

const statusSchema = z.looseObject({
  spec: z.looseObject({ minReady: z.number().optional() }).optional(),
  status: z.looseObject({
    phase: z.string().optional(), progress: z.string().optional(), ready: z.number().optional(),
    conditions: z.array(z.looseObject({ type: z.string(), status: z.string(), reason: z.string().optional(), message: z.string().optional() })).optional(),
  }).optional(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().default(''), generation: z.number().optional() }),
});

/** Looks at the cluster with the rights of the caller. What may not be seen is noted and left out; throws when nothing answers. */
export async function clusterFacts(client: KubeClient, namespace: string): Promise<ClusterFacts> {
  const { gitVersion } = z.looseObject({ gitVersion: z.string() }).parse(await client.json({ verb: 'get', resource: 'version', path: '/version' }));
  const unanswered: string[] = [];
  const ask = async <T>(what: string, none: T, work: () => Promise<T>): Promise<T> => work().catch((error: unknown) => {
    unanswered.push(`${what}: ${errorMessage(error)}`);
    return none;
  });
  const runs: Record<string, number> = {};
  const stalled: ObjectFact[] = [];
  await ask('its runs', undefined, async () => {
    for await (const object of listAll(client, 'workflowruns', crPath('workflowruns'))) countRun(objectFact(object), runs, stalled);
  });
  return {
    version: gitVersion, runs, unanswered,
    stalled: stalled.sort((a, b) => Number(needsReview(b)) - Number(needsReview(a))).slice(0, MOST_STALLED),
    crds: await ask('its definitions', [], () => Promise.all(PLURALS.map((plural) => crdFact(client, plural)))),
    workflows: await ask('its workflows', [], () => some(client, 'workflows')),
    pools: await ask('its pools', [], () => some(client, 'runnerpools')),
    pods: await ask('its pods', [], () => ourPods(client, namespace)),
    events: await ask('its events', [], () => warnings(client)),
  };
}

function countRun(run: ObjectFact, runs: Record<string, number>, stalled: ObjectFact[]): void {
  const phase = run.phase ?? 'none';
  runs[phase] = (runs[phase] ?? 0) + 1;
  if (run.phase !== 'Failed' && run.conditions.some(({ type, status }) => type === 'Stalled' && status === 'True')) stalled.push(run);
}

function needsReview(run: ObjectFact): boolean {
  return run.conditions.some(({ type, reason }) => type === 'Stalled' && reason === 'NeedsReview');
}

async function some(client: KubeClient, plural: 'workflows' | 'runnerpools'): Promise<readonly ObjectFact[]> {
  const out: ObjectFact[] = [];
  for await (const object of listAll(client, plural, crPath(plural))) {
    out.push(objectFact(object));
    if (out.length === MOST_OBJECTS) break;
  }
  return out;
}

/** Only what is named here leaves the object: no spec, no input, no output. */
function objectFact(object: AnyObject): ObjectFact {
  const { metadata, spec, status } = statusSchema.parse(object);
  return {
    namespace: metadata.namespace, name: metadata.name, generation: metadata.generation, phase: status?.phase, progress: status?.progress,
    ready: status?.ready, minReady: spec?.minReady,
    conditions: (status?.conditions ?? []).map(({ type, status: is, reason, message }) => ({ type, status: is, reason, message: message?.slice(0, 500) })),
  };
}

/** Pods of pools and attempts wherever they are, and whatever runs in the namespace of the release. */
async function ourPods(client: KubeClient, namespace: string): Promise<readonly PodFact[]> {
  const found = new Map<string, PodFact>();
  for (const [path, query] of [
    ['/api/v1/pods', { labelSelector: LABELS.pool }], ['/api/v1/pods', { labelSelector: LABELS.runId }], [`/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`, {}],
  ] as const) {
    for await (const object of listAll(client, 'pods', path, query)) {
      const pod = podFact(object);
      if (found.size < MOST_OBJECTS) found.set(`${pod.namespace}/${pod.name}`, pod);
    }
  }
  return [...found.values()];
}

const eventSchema = objectSchema.extend({
  involvedObject: z.looseObject({ kind: z.string().default(''), name: z.string().default(''), namespace: z.string().default('') }),
  reason: z.string().default(''), message: z.string().default(''), count: z.number().nullish(), lastTimestamp: z.string().nullish(), eventTime: z.string().nullish(),
});

async function warnings(client: KubeClient): Promise<readonly EventFact[]> {
  const out: EventFact[] = [];
  for await (const object of listAll(client, 'events', '/api/v1/events', { fieldSelector: 'type=Warning' })) {
    const event = eventSchema.parse(object);
    const { kind, name, namespace } = event.involvedObject;
    out.push({ namespace, kind, name, reason: event.reason, message: event.message.slice(0, 500), count: event.count ?? 1, at: event.lastTimestamp ?? event.eventTime ?? '' });
  }
  return out.sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, MOST_EVENTS);
}
