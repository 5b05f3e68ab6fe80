import { podOutcome, podGone, waitingForImage, type PodView } from './pod-outcome.ts';

const ended = (exitCode: number, over: Partial<NonNullable<NonNullable<PodView['main']>['terminated']>> = {}, pod: Partial<PodView> = {}): PodView =>
  ({ phase: exitCode === 0 ? 'Succeeded' : 'Failed', ...pod, main: { terminated: { exitCode, ...over } } });

describe('podOutcome', () => {
  test.each<[string, PodView, string, string | undefined]>([
    ['no status yet', {}, 'Pending', undefined],
    ['image pull', { phase: 'Pending', main: { waiting: { reason: 'ImagePullBackOff' } } }, 'Pending', undefined],
    ['running', { phase: 'Running', main: { running: { startedAt: '2026-01-01T00:00:00Z' } } }, 'Running', undefined],
    ['exit 0 without output', ended(0), 'Succeeded', undefined],
    ['exit 0 with JSON', ended(0, { message: '{"a":1}' }), 'Succeeded', undefined],
    ['exit 0 with prose', ended(0, { message: 'hello' }), 'Failed', 'User/OutputInvalid'],
    ['output cut at 4 KiB', ended(0, { message: `"${'x'.repeat(4_095)}` }), 'Failed', 'User/OutputTooLarge'],
    ['exit 3', ended(3, { reason: 'Error' }), 'Failed', 'User/ExitCode'],
    ['out of memory', ended(137, { reason: 'OOMKilled' }), 'Failed', 'Infra/OOMKilled'],
    ['could not start', ended(128, { reason: 'StartError' }), 'Failed', 'User/StartError'],
    ['evicted', ended(137, { reason: 'Error' }, { reason: 'Evicted' }), 'Failed', 'Infra/Evicted'],
    ['deleted while running', ended(143, { reason: 'Error' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }), 'Failed', 'Infra/PodDeleted'],
    ['status lost', ended(137, { reason: 'ContainerStatusUnknown' }), 'Failed', 'Infra/ContainerStatusUnknown'],
    ['deadline', ended(137, {}, { reason: 'DeadlineExceeded' }), 'Failed', 'Timeout/DeadlineExceeded'],
    ['failed without a container', { phase: 'Failed', reason: 'NodeAffinity' }, 'Failed', 'Infra/NodeAffinity'],
    ['a runner that ended: its result is recorded by itself or not at all', ended(0, {}, { runner: true }), 'Failed', 'Infra/RunnerEnded'],
    ['a runner that crashed', ended(1, { reason: 'Error' }, { runner: true }), 'Failed', 'Infra/RunnerEnded'],
    ['a runner out of memory', ended(137, { reason: 'OOMKilled' }, { runner: true }), 'Failed', 'Infra/OOMKilled'],
    ['node gone', { phase: 'Unknown' }, 'Failed', 'Infra/NodeLost'],
  ])('%s', (_, pod, kind, error) => {
    const outcome = podOutcome(pod);
    expect(outcome.kind).toBe(kind);
    expect(outcome.kind === 'Failed' ? `${outcome.error.class}/${outcome.error.reason}` : undefined).toBe(error);
  });

  test('the output keeps its type', () => {
    expect(podOutcome(ended(0, { message: '[1,"a",null]' }))).toEqual({ kind: 'Succeeded', output: [1, 'a', null] });
    expect(podOutcome(ended(0))).toEqual({ kind: 'Succeeded', output: null });
  });

  test('a pod that vanished is infrastructure', () => {
    const outcome = podGone('x');
    expect(outcome.kind === 'Failed' && outcome.error).toMatchObject({ class: 'Infra', reason: 'PodGone' });
  });

  test('says when a pod waits for its image', () => {
    expect(waitingForImage({ main: { waiting: { reason: 'ErrImagePull' } } })).toBe('ErrImagePull');
    expect(waitingForImage({ main: { waiting: { reason: 'ContainerCreating' } } })).toBeUndefined();
  });
});
