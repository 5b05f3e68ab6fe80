import type { NodeSpec } from '../../crds/node.ts';
import { attemptPodName } from './pod-name.ts';
import { containerPod } from './pod-template.ts';

const run = { id: 'run-1', name: 'r', namespace: 'ns' };
const dispatch = {
  node: 'build', item: -1, attempt: 2, type: 'container' as const, mode: 'pod' as const, pool: 'default',
  with: { image: 'local/sh', command: ['sh', '-c', 'true'], input: { a: 1 } }, env: { A: 'x $(HOME)', RAMBO_NODE: 'forged' }, timeoutMs: 5_000,
};
const node: NodeSpec = { name: 'build', type: 'container', with: { image: 'local/sh' } };

function spec(pod: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const value = pod['spec'];
  if (typeof value !== 'object' || value === null) throw new Error('no spec');
  return { ...value };
}

test('the pod is closed: restricted, no token, no service links, never restarted', () => {
  const pod = spec(containerPod({ run, node, dispatch }));
  expect(pod).toMatchObject({
    restartPolicy: 'Never', automountServiceAccountToken: false, enableServiceLinks: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  });
  expect(Object.keys(pod).sort()).toEqual(['activeDeadlineSeconds', 'automountServiceAccountToken', 'containers', 'enableServiceLinks', 'restartPolicy', 'securityContext', 'terminationGracePeriodSeconds']);
});

test('what a node says outside the list never arrives in the pod', () => {
  const hostile = JSON.parse('{"hostNetwork":true,"hostPID":true,"podSpecPatch":"x","securityContext":{"privileged":true},"volumes":[{"name":"v","mountPath":"/v","hostPath":{"path":"/"}}]}');
  const pod = containerPod({ run, node: { ...node, runner: hostile }, dispatch });
  const text = JSON.stringify(pod);
  for (const word of ['hostNetwork', 'hostPID', 'podSpecPatch', 'privileged', 'hostPath']) expect(text).not.toContain(word);
});

test('our variables win over the node\'s, and values are never expanded', () => {
  const pod = JSON.stringify(containerPod({ run, node, dispatch }));
  expect(pod).toContain('"RAMBO_NODE","value":"build"');
  expect(pod).not.toContain('forged');
  expect(pod).toContain('x $$(HOME)');
});

describe('attemptPodName', () => {
  test.each(['a', 'A-very-Long-node-name-of-sixty-three-characters-abcdefghijklmnopq', 'Ends-', 'Ünïcode'])('of %s is a DNS label', (name) => {
    expect(attemptPodName('run', name, 99_999, 7)).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  });

  test('is the same twice and differs by every part', () => {
    const names = [attemptPodName('r', 'n', 0, 1), attemptPodName('r2', 'n', 0, 1), attemptPodName('r', 'n2', 0, 1), attemptPodName('r', 'n', 1, 1), attemptPodName('r', 'n', 0, 2)];
    expect(new Set(names).size).toBe(5);
    expect(attemptPodName('r', 'n', 0, 1)).toBe(names[0]);
  });
});
