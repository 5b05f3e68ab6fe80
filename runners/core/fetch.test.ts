import { Buffer } from 'node:buffer';
import { ManualClock } from '../../platform/clock/manual.ts';
import { fetchSchema, type FetchMessage } from '../../platform/messages/payloads.ts';
import { fetchDispatch, fetchTargetSchema } from './fetch.ts';
import type { NextDispatch } from './harness.ts';
import { advanceUntil, dispatch, settle } from './test-kit.ts';

const target = { run: 'run-1', node: 'a', item: -1, attempt: 2, shard: 7 };

interface Rig { readonly next: NextDispatch; readonly asked: { subject: string; message: FetchMessage }[]; readonly ended: string[]; readonly clock: ManualClock }

/** Answers in turn; the last one stays. An Error is thrown. */
function rig(answers: readonly unknown[]): Rig {
  const asked: Rig['asked'] = [];
  const ended: string[] = [];
  const clock = new ManualClock();
  const next = fetchDispatch({
    clock, namespace: 'team', pool: 'gpu', target, secret: 'secret-of-the-attempt', random: () => 0.5, log: { warn: () => undefined },
    nothing: (reason) => { ended.push(reason); },
    bus: { request: (subject, payload) => {
      asked.push({ subject, message: fetchSchema.parse(JSON.parse(Buffer.from(payload).toString())) });
      const answer = answers[Math.min(asked.length, answers.length) - 1];
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)));
    } },
  });
  return { next, asked, ended, clock };
}

test('asks the owner of the run for its one attempt, with its secret', async () => {
  const { next, asked, ended } = rig([{ v: 1, dispatch: dispatch({ attempt: 2 }) }]);
  const delivery = await next(1_000);
  expect(asked).toEqual([{ subject: 'rambo.fetch.team.gpu.7', message: { v: 1, run: 'run-1', node: 'a', item: -1, attempt: 2, secret: 'secret-of-the-attempt' } }]);
  expect(delivery?.count).toBe(1);
  expect(JSON.parse(Buffer.from(delivery?.data ?? []).toString())).toMatchObject({ run: 'run-1', attempt: 2 });
  expect(ended).toEqual([]);
});

test('goes on asking while nobody answers or the answer is no answer', async () => {
  const { next, asked, clock } = rig([new Error('no responders'), 'no JSON', { v: 2 }, { v: 1, dispatch: { run: 1 } }, { v: 1, dispatch: dispatch() }]);
  let got = false;
  void next(1_000).then((delivery) => { got = delivery !== undefined; });
  await settle();
  expect(asked).toHaveLength(1);
  await advanceUntil(clock, 'the dispatch', () => got);
  expect(asked).toHaveLength(5);
});

test.each([[{ v: 1, refused: 'this run has ended' }, 'this run has ended'], [{ v: 1 }, 'no dispatch']])('%j ends the runner', async (answer, reason) => {
  const { next, ended } = rig([answer]);
  expect(await next(1_000)).toBeUndefined();
  expect(ended).toEqual([reason]);
});

test('there is one dispatch only: a second call brings nothing and asks nobody', async () => {
  const { next, asked } = rig([{ v: 1, dispatch: dispatch() }]);
  await next(1_000);
  expect(await next(1_000)).toBeUndefined();
  expect(asked).toHaveLength(1);
});

test.each(['', '{', '[]', '{"run":"r"}', JSON.stringify({ ...target, shard: -1 }), JSON.stringify({ ...target, attempt: 0 })])('%j names no attempt', (text) => {
  expect(fetchTargetSchema.safeParse(text).success).toBe(false);
});

test('the environment names the attempt as JSON', () => {
  expect(fetchTargetSchema.parse(JSON.stringify(target))).toEqual(target);
});
