import { z } from 'zod';
import { LABELS } from '../../crds/names.ts';
import type { AnyObject } from '../io/cluster.ts';
import type { ContainerFact, PodFact } from './facts.ts';

const envSchema = z.looseObject({ name: z.string(), value: z.string().optional(), valueFrom: z.looseObject({ secretKeyRef: z.looseObject({ name: z.string(), key: z.string() }).optional() }).optional() });
const stateSchema = z.looseObject({
  running: z.unknown().optional(),
  waiting: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).optional(),
  terminated: z.looseObject({ reason: z.string().optional(), exitCode: z.number().optional(), message: z.string().optional() }).optional(),
});
const podSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string().default(''), labels: z.record(z.string(), z.string()).default({}) }),
  spec: z.looseObject({ containers: z.array(z.looseObject({ name: z.string(), image: z.string().default(''), env: z.array(envSchema).default([]), ports: z.array(z.looseObject({ name: z.string().optional(), containerPort: z.number() })).default([]) })).default([]) }).default({ containers: [] }),
  status: z.looseObject({
    phase: z.string().default('Unknown'), message: z.string().optional(),
    conditions: z.array(z.looseObject({ type: z.string(), status: z.string(), reason: z.string().optional(), message: z.string().optional() })).default([]),
    containerStatuses: z.array(z.looseObject({ name: z.string(), ready: z.boolean().default(false), restartCount: z.number().default(0), state: stateSchema.optional() })).default([]),
  }).default({ phase: 'Unknown', conditions: [], containerStatuses: [] }),
});

/** A pod without its spec: states, images, and the names of its environment. */
export function podFact(object: AnyObject): PodFact {
  const { metadata, spec, status } = podSchema.parse(object);
  const unscheduled = status.conditions.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
  return {
    namespace: metadata.namespace, name: metadata.name, phase: status.phase,
    ready: status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
    pool: metadata.labels[LABELS.pool], run: metadata.labels[LABELS.runId], component: metadata.labels['app.kubernetes.io/component'],
    healthPort: spec.containers.flatMap((container) => container.ports).find(({ name }) => name !== undefined && /^(?:health|metrics)$/.test(name))?.containerPort,
    message: status.message ?? (unscheduled === undefined ? undefined : `${unscheduled.reason ?? 'Unschedulable'}: ${unscheduled.message ?? ''}`),
    containers: spec.containers.map((container) => containerFact(container, status.containerStatuses.find(({ name }) => name === container.name))),
  };
}

type Container = z.infer<typeof podSchema>['spec']['containers'][number];
type Status = z.infer<typeof podSchema>['status']['containerStatuses'][number];

function containerFact(container: Container, status: Status | undefined): ContainerFact {
  const { waiting, terminated, running } = status?.state ?? {};
  const state = waiting !== undefined ? `waiting: ${waiting.reason ?? ''}` : terminated !== undefined ? `terminated: ${terminated.reason ?? ''} (exit code ${terminated.exitCode ?? '?'})` : running === undefined ? 'unknown' : 'running';
  return {
    name: container.name, image: container.image, ready: status?.ready ?? false, restarts: status?.restartCount ?? 0, state,
    message: (waiting?.message ?? terminated?.message)?.slice(0, 500),
    env: Object.fromEntries(container.env.map((entry) => [entry.name, shown(entry)])),
  };
}

/** RamBo's settings, as far as their value can be no secret: an address may hold a password, and users' variables are theirs. */
const PLAIN = /^(?:RAMBO_(?:LOG_LEVEL|LISTEN_HOST|LISTEN_PORT|METRICS_PORT|LOGS_DIR|RUNNER_IMAGE|REPLICA|PODS_IN_FLIGHT|TOKEN_AUDIENCE|GRAPHQL_INTROSPECTION|NATS_CREDS_FILE|KUBECONFIG)|NODE_OPTIONS)$/;

function shown({ name, value, valueFrom }: z.infer<typeof envSchema>): string {
  const key = valueFrom?.secretKeyRef;
  if (key !== undefined) return `from secret ${key.name}, key ${key.key}`;
  if (valueFrom !== undefined) return 'from elsewhere';
  return value !== undefined && PLAIN.test(name) ? value : '[not shown]';
}
