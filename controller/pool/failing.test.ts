import { FailingPods } from './failing.ts';

const failed = { name: 'p', failed: true, problem: 'Error (exit code 1)' };

test('each failure in a row doubles the wait, 1 s to 1 min', () => {
  const failing = new FailingPods();
  const waits = Array.from({ length: 9 }, () => {
    failing.ended([failed], 0);
    return failing.wait(0);
  });
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  expect(failing.wait(59_000)).toBe(1_000);
  expect(failing.wait(61_000)).toBe(0);
});

test('a ready pod ends the series', () => {
  const failing = new FailingPods();
  failing.ended([failed, failed], 0);
  failing.alive([{ name: 'a', ready: false }, { name: 'b', ready: true }]);
  expect(failing.wait(0)).toBe(0);
  expect(failing.trouble).toBeUndefined();
  failing.ended([failed], 0);
  expect(failing.wait(0)).toBe(1_000);
});

test('pods that end well are no trouble', () => {
  const failing = new FailingPods();
  failing.ended([{ name: 'drained', failed: false }], 0);
  expect(failing.trouble).toBeUndefined();
  expect(failing.wait(0)).toBe(0);
});

test('names the pod and what it says', () => {
  const failing = new FailingPods();
  failing.ended([failed], 0);
  expect(failing.trouble).toEqual({ reason: 'PodsFailing', message: 'pod p failed: Error (exit code 1)' });
  failing.alive([{ name: 'q', ready: false, problem: 'ImagePullBackOff' }]);
  expect(failing.trouble).toMatchObject({ reason: 'PodsFailing', message: 'pod q does not start: ImagePullBackOff' });
  failing.refused('exceeded quota', 0);
  expect(failing.trouble).toEqual({ reason: 'CreationRefused', message: 'exceeded quota' });
});

test('trouble is over when nothing is wanted any more, not before the wait is', () => {
  const failing = new FailingPods();
  failing.ended([failed], 0);
  failing.rest(500);
  expect(failing.trouble).toBeDefined();
  failing.rest(1_000);
  expect(failing.trouble).toBeUndefined();
});
