import { Buffer } from 'node:buffer';
import { LIMITS } from '../../crds/names.ts';
import { advanceUntil, dispatch, removeScratch, settle, startHarness, until, type Answer, type Rig } from './test-kit.ts';
import type { Execution, Executor, Outcome } from './types.ts';

/** An executor whose attempts end when the test says so. */
class Held {
  readonly started: Execution[] = [];
  readonly #ends = new Map<string, (outcome: Outcome) => void>();
  readonly execute: Executor = (execution) => {
    this.started.push(execution);
    return new Promise((resolve) => {
      this.#ends.set(execution.dispatch.node, resolve);
      execution.signal.addEventListener('abort', () => { resolve({ ok: false, error: { class: 'User', reason: 'ExitCode', message: 'killed' } }); });
    });
  };

  /** Nodes that were told to stop; attempts start in no fixed order. */
  stopped(): string[] {
    return this.started.filter((e) => e.signal.aborted).map((e) => e.dispatch.node);
  }

  finish(node: string, outcome: Outcome = { ok: true, output: '1' }): void {
    this.#ends.get(node)?.(outcome);
  }
}

const rigs: Rig[] = [];

function rig(...args: Parameters<typeof startHarness>): Rig {
  const made = startHarness(...args);
  rigs.push(made);
  return made;
}

afterEach(async () => {
  for (const { harness, clock, bus, ended } of rigs.splice(0)) {
    bus.answers = [];
    harness.drain(0);
    let over = false;
    void ended.then(() => { over = true; });
    await advanceUntil(clock, 'the end of the harness', () => over);
  }
  removeScratch();
});

const ok: Executor = () => Promise.resolve({ ok: true, output: '{"a":1}' });

describe('results', () => {
  test('are repeated, unchanged, until they are recorded; the node runs once', async () => {
    let runs = 0;
    const { bus, stream, clock, harness } = rig({ script: (e) => { runs++; return ok(e); } });
    const answers: Answer[] = ['nothing', 'nothing', 'Retry', { text: 'no JSON' }, { text: '{"v":2,"status":"Recorded"}' }, 'nothing', 'Retry', 'Recorded'];
    bus.answers = [...answers];
    stream.push(dispatch());
    await advanceUntil(clock, 'the last result', () => bus.results.length === answers.length && harness.busy === 0);
    clock.advance(60_000);
    await settle();
    expect(runs).toBe(1);
    expect(bus.results).toHaveLength(answers.length);
    expect(new Set(bus.results.map((r) => JSON.stringify(r))).size).toBe(1);
    expect(bus.results[0]).toMatchObject({ run: 'run-1', node: 'a', item: -1, attempt: 1, secret: 'secret-of-the-attempt', outcome: { ok: true, output: '{"a":1}' } });
    expect(bus.subjects.filter((s) => s.startsWith('rambo.result'))[0]).toBe('rambo.result.team.default.7');
  });

  test('an agent that waits is reported as parked, frees its slot, and is told when that is recorded, not before', async () => {
    let recorded = 0;
    const { bus, stream, clock, harness } = rig({ agent: () => Promise.resolve({ ok: 'parked', why: 'approval', recorded: () => { recorded++; return Promise.resolve(); } }) });
    bus.answers = ['nothing', 'Retry'];
    stream.push(dispatch({ type: 'agent' }));
    await advanceUntil(clock, 'two results in vain', () => bus.results.length === 2);
    expect(recorded).toBe(0);
    await advanceUntil(clock, 'the end', () => harness.busy === 0);
    expect(bus.results.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 3 }, () => ({ ok: 'parked', why: 'approval' })));
    expect(recorded).toBe(1);
  });

  test('come slower and slower, at least every 2 s', async () => {
    const { bus, stream, clock, harness } = rig({ script: ok });
    bus.answers = Array.from({ length: 12 }, () => 'Retry' as const);
    const at: number[] = [];
    stream.push(dispatch());
    await advanceUntil(clock, 'all repeats', () => {
      if (bus.results.length > at.length) at.push(clock.now());
      return harness.busy === 0 && at.length > 0;
    }, 25);
    const waits = at.slice(1).map((t, i) => t - (at[i] ?? 0));
    expect(waits[0]).toBeLessThanOrEqual(100);
    expect(Math.max(...waits)).toBeLessThanOrEqual(2_000);
    expect(waits.at(-1)).toBeGreaterThan(1_000);
  });

  test('Ignored ends the repeating', async () => {
    const { bus, stream, clock, harness } = rig({ script: ok });
    bus.answers = ['Ignored'];
    stream.push(dispatch());
    await until('the result', () => bus.results.length === 1);
    await settle();
    clock.advance(60_000);
    await settle();
    expect(bus.results).toHaveLength(1);
    expect(harness.busy).toBe(0);
  });

  test('carry the traceparent and both times', async () => {
    const held = new Held();
    const { bus, stream, clock } = rig({ script: held.execute });
    const start = clock.now();
    stream.push(dispatch({ traceparent: '00-1-2-01' }));
    await until('its start', () => held.started.length === 1);
    clock.advance(1_234);
    held.finish('a');
    await until('the result', () => bus.results.length === 1);
    expect(bus.results[0]).toMatchObject({ startedAt: start, finishedAt: start + 1_234, traceparent: '00-1-2-01' });
  });

  test.each<[string, Partial<Parameters<typeof dispatch>[0]>, Executor, object]>([
    ['a type nobody knows', { type: 'resource' }, ok, { class: 'Invalid', reason: 'UnsupportedType' }],
    ['a type every object has', { type: 'constructor' }, ok, { class: 'Invalid', reason: 'UnsupportedType' }],
    ['an executor that throws', {}, () => Promise.reject(new Error('out of memory')), { class: 'Infra', reason: 'RunnerError', message: 'out of memory' }],
    ['too much output', {}, () => Promise.resolve({ ok: true, output: `"${'é'.repeat(LIMITS.outputBytes / 2)}"` }), { class: 'User', reason: 'OutputTooLarge' }],
  ])('%s is an error of the attempt', async (_, changes, script, error) => {
    const { bus, stream } = rig({ script });
    stream.push(dispatch(changes));
    await until('the result', () => bus.results.length === 1);
    expect(bus.results[0]?.outcome).toMatchObject({ ok: false, error });
  });
});

