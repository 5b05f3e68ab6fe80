import { existsSync, readdirSync, statSync } from 'node:fs';
import { ManualClock } from '../../platform/clock/manual.ts';
import { Attempt, attemptKey } from './attempt.ts';
import { LogPump } from './log-pump.ts';
import { dispatch, removeScratch, scratchDir, settle } from './test-kit.ts';
import type { Execution, Executor, Outcome } from './types.ts';

afterEach(() => { removeScratch(); });

interface Running {
  readonly clock: ManualClock;
  readonly attempt: Attempt;
  readonly scratch: string;
  readonly execution: Execution;
  readonly end: (outcome?: Outcome) => Promise<Outcome>;
}

const failed: Outcome = { ok: false, error: { class: 'User', reason: 'ExitCode', message: 'exit code 143' } };

async function start(changes: Parameters<typeof dispatch>[0] = {}): Promise<Running> {
  const clock = new ManualClock();
  const attempt = new Attempt(dispatch(changes), clock);
  const scratch = scratchDir();
  let finish: (outcome: Outcome) => void = () => undefined;
  let seen: Execution | undefined;
  const began = Promise.withResolvers<Execution>();
  const executor: Executor = (execution) => {
    seen = execution;
    began.resolve(execution);
    return new Promise((resolve) => { finish = resolve; });
  };
  const outcome = attempt.run(executor, scratch, {}, new LogPump(clock, () => undefined));
  await began.promise;
  return { clock, attempt, scratch, execution: seen ?? (await began.promise), end: (given = failed) => { finish(given); return outcome; } };
}

test('the grace runs on our clock; a second stop may shorten it, never lengthen it', async () => {
  const { clock, attempt, execution, end } = await start();
  attempt.stop('Cancelled', 30_000);
  expect([execution.signal.aborted, execution.kill.aborted]).toEqual([true, false]);
  clock.advance(10_000);
  attempt.stop('Cancelled', 60_000);
  attempt.stop('Draining', 5_000);
  clock.advance(4_999);
  expect(execution.kill.aborted).toBe(false);
  clock.advance(1);
  expect(execution.kill.aborted).toBe(true);
  expect(await end()).toMatchObject({ ok: false, error: { class: 'Cancelled' } });
  expect(clock.pending).toBe(0);
});

test('a stop without grace after one with grace kills at once', async () => {
  const { attempt, execution, end } = await start();
  attempt.stop('Cancelled', 30_000);
  attempt.stop('Cancelled', 0);
  expect(execution.kill.aborted).toBe(true);
  await end();
});

test('a node that ends within its grace leaves no timer behind', async () => {
  const { clock, attempt, execution, end } = await start();
  attempt.stop('Cancelled', 30_000);
  expect(clock.pending).toBe(1);
  await end();
  expect(clock.pending).toBe(0);
  clock.advance(60_000);
  expect(execution.kill.aborted).toBe(false);
});

test('the first reason counts', async () => {
  const { clock, attempt, end } = await start({ timeoutMs: 1_000 });
  clock.advance(1_000);
  attempt.stop('Cancelled', 0);
  expect(await end()).toMatchObject({ ok: false, error: { class: 'Timeout', reason: 'Timeout' } });
});

test('a node that succeeds although it was told to stop has succeeded', async () => {
  const { attempt, end } = await start();
  attempt.stop('Cancelled', 1_000);
  expect(await end({ ok: true, output: '"done"' })).toEqual({ ok: true, output: '"done"' });
});

test('its folder is private, has a fresh name, and is gone afterwards', async () => {
  const { execution, scratch, end, clock } = await start({ run: '../../../../tmp/evil', node: 'x' });
  expect(statSync(execution.dir).mode & 0o777).toBe(0o700);
  expect(execution.dir.startsWith(`${scratch}/attempt-`)).toBe(true);
  expect(readdirSync(scratch)).toHaveLength(1);
  await end();
  expect(existsSync(execution.dir)).toBe(false);
  expect(clock.pending).toBe(0);
});

test('a scratch folder that is gone is the fault of the runner, not of the node', async () => {
  const clock = new ManualClock();
  const attempt = new Attempt(dispatch({ timeoutMs: 10 }), clock);
  const outcome = await attempt.run(() => Promise.resolve({ ok: true, output: '1' }), '/nonexistent/rambo', {}, new LogPump(clock, () => undefined));
  expect(outcome).toMatchObject({ ok: false, error: { class: 'Infra', reason: 'RunnerError' } });
  await settle();
  expect(clock.pending).toBe(0);
});

test('keys tell attempts apart', () => {
  const base = { run: 'r', node: 'n', item: 1, attempt: 1 };
  expect(new Set([base, { ...base, item: 11 }, { ...base, attempt: 11 }, { ...base, node: 'n1' }, { ...base, run: 'r1' }].map(attemptKey)).size).toBe(5);
});
