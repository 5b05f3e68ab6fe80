import { runnerPoolSpecSchema } from '../../crds/runner-pool.ts';
import { egressLabels, networkPolicy, PoolNetworks, type NetworkPolicy, type SeenPolicy } from './network.ts';
import type { PoolObject } from './runner-pod.ts';

const DNS = { to: [{ namespaceSelector: {} }], ports: [{ port: 53, protocol: 'UDP' }] };

function pool(networkPolicySpec?: object): PoolObject {
  return { namespace: 'team', name: 'gpu', uid: 'pool-uid', generation: 1, labels: {}, resourceVersion: '1', conditions: [], spec: runnerPoolSpecSchema.parse(networkPolicySpec === undefined ? {} : { networkPolicy: networkPolicySpec }) };
}

describe('the policy of a pool', () => {
  test('is none for a pool that lists nothing; its pods bear no label of it', () => {
    expect(networkPolicy(pool(), [DNS])).toBeUndefined();
    expect(egressLabels(pool())).toEqual({});
    expect(egressLabels(undefined)).toEqual({});
  });
  test('lets nobody in, and out to the base and the list only', () => {
    const policy = networkPolicy(pool({ egress: [{ cidr: '10.1.0.0/16', ports: [443, 8_443] }, { cidr: 'fd00::/8' }] }), [DNS]);
    expect(policy?.spec).toEqual({
      podSelector: { matchLabels: { 'rambo.dev/egress': 'gpu' } }, policyTypes: ['Ingress', 'Egress'],
      egress: [DNS, { to: [{ ipBlock: { cidr: '10.1.0.0/16' } }], ports: [{ port: 443, protocol: 'TCP' }, { port: 8_443, protocol: 'TCP' }] }, { to: [{ ipBlock: { cidr: 'fd00::/8' } }] }],
    });
    expect(policy?.metadata).toMatchObject({ name: 'rambo-pool-gpu', namespace: 'team', ownerReferences: [{ kind: 'RunnerPool', name: 'gpu', uid: 'pool-uid' }] });
    expect(egressLabels(pool({}))).toEqual({ 'rambo.dev/egress': 'gpu' });
  });
  test('of an empty list opens the base alone', () => {
    expect(networkPolicy(pool({}), [DNS])?.spec).toMatchObject({ egress: [DNS] });
  });
});

/** An API server of one policy. `defaulted`: what it makes of a spec. */
function server(defaulted: (spec: NetworkPolicy['spec']) => unknown = (spec) => spec) {
  const state = { now: 1_000, seen: undefined as SeenPolicy | undefined, kept: undefined as SeenPolicy | undefined, writes: 0, removed: [] as string[] };
  const networks = new PoolNetworks({
    clock: { now: () => state.now } as ConstructorParameters<typeof PoolNetworks>[0]['clock'], base: [DNS], seen: () => state.seen,
    apply: (policy) => {
      state.writes++;
      state.kept = { uid: 'u', resourceVersion: '7', spec: JSON.parse(JSON.stringify(defaulted(policy.spec))) };
      return Promise.resolve();
    },
    remove: (_namespace, _name, uid) => {
      state.removed.push(uid);
      return Promise.resolve();
    },
  });
  return { state, networks, shown: () => { state.seen = state.kept; } };
}

describe('keeping it', () => {
  test('it is written once, also before the watch shows it', async () => {
    const { state, networks, shown } = server();
    for (let i = 0; i < 3; i++) await networks.reconcile(pool({}));
    expect(state.writes).toBe(1);
    shown();
    for (let i = 0; i < 3; i++) await networks.reconcile(pool({}));
    expect(state.writes).toBe(1);
  });
  test('a change of the pool, of somebody else, and a deletion are written over', async () => {
    const { state, networks, shown } = server();
    await networks.reconcile(pool({}));
    shown();
    await networks.reconcile(pool({ egress: [{ cidr: '10.0.0.0/8' }] }));
    expect(state.writes).toBe(2);
    shown();
    state.seen = { uid: 'u', resourceVersion: '8', spec: { podSelector: {} } };
    await networks.reconcile(pool({ egress: [{ cidr: '10.0.0.0/8' }] }));
    expect(state.writes).toBe(3);
    shown();
    await networks.reconcile(pool({ egress: [{ cidr: '10.0.0.0/8' }] }));
    state.seen = undefined;
    await networks.reconcile(pool({ egress: [{ cidr: '10.0.0.0/8' }] }));
    expect(state.writes).toBe(4);
  });
  test('fields in another order are the same', async () => {
    const { state, networks, shown } = server((spec) => Object.fromEntries(Object.entries(spec).reverse()));
    await networks.reconcile(pool({}));
    shown();
    await networks.reconcile(pool({}));
    expect(state.writes).toBe(1);
  });
  test('an API server that keeps something else is not written to for ever', async () => {
    const { state, networks, shown } = server((spec) => ({ ...spec, added: true }));
    for (let i = 0; i < 5; i++) {
      await networks.reconcile(pool({}));
      shown();
      state.now += 60_000;
    }
    expect(state.writes).toBe(2);
  });
  test('one that was never shown is written again, in time', async () => {
    const { state, networks } = server();
    await networks.reconcile(pool({}));
    state.now += 31_000;
    await networks.reconcile(pool({}));
    expect(state.writes).toBe(2);
  });
  test('it goes when the pool lists nothing any more, and that object only', async () => {
    const { state, networks, shown } = server();
    await networks.reconcile(pool({}));
    shown();
    await networks.reconcile(pool());
    expect(state.removed).toEqual(['u']);
    state.seen = undefined;
    await networks.reconcile(pool());
    expect(state.removed).toEqual(['u']);
  });
});