describe('deliveries', () => {
  test.each([2, 3, 17])('number %i of one dispatch is acknowledged, refused and never run', async (count) => {
    const held = new Held();
    const { bus, stream } = rig({ script: held.execute });
    stream.push(dispatch(), count);
    stream.push(dispatch({ node: 'next' }));
    await until('the next one', () => held.started.length === 1);
    expect(held.started[0]?.dispatch.node).toBe('next');
    expect(stream.acked).toBe(2);
    expect(bus.beats.filter((b) => b.refused !== undefined)).toEqual([expect.objectContaining({
      subject: 'rambo.beat.team.default.7', runner: 'runner-0', attempts: [], refused: [{ run: 'run-1', node: 'a', item: -1, attempt: 1, secret: 'secret-of-the-attempt' }],
    })]);
    expect(bus.results).toEqual([]);
  });

  test.each<[string, Uint8Array]>([
    ['nothing', Buffer.alloc(0)],
    ['no JSON', Buffer.from('{"v":1')],
    ['broken UTF-8', Buffer.from([0xff, 0xfe, 0x22])],
    ['another version', Buffer.from(JSON.stringify({ ...dispatch(), v: 2 }))],
    ['no secret', Buffer.from(JSON.stringify({ ...dispatch(), secret: undefined }))],
    ['a list', Buffer.from('[]')],
    ['8 MB of NULs', Buffer.alloc(8_000_000)],
  ])('with %s is acknowledged and left out; the harness goes on', async (_, data) => {
    const held = new Held();
    const { stream, bus, lines } = rig({ script: held.execute });
    stream.push(data);
    stream.push(dispatch({ node: 'good' }));
    await until('the good one', () => held.started.length === 1);
    expect(stream.acked).toBe(2);
    expect(held.started[0]?.dispatch.node).toBe('good');
    expect(lines.join('\n')).toContain('cannot be read');
    expect(bus.beats.every((b) => b.refused === undefined)).toBe(true);
  });

  test('an attempt that runs here is not started a second time', async () => {
    const held = new Held();
    const { stream, bus } = rig({ script: held.execute });
    stream.push(dispatch());
    stream.push(dispatch({ send: 1 }));
    stream.push(dispatch({ node: 'b' }));
    await until('both', () => held.started.length === 2);
    expect(held.started.map((e) => e.dispatch.node).sort()).toEqual(['a', 'b']);
    held.finish('a');
    await until('the result', () => bus.results.length === 1);
    await settle();
    expect(bus.results).toHaveLength(1);
  });

  test('never more are asked for than there are free slots', async () => {
    const held = new Held();
    const { stream, harness } = rig({ script: held.execute }, { slots: 3 });
    expect(stream.open).toBe(3);
    for (const node of ['a', 'b', 'c', 'd']) stream.push(dispatch({ node }));
    await until('three', () => held.started.length === 3);
    await settle();
    expect([harness.busy, stream.asked, stream.open]).toEqual([3, 3, 0]);
    held.finish('b');
    await until('the fourth', () => held.started.length === 4);
  });

  test('a stream that fails is asked again', async () => {
    let asked = 0;
    const held = new Held();
    const delivery = { data: Buffer.from(JSON.stringify(dispatch())), count: 1, ack: () => undefined };
    const next = (): Promise<typeof delivery | undefined> => {
      asked++;
      if (asked < 3) return Promise.reject(new Error('no responders'));
      return asked === 3 ? Promise.resolve(undefined) : asked === 4 ? Promise.resolve(delivery) : new Promise(() => undefined);
    };
    const { clock, lines } = rig({ script: held.execute }, { next, slots: 1 });
    await advanceUntil(clock, 'the node', () => held.started.length === 1);
    expect(lines.filter((line) => line.startsWith('could not ask for work'))).toHaveLength(2);
  });

  test('with `once` the first node that runs is the last; what is refused or unreadable does not count', async () => {
    let runs = 0;
    const { stream, bus, ended } = rig({ script: (e) => { runs++; return ok(e); } }, { once: true, slots: 8 });
    expect(stream.open).toBe(1);
    stream.push(Buffer.from('?'));
    stream.push(dispatch({ node: 'old' }), 2);
    stream.push(dispatch({ node: 'mine' }));
    stream.push(dispatch({ node: 'not-mine' }));
    await ended;
    expect(runs).toBe(1);
    expect(bus.results.map((r) => r.node)).toEqual(['mine']);
    expect(stream.acked).toBe(3);
    expect(bus.listening).toEqual([]);
  });
});

