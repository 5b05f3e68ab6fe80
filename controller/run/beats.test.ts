import { ManualClock } from '../../platform/clock/manual.ts';
import { Beats } from './beats.ts';
import type { Unusable } from './door.ts';
import { Leases } from './leases.ts';
import type { Work } from './ports.ts';
import { AttemptSecrets } from './secrets.ts';

const RUN = '019a0000-0000-7000-8000-000000000001';
const secrets = new AttemptSecrets('seed');
const SUBJECT = 'rambo.beat.ns.p.3';

function world() {
  const clock = new ManualClock();
  const leases = new Leases(clock);
  const w = { works: [] as Work[], resent: [] as string[], cancelled: [] as string[], dead: [] as Unusable[], dispatched: [] as number[] };
  const beats = new Beats({
    clock, leases, secrets, dead: (letter) => { w.dead.push(letter); }, submit: (work) => { w.works.push(work); }, dispatched: (seconds) => { w.dispatched.push(seconds); },
    resend: (_, node, __, attempt) => { w.resent.push(`${node} ${attempt}`); }, cancel: (namespace, pool, _, node, __, attempt) => { w.cancelled.push(`${namespace}/${pool} ${node} ${attempt}`); },
  });
  const lease = leases.open({ run: RUN, node: 'n', item: -1, attempt: 2, namespace: 'ns', pool: 'p', mode: 'warm' });
  const ref = (attempt: number, over: object = {}) => ({ run: RUN, node: 'n', item: -1, attempt, secret: secrets.of(RUN, 'n', -1, attempt), ...over });
  const take = (body: object): void => { beats.take(SUBJECT, Buffer.from(JSON.stringify({ v: 1, runner: 'r-0', attempts: [], ...body }))); };
  return { ...w, clock, leases, lease, ref, take, beats, w };
}

test('the first sign of life takes the attempt; it is shown as running only if it still runs a moment later', () => {
  const { w, clock, lease, ref, take } = world();
  clock.advance(20);
  take({ attempts: [{ ...ref(2), startedAt: lease.openedAt + 15 }] });
  expect(lease).toMatchObject({ taken: true, runner: 'r-0', seen: clock.monotonic(), beaten: clock.monotonic() });
  expect([w.works, w.dispatched]).toEqual([[], [0.015]]);
  clock.advance(50);
  expect(w.works.map(({ event }) => event)).toEqual([{ type: 'Taken', node: 'n', item: -1, attempt: 2, at: lease.openedAt + 15 }]);
});

test('one that is over before that costs no commit', () => {
  const { w, clock, leases, ref, take } = world();
  take({ attempts: [{ ...ref(2), startedAt: 1 }] });
  leases.close(RUN, 'n', -1);
  clock.advance(50);
  expect(w.works).toEqual([]);
});

test('later ones renew the lease and nothing else', () => {
  const { w, clock, lease, ref, take } = world();
  take({ attempts: [{ ...ref(2), startedAt: 1 }] });
  clock.advance(2_000);
  take({ attempts: [{ ...ref(2), startedAt: 1 }] });
  clock.advance(2_000);
  expect(lease.beaten).toBe(clock.monotonic() - 2_000);
  expect([w.works.length, w.dispatched.length]).toEqual([1, 1]);
});

test('an attempt that was fenced is told to stop; one of a place nobody here knows is not', () => {
  const { w, ref, take } = world();
  take({ attempts: [{ ...ref(1), startedAt: 1 }, { ...ref(3), startedAt: 1 }, { ...ref(1, { node: 'other', secret: secrets.of(RUN, 'other', -1, 1) }), startedAt: 1 }] });
  expect(w.cancelled).toEqual(['ns/p n 1']);
});

test.each(['attempts', 'refused', 'returned'])('%s without the attempt\'s secret count for nothing', (list) => {
  const { w, lease, ref, take, clock } = world();
  take({ [list]: [{ ...ref(2, { secret: 'f'.repeat(32) }), startedAt: 1 }] });
  clock.advance(50);
  expect([lease.taken, w.works, w.resent]).toEqual([false, [], []]);
});

test('a second delivery that nobody runs opens a new attempt, unless the first one is alive', () => {
  const { w, lease, ref, take } = world();
  take({ refused: [ref(1), ref(2)] });
  expect(w.works.map(({ event }) => event)).toMatchObject([{ type: 'Failed', attempt: 2, error: { class: 'Infra', reason: 'Redelivered' } }]);
  lease.taken = true;
  take({ refused: [ref(2)] });
  expect(w.works).toHaveLength(1);
});

test('what a draining runner hands back is sent again', () => {
  const { w, ref, take } = world();
  take({ returned: [ref(2)] });
  expect(w.resent).toEqual(['n 2']);
});

test.each(['{', '[]', '{"v":2}', '{"v":1,"runner":"r","attempts":[{"run":1}]}'])('%s is put aside', (text) => {
  const { w, beats } = world();
  beats.take(SUBJECT, Buffer.from(text));
  expect(w.dead).toMatchObject([{ subject: SUBJECT }]);
});
