import { advance, createRun } from '../../engine/index.ts';
import { compiled, META, script } from '../../engine/test-kit.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import type { Unusable } from './door.ts';
import type { Settled } from './draft.ts';
import { Leases } from './leases.ts';
import type { LiveRun } from './live-run.ts';
import type { Work } from './ports.ts';
import { takeResult } from './results.ts';
import { AttemptSecrets } from './secrets.ts';

const secrets = new AttemptSecrets('seed');
const SUBJECT = 'rambo.result.team-a.default.7';

function world() {
  const definition = compiled([script('n')]);
  const state = createRun(definition, META);
  advance(state, { type: 'Start' }, 1_000);
  const live: LiveRun = { id: META.id, shard: 7, meta: META, compiled: definition, state, source: 'api', version: 1, sends: new Map() };
  const leases = new Leases(new ManualClock());
  const lease = leases.open({ run: META.id, node: 'n', item: -1, attempt: 1, namespace: 'team-a', pool: 'default', mode: 'warm' });
  const w = { works: [] as Work[], dead: [] as Unusable[], dispatched: [] as number[], live: live as LiveRun | undefined };
  const message = (over: object = {}): object => ({ v: 1, run: META.id, node: 'n', item: -1, attempt: 1, secret: secrets.of(META.id, 'n', -1, 1), startedAt: lease.openedAt + 5, finishedAt: lease.openedAt + 9, runner: 'pod-1', outcome: { ok: true, output: '{"a":1}' }, ...over });
  const take = (over: object | string = {}, subject = SUBJECT) => takeResult({
    secrets, leases, live: () => w.live, dead: (letter) => { w.dead.push(letter); }, dispatched: (seconds) => { w.dispatched.push(seconds); }, submit: (work) => { w.works.push(work); },
  }, subject, Buffer.from(typeof over === 'string' ? over : JSON.stringify(message(over))));
  return { w, lease, take };
}

test('a result is handed in with its output; whoever sent it hears only what the commit says', async () => {
  const { w, lease, take } = world();
  let answered = false;
  const reply = take().then((value) => {
    answered = true;
    return value;
  });
  await Promise.resolve();
  expect([answered, w.works[0]?.event]).toEqual([false, { type: 'Succeeded', node: 'n', item: -1, attempt: 1, startedAt: lease.openedAt + 5, output: { a: 1 } }]);
  w.works[0]?.settle?.({ status: 'Committed', version: 2 });
  expect(await reply).toEqual({ v: 1, status: 'Recorded' });
  expect(lease).toMatchObject({ taken: true, runner: 'pod-1' });
  expect(w.dispatched).toEqual([0.005]);
});

test('an agent that waits is handed in as parked, with what it waits for', async () => {
  const { w, lease, take } = world();
  const reply = take({ outcome: { ok: 'parked', why: 'approval' } });
  expect(w.works[0]?.event).toEqual({ type: 'Parked', node: 'n', item: -1, attempt: 1, startedAt: lease.openedAt + 5, why: 'approval' });
  w.works[0]?.settle?.({ status: 'Committed', version: 2 });
  expect(await reply).toEqual({ v: 1, status: 'Recorded' });
});

test.each<[Settled, string, number]>([
  [{ status: 'Unchanged' }, 'Ignored', 0], [{ status: 'Unknown' }, 'Ignored', 0], [{ status: 'Retry', message: 'away' }, 'Retry', 0], [{ status: 'Poisoned', message: 'NUL' }, 'Ignored', 1],
])('%j is answered with %s', async (settled, status, dead) => {
  const { w, take } = world();
  const reply = take();
  w.works[0]?.settle?.(settled);
  expect(await reply).toMatchObject({ status });
  expect(w.dead).toHaveLength(dead);
});

test.each<[string, object, string, string]>([
  ['a failure the runner reports', { outcome: { ok: false, error: { class: 'User', reason: 'ExitCode', message: '3' } } }, 'User', 'ExitCode'],
  ['an output over the cap', { outcome: { ok: true, output: JSON.stringify('x'.repeat(262_144)) } }, 'User', 'OutputTooLarge'],
  ['an output that is no JSON', { outcome: { ok: true, output: '{' } }, 'User', 'OutputInvalid'],
])('%s fails the attempt', (_, over, errorClass, reason) => {
  const { w, take } = world();
  void take(over);
  expect(w.works[0]?.event).toMatchObject({ type: 'Failed', error: { class: errorClass, reason } });
});

test.each<[string, object | string, string]>([
  ['no JSON', '{', SUBJECT], ['another version', { v: 2 }, SUBJECT], ['a forged secret', { secret: 'f'.repeat(32) }, SUBJECT],
  ['the secret of another attempt', { attempt: 2 }, SUBJECT], ['a subject of another namespace', {}, 'rambo.result.team-b.default.7'],
])('a message with %s is put aside and the runner told to forget it; nothing is handed in', async (_, over, subject) => {
  const { w, lease, take } = world();
  expect(await take(over, subject)).toMatchObject({ status: 'Ignored' });
  expect([w.works, w.dead.length, lease.taken]).toEqual([[], 1, false]);
});

test('a late result of an earlier attempt is handed in, so that the rows decide, and changes nothing of the lease', () => {
  const { w, lease, take } = world();
  Object.assign(lease, { attempt: 2 });
  void take();
  expect(w.works).toHaveLength(1);
  expect(lease.taken).toBe(false);
  expect(lease.runner).toBeUndefined();
});

test('a run that is not in memory is not refused: its rows may be', () => {
  const { w, take } = world();
  w.live = undefined;
  void take();
  expect(w.works).toHaveLength(1);
});