describe('beats', () => {
  test('say nothing of an attempt that is over within a moment: its result says more', async () => {
    const held = new Held();
    const { stream, bus, clock } = rig({ script: held.execute });
    stream.push(dispatch({ node: 'quick' }));
    stream.push(dispatch({ node: 'slow' }));
    await until('both', () => held.started.length === 2);
    bus.answers = Array.from({ length: 1_000 }, () => 'nothing' as const);
    held.finish('quick');
    await until('its result', () => bus.results.length === 1);
    clock.advance(20);
    expect(bus.beats.flatMap((b) => b.attempts.map((a) => a.node))).toEqual(['slow']);
    bus.answers = [];
  });

  test('come within 20 ms, then every 2 s for all attempts of a shard, and go on until the result is recorded', async () => {
    const held = new Held();
    const { stream, bus, clock } = rig({ script: held.execute }, { slots: 3 });
    stream.push(dispatch({ node: 'a' }));
    stream.push(dispatch({ node: 'b' }));
    stream.push(dispatch({ node: 'c', shard: 8 }));
    await until('all', () => held.started.length === 3);
    clock.advance(19);
    expect(bus.beats).toEqual([]);
    clock.advance(1);
    expect(bus.beats.map((b) => b.attempts.map((a) => a.node))).toEqual([['a', 'b'], ['c']]);
    bus.beats.length = 0;
    clock.advance(1_979);
    expect(bus.beats).toEqual([]);
    clock.advance(1);
    expect(bus.beats.map((b) => [b.subject, b.attempts.map((a) => a.node)])).toEqual([['rambo.beat.team.default.7', ['a', 'b']], ['rambo.beat.team.default.8', ['c']]]);
    clock.advance(8_000);
    expect(bus.beats).toHaveLength(10);

    bus.answers = ['nothing'];
    held.finish('c');
    await until('the lost result', () => bus.results.length === 1);
    bus.beats.length = 0;
    bus.answers = Array.from({ length: 1_000 }, () => 'Retry' as const);
    await advanceUntil(clock, 'a beat', () => bus.beats.length > 0);
    expect(bus.beats.map((b) => b.attempts.map((a) => a.node)).flat()).toContain('c');

    bus.answers = [];
    const before = bus.results.length;
    await advanceUntil(clock, 'the record', () => bus.results.length > before);
    await settle();
    bus.beats.length = 0;
    clock.advance(2_000);
    expect(bus.beats.map((b) => b.attempts.map((a) => a.node)).flat()).toEqual(['a', 'b']);
  });

  test('hold at most 1,024 attempts, which is what a receiver takes', async () => {
    const held = new Held();
    const { stream, bus, clock } = rig({ script: held.execute }, { slots: 1_030 });
    for (let item = 0; item < 1_030; item++) stream.push(dispatch({ item }));
    await until('all', () => held.started.length === 1_030);
    clock.advance(20);
    bus.beats.length = 0;
    clock.advance(1_980);
    expect(bus.beats.map((b) => b.attempts.length)).toEqual([1_024, 6]);
  });
});

