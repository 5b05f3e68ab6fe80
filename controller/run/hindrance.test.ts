import { podHindrance } from './hindrance.ts';

test.each([
  ['its image does not come', { main: { waiting: { reason: 'ErrImagePull', message: 'no such host' } } }, { reason: 'ErrImagePull', message: 'no such host' }],
  ['no node takes it', { unschedulable: '0/2 nodes are available' }, { reason: 'Unschedulable', message: 'pod p: 0/2 nodes are available' }],
  ['it is being made', { main: { waiting: { reason: 'ContainerCreating' } } }, undefined],
  ['a container of a user runs', { main: { running: {} } }, undefined],
] as const)('a pod: %s', (_, view, hindrance) => {
  expect(podHindrance('p', view)).toEqual(hindrance);
});

test('a runner that runs and asks for nothing is no runner, or does not reach NATS', () => {
  expect(podHindrance('p', { runner: true, main: { running: {} } })).toMatchObject({ reason: 'RunnerSilent', message: expect.stringContaining('image') as string });
});
