import { createRegistry, poolMetrics } from '../../platform/metrics/index.ts';
import { publishPools, type PoolsView } from './gauges.ts';

const VIEW: PoolsView = {
  counts: (_, pool) => (pool === 'broken' ? { ready: 0, starting: 0 } : { ready: 3, starting: 1 }), busy: () => 2, max: () => 8, trouble: (_, pool) => (pool === 'broken' ? 'PodsFailing' : undefined),
};

test('a pool is told with its pods, what they do, what it may have and what is wrong; one that is gone takes its series along', async () => {
  const registry = createRegistry('test');
  const metrics = poolMetrics(registry);
  const lines = async (): Promise<readonly string[]> => (await registry.metrics()).split('\n').filter((line) => line.startsWith('rambo_pool_')).map((line) => line.replace(/,?process="test"/, ''));
  publishPools(metrics, VIEW, ['team-a/default', 'team-a/broken']);
  expect(await lines()).toEqual(expect.arrayContaining([
    'rambo_pool_runners{namespace="team-a",pool="default",state="ready"} 3', 'rambo_pool_runners{namespace="team-a",pool="default",state="starting"} 1',
    'rambo_pool_runners_busy{namespace="team-a",pool="default"} 2', 'rambo_pool_runners_max{namespace="team-a",pool="default"} 8',
    'rambo_pool_trouble{namespace="team-a",pool="default",reason="PodsFailing"} 0', 'rambo_pool_trouble{namespace="team-a",pool="broken",reason="PodsFailing"} 1', 'rambo_pool_trouble{namespace="team-a",pool="broken",reason="CreationRefused"} 0',
  ]));
  publishPools(metrics, VIEW, ['team-a/default']);
  expect((await lines()).filter((line) => line.includes('broken'))).toEqual([]);
  publishPools(metrics, VIEW, []);
  expect(await lines()).toEqual([]);
});