describe('stopping', () => {
  const cancel = (attempts: readonly object[]) => ({ v: 1, attempts });

  test('a cancel stops the attempts it names, and no others', async () => {
    const held = new Held();
    const { stream, bus } = rig({ script: held.execute });
    stream.push(dispatch({ node: 'a' }));
    stream.push(dispatch({ node: 'b', attempt: 2 }));
    await until('both', () => held.started.length === 2);
    bus.send('rambo.cancel.team.default', 'no JSON');
    bus.send('rambo.cancel.team.default', { v: 2, attempts: [] });
    bus.send('rambo.cancel.team.default', cancel([
      { run: 'run-1', node: 'b', item: -1, attempt: 1, graceMs: 0 }, { run: 'run-2', node: 'a', item: -1, attempt: 1, graceMs: 0 },
      { run: 'run-1', node: 'a', item: 0, attempt: 1, graceMs: 0 },
    ]));
    await settle();
    expect(held.stopped()).toEqual([]);
    bus.send('rambo.cancel.team.default', cancel([{ run: 'run-1', node: 'b', item: -1, attempt: 2, graceMs: 0 }]));
    await until('the result', () => bus.results.length === 1);
    expect(bus.results[0]).toMatchObject({ node: 'b', outcome: { ok: false, error: { class: 'Cancelled', reason: 'Cancelled' } } });
    expect(held.stopped()).toEqual(['b']);
  });

  test('timeoutMs ends an attempt as Timeout, and not before', async () => {
    const held = new Held();
    const { stream, bus, clock } = rig({ script: held.execute });
    stream.push(dispatch({ timeoutMs: 5_000 }));
    await until('its start', () => held.started.length === 1);
    clock.advance(4_999);
    await settle();
    expect(bus.results).toEqual([]);
    clock.advance(1);
    expect(held.started[0]?.kill.aborted).toBe(true);
    await until('the result', () => bus.results.length === 1);
    expect(bus.results[0]?.outcome).toMatchObject({ ok: false, error: { class: 'Timeout', reason: 'Timeout', message: expect.stringContaining('5000 ms') } });
  });

  test('a drain does not wait for the open request; a dispatch that still arrives is handed back unstarted', async () => {
    const held = new Held();
    const { stream, bus, harness, ended } = rig({ script: held.execute });
    expect(stream.open).toBe(2);
    harness.drain(30_000);
    await ended;
    stream.push(dispatch());
    stream.push(dispatch({ node: 'old' }), 2);
    await settle();
    expect(held.started).toEqual([]);
    expect(stream.acked).toBe(2);
    expect(bus.beats.map(({ returned, refused }) => ({ returned: returned?.[0]?.node, refused: refused?.[0]?.node }))).toEqual([{ returned: 'a' }, { refused: 'old' }]);
  });

  test('a dispatch that was taken in the moment of the drain is handed back', async () => {
    const held = new Held();
    const { stream, bus, harness, ended } = rig({ script: held.execute });
    stream.push(dispatch());
    harness.drain(30_000);
    await ended;
    expect(held.started).toEqual([]);
    expect(bus.beats.map((b) => b.returned?.length)).toEqual([1]);
    expect(stream.acked).toBe(1);
  });

  test('a failing hand-back is only told', async () => {
    let arrive: (value: { data: Uint8Array; count: number; ack(): void }) => void = () => undefined;
    const { harness, ended, lines } = rig({ script: ok }, { slots: 1, next: () => new Promise((resolve) => { arrive = resolve; }) });
    harness.drain(0);
    await ended;
    arrive({ data: Buffer.from(JSON.stringify(dispatch())), count: 1, ack: () => { throw new Error('closed'); } });
    await settle();
    expect(lines.join('\n')).toContain('could not be handed back');
  });

  test('draining lets running nodes end and reports them, beating meanwhile; nothing new is taken', async () => {
    const held = new Held();
    const { stream, bus, clock, harness, ended } = rig({ script: held.execute });
    stream.push(dispatch());
    await until('its start', () => held.started.length === 1);
    harness.drain(30_000);
    harness.drain(0);
    clock.advance(20);
    bus.beats.length = 0;
    clock.advance(9_980);
    expect(bus.beats).toHaveLength(5);
    expect(held.started[0]?.signal.aborted).toBe(false);
    bus.answers = ['nothing', 'Retry'];
    held.finish('a');
    let over = false;
    void ended.then(() => { over = true; });
    await advanceUntil(clock, 'the end', () => over);
    expect(bus.results).toHaveLength(3);
    expect(bus.results[2]?.outcome).toEqual({ ok: true, output: '1' });
    expect(stream.acked).toBe(1);
  });

  test('after the grace of the drain running nodes are stopped and reported as lost', async () => {
    const held = new Held();
    const { stream, bus, clock, harness, ended } = rig({ script: held.execute });
    stream.push(dispatch());
    await until('its start', () => held.started.length === 1);
    harness.drain(30_000);
    clock.advance(29_999);
    expect(held.started[0]?.signal.aborted).toBe(false);
    clock.advance(1);
    await ended;
    expect(bus.results[0]?.outcome).toMatchObject({ ok: false, error: { class: 'Infra', reason: 'RunnerStopped' } });
  });
});

