import { runnerPoolSpecSchema } from '../../crds/runner-pool.ts';
import { runnerPod, runnerPodSpec, templateHash, type PoolObject } from './runner-pod.ts';

const settings = { natsUrl: 'nats://nats:4222', image: 'rambo/runner:1' };

function pool(spec: object = {}): PoolObject {
  return { namespace: 'team', name: 'gpu', uid: 'pool-uid', generation: 1, labels: {}, resourceVersion: '1', conditions: [], spec: runnerPoolSpecSchema.parse(spec) };
}

interface Spec { readonly containers: readonly [{ readonly env: readonly { name: string; value?: string }[]; readonly [field: string]: unknown }]; readonly [field: string]: unknown }

function specOf(...args: Parameters<typeof runnerPodSpec>): Spec {
  return JSON.parse(JSON.stringify(runnerPodSpec(...args)));
}

function envOf(spec: Spec): Record<string, string | undefined> {
  return Object.fromEntries(spec.containers[0].env.map(({ name, value }) => [name, value]));
}

describe('the pod of a warm runner', () => {
  test('is closed: restricted, no token, read-only root, credentials by volume only', () => {
    const spec = specOf(pool(), settings);
    expect(spec).toMatchObject({
      restartPolicy: 'Never', automountServiceAccountToken: false, enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [{ securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } } }],
      volumes: [{ secret: { secretName: 'rambo-pool-gpu-nats' } }, { emptyDir: {} }],
    });
    expect(spec).not.toHaveProperty('serviceAccountName');
  });

  test('belongs to its pool and is found by its labels', () => {
    expect(runnerPod(pool(), settings, 'abc123')).toMatchObject({ metadata: {
      name: 'gpu-abc123', namespace: 'team', labels: { 'rambo.dev/pool': 'gpu', 'rambo.dev/template': templateHash(pool(), settings) },
      ownerReferences: [{ kind: 'RunnerPool', uid: 'pool-uid', controller: true }],
    } });
  });

  test('one slot where a pod is used for one node', () => {
    expect(envOf(specOf(pool({ slots: 16, reuse: 'Never' }), settings))['RAMBO_SLOTS']).toBe('1');
    expect(envOf(specOf(pool({ slots: 16 }), settings))['RAMBO_SLOTS']).toBe('16');
  });

  test('sizing does not change the template, everything else does', () => {
    const before = templateHash(pool(), settings);
    expect(templateHash(pool({ minReady: 3, max: 9, idleTTL: '1h' }), settings)).toBe(before);
    for (const other of [{ image: 'x' }, { slots: 3 }, { reuse: 'Shared' }, { nodeSelector: { a: 'b' } }, { envFrom: [{ secretRef: { name: 's' } }] }]) {
      expect(templateHash(pool(other), settings)).not.toBe(before);
    }
    expect(templateHash(pool(), { ...settings, image: 'rambo/runner:2' })).not.toBe(before);
  });
});

describe('the pod of one attempt', () => {
  const base = pool({ slots: 16, reuse: 'Shared', nodeSelector: { zone: 'a' }, resources: { limits: { cpu: '1' } }, envFrom: [{ secretRef: { name: 'of-pool' } }], serviceAccountName: 'builder' });
  const env = { RAMBO_FETCH: '{"run":"r"}', RAMBO_FETCH_SECRET: 'secret' };

  test('takes from the pool what the node does not say', () => {
    const spec = specOf(base, settings, { runner: {}, env });
    expect(spec).toMatchObject({ nodeSelector: { zone: 'a' }, serviceAccountName: 'builder', containers: [{ resources: { limits: { cpu: '1' } }, envFrom: [{ secretRef: { name: 'of-pool' } }] }] });
    expect(envOf(spec)).toMatchObject({ ...env, RAMBO_SLOTS: '1', RAMBO_REUSE: 'Never', RAMBO_POOL: 'gpu' });
    expect(spec).not.toHaveProperty('activeDeadlineSeconds');
  });

  test('placement and resources of the node replace the pool\'s, environment and volumes are added', () => {
    const spec = specOf(base, settings, { env, activeDeadlineSeconds: 90, runner: {
      nodeSelector: { zone: 'b' }, tolerations: [{ key: 'gpu', operator: 'Exists' }], resources: { limits: { memory: '1Gi' } },
      envFrom: [{ configMapRef: { name: 'of-node' } }], volumes: [{ name: 'data', mountPath: '/data', configMap: { name: 'files' }, readOnly: true }, { name: 'scratch', mountPath: '/scratch' }],
    } });
    expect(spec).toMatchObject({
      activeDeadlineSeconds: 90, nodeSelector: { zone: 'b' }, tolerations: [{ key: 'gpu' }],
      containers: [{ resources: { limits: { memory: '1Gi' } }, envFrom: [{ secretRef: { name: 'of-pool' } }, { configMapRef: { name: 'of-node' } }] }],
    });
    expect(spec['volumes']).toEqual(expect.arrayContaining([{ name: 'data', configMap: { name: 'files' } }, { name: 'scratch', emptyDir: {} }]));
    expect(spec.containers[0]['volumeMounts']).toEqual(expect.arrayContaining([{ name: 'data', mountPath: '/data', readOnly: true }, { name: 'scratch', mountPath: '/scratch' }]));
  });

  test('what a node says outside the list never arrives', () => {
    const runner = JSON.parse('{"hostNetwork":true,"podSpecPatch":"x","securityContext":{"privileged":true},"serviceAccountName":"admin","volumes":[{"name":"v","mountPath":"/v","hostPath":{"path":"/"}}]}');
    const text = JSON.stringify(runnerPodSpec(base, settings, { runner, env }));
    for (const word of ['hostNetwork', 'podSpecPatch', 'privileged', 'hostPath', 'admin']) expect(text).not.toContain(word);
  });
});