describe('logs', () => {
  test('are sent with the attempt they belong to; the secret stands in no line of our own log', async () => {
    const { bus, stream, lines, clock } = rig({ script: (e) => { e.log('hello '); e.log('world\n'); return ok(e); } });
    stream.push(dispatch());
    stream.push(dispatch({ node: 'old' }), 2);
    await until('the result', () => bus.results.length === 1);
    clock.advance(100);
    expect(bus.logs).toEqual([{ v: 1, run: 'run-1', node: 'a', item: -1, attempt: 1, secret: 'secret-of-the-attempt', offset: 0, text: 'hello world\n' }]);
    expect(bus.subjects).toContain('rambo.log.team.default.7');
    expect(lines.join('\n')).not.toContain('secret-of-the-attempt');
  });

  test('wait while the connection is away', async () => {
    const held = new Held();
    const { bus, stream, clock } = rig({ script: held.execute });
    stream.push(dispatch());
    await until('its start', () => held.started.length === 1);
    bus.connected = false;
    held.started[0]?.log('early\n');
    clock.advance(5_000);
    held.started[0]?.log('late\n');
    clock.advance(5_000);
    expect(bus.logs).toEqual([]);
    bus.connected = true;
    clock.advance(100);
    expect(bus.logs.map((l) => l.text)).toEqual(['early\nlate\n']);
  });
});

describe('a pod of one run at a time', () => {
  test('starts nothing of another run beside it, and hands that back after a moment', async () => {
    const held = new Held();
    const { bus, stream, clock } = rig({ script: held.execute }, { exclusive: true, slots: 4 });
    stream.push(dispatch({ node: 'a' }));
    stream.push(dispatch({ node: 'b' }));
    stream.push(dispatch({ run: 'run-2', node: 'c' }));
    await until('the first two to start', () => held.started.length === 2);
    await advanceUntil(clock, 'the third to go back', () => bus.beats.some((beat) => beat.returned?.[0]?.run === 'run-2'));
    expect(held.started.map((e) => e.dispatch.node).sort()).toEqual(['a', 'b']);
    held.finish('a');
    held.finish('b');
    await advanceUntil(clock, 'the end of both', () => bus.results.length === 2);
    stream.push(dispatch({ run: 'run-2', node: 'c' }));
    await advanceUntil(clock, 'the third to start', () => held.started.length === 3);
  });

  test('goes over to the run that waits as soon as it is free', async () => {
    const held = new Held();
    const { bus, stream } = rig({ script: held.execute }, { exclusive: true, slots: 4 });
    stream.push(dispatch({ node: 'a' }));
    stream.push(dispatch({ run: 'run-2', node: 'b' }));
    await until('the first to start', () => held.started.length === 1 && stream.acked === 2);
    held.finish('a');
    await until('the second to start', () => held.started.length === 2);
    expect(bus.beats.flatMap((beat) => beat.returned ?? [])).toEqual([]);
  });
});
