import fc from 'fast-check';
import { createRun, advance, runRow } from '../../engine/index.ts';
import { compiled, META, script } from '../../engine/test-kit.ts';
import type { RunEvent } from '../../engine/types.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import type { OutboxRow } from '../../prisma/store/types.ts';
import { Dispatcher } from './dispatcher.ts';
import type { Draft, Settled } from './draft.ts';
import { Leases } from './leases.ts';
import type { LiveRun } from './live-run.ts';
import { LiveRuns } from './live-runs.ts';
import { RunLoop } from './loop.ts';
import type { PersistResult, Work } from './ports.ts';
import { TimerWheel } from './wheel.ts';

const DEFINITION = compiled([script('a'), script('b', { dependsOn: ['a'] })]);
const RECORD = { definition: new Uint8Array(), definitionHash: 'd', specHash: 's', input: new Uint8Array(), principal: 'ann' };
/** Waits that real time needs: the loop begins a round in the next turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

function liveRun(id: string): LiveRun {
  const meta = { ...META, id };
  return { id, shard: Number(id.slice(-1)), meta, compiled: DEFINITION, state: createRun(DEFINITION, meta), source: 'api', version: 0, sends: new Map() };
}

/** What the database does with the next commit: nothing special, fail before, fail after (the answer is lost), or a result of its own. */
type Outcome = 'ok' | 'fails' | 'answer lost' | ((drafts: readonly Draft[]) => Partial<PersistResult>);

function world() {
  const clock = new ManualClock();
  const leases = new Leases(clock);
  const dispatcher = new Dispatcher(leases, () => 100);
  const submit = (work: Work): void => { loop.submit(work); };
  const wheel = new TimerWheel(clock, (run, timer) => { submit({ run, event: { type: 'Timer', timer } }); });
  const runs = new LiveRuns(wheel, leases, dispatcher, (run) => { submit({ run, event: { type: 'Hold', why: 'old rows' } }); });
  const w = {
    outcomes: [] as Outcome[], commits: [] as { runs: string[]; published: readonly string[] }[], sent: [] as string[], lost: [] as number[], again: [] as string[], outbox: [] as OutboxRow[],
    owned: (_shard: number): boolean => true, read: undefined as (() => LiveRun) | undefined, loads: 0, readable: true, failures: [] as string[], stored: new Set<string>(), ended: new Set<string>(),
    /** Whether a commit is under way: nothing may leave then. */
    committing: false, early: [] as string[],
  };
  const left = (what: string): void => {
    if (w.committing) w.early.push(what);
    w.sent.push(what);
  };
  const loop = new RunLoop({
    clock, leases, dispatcher, wheel, runs, metrics: { batch: () => undefined, advance: () => undefined, failed: (reason) => { w.failures.push(reason); } }, owns: (shard) => w.owned(shard), shardOf: (run) => Number(run.slice(-1)),
    sendAgain: (row) => { w.again.push(row.id); }, lost: (shards) => { w.lost.push(...shards); }, log: { warn: () => undefined, error: () => undefined },
    persistence: {
      persist: async (drafts, published) => {
        w.committing = true;
        await turn();
        w.committing = false;
        const outcome = w.outcomes.shift() ?? 'ok';
        if (outcome === 'fails') throw new UnavailableError('Postgres');
        w.commits.push({ runs: drafts.map((draft) => draft.live.id), published });
        for (const { live } of drafts) w.stored.add(live.id);
        if (outcome === 'answer lost') throw new UnavailableError('Postgres');
        const outboxIds = new Map(drafts.map((draft) => [draft.live.id, draft.outbox.map((entry) => `${draft.live.id}/${entry.node}`)]));
        return { lostShards: [], conflicts: [], poisoned: new Map(), outboxIds, ...(outcome === 'ok' ? {} : outcome(drafts)) };
      },
      load: (ids) => {
        w.loads++;
        if (!w.readable) return Promise.reject(new UnavailableError('Postgres'));
        return Promise.resolve(ids.filter((id) => w.stored.has(id) && !w.ended.has(id)).map((id) => {
          if (w.read !== undefined) return w.read();
          const live = liveRun(id);
          advance(live.state, { type: 'Start' }, clock.now());
          return live;
        }));
      },
      outbox: (ids) => Promise.resolve(w.outbox.filter((row) => ids.includes(row.runId))),
    },
    after: {
      send: (out, done) => {
        left(`dispatch ${out.live.id}/${out.node}`);
        done();
      },
      cancel: (live, node) => { left(`cancel ${live.id}/${node}`); },
      changed: (draft, finished) => {
        if (finished) w.ended.add(draft.live.id);
        left(`${finished ? 'finished' : 'changed'} ${draft.live.id}`);
      },
    },
  });
  const settled = new Map<string, Settled[]>();
  const note = (name: string) => (value: Settled): void => {
    if (w.committing) w.early.push(`settled ${name}`);
    settled.set(name, [...(settled.get(name) ?? []), value]);
  };
  const start = (id: string, name = `start ${id}`): void => {
    loop.submit({ run: id, event: { type: 'Start' }, create: { live: liveRun(id), record: RECORD }, settle: note(name) });
  };
  const event = (run: string, given: RunEvent, name: string): void => { loop.submit({ run, event: given, settle: note(name) }); };
  /** Until nothing moves any more. */
  const quiet = async (): Promise<void> => { for (let i = 0; i < 12; i++) await turn(); };
  const of = (name: string): readonly string[] => (settled.get(name) ?? []).map((value) => value.status);
  return { w, clock, loop, runs, leases, settled, start, event, quiet, of, note };
}

const succeeded = (node: string, attempt = 1): RunEvent => ({ type: 'Succeeded', node, item: -1, attempt, output: 1 });

test('what arrives in one turn shares a commit; answers, dispatches and notices come after it, never before', async () => {
  const x = world();
  x.start('run-1');
  x.start('run-2');
  await x.quiet();
  expect(x.w.commits).toHaveLength(1);
  expect([x.of('start run-1'), x.of('start run-2')]).toEqual([['Committed'], ['Committed']]);
  expect(x.w.sent).toEqual(expect.arrayContaining(['dispatch run-1/a', 'dispatch run-2/a', 'changed run-1', 'changed run-2']));
  expect(x.w.early).toEqual([]);
});

test('the commit that takes a result carries the next dispatch; a run that ended leaves memory', async () => {
  const x = world();
  x.start('run-1');
  await x.quiet();
  x.event('run-1', succeeded('a'), 'a');
  await x.quiet();
  expect(x.w.sent).toContain('dispatch run-1/b');
  expect(x.w.commits).toHaveLength(2);
  x.event('run-1', succeeded('b'), 'b');
  x.event('run-1', succeeded('b'), 'b again');
  await x.quiet();
  expect(x.w.sent).toContain('finished run-1');
  expect(x.runs.size).toBe(0);
  // The repeat rode in the same batch: it is answered with that commit, not before it.
  expect([x.of('b'), x.of('b again')]).toEqual([['Committed'], ['Unchanged']]);
});

test('rows of dispatches that left ride on the next commit, or go on their own a little later', async () => {
  const x = world();
  x.start('run-1');
  await x.quiet();
  x.event('run-1', succeeded('a'), 'a');
  await x.quiet();
  expect(x.w.commits.at(-1)?.published).toEqual(['run-1/a']);
  x.clock.advance(250);
  await x.quiet();
  expect(x.w.commits.at(-1)).toEqual({ runs: [], published: ['run-1/b'] });
});

test.each<[Outcome, boolean]>([['fails', false], ['answer lost', true]])('a commit that %s: everybody is told to try again, nothing leaves, and the runs are read again', async (outcome, stored) => {
  const x = world();
  x.w.outcomes.push(outcome);
  x.w.outbox.push({ id: 'row', runId: 'run-1', shard: 1, node: 'a', item: -1, attempt: 1, send: 1 } as OutboxRow);
  x.start('run-1');
  await x.quiet();
  expect(x.of('start run-1')).toEqual(['Retry']);
  expect([x.w.sent, x.runs.size, x.w.failures]).toEqual([[], 0, ['unavailable']]);
  x.clock.advance(250);
  await x.quiet();
  expect(x.runs.get('run-1') !== undefined).toBe(stored);
  expect(x.w.again).toEqual(['row']);
});

test.each<[Outcome, boolean]>([['fails', false], ['answer lost', true]])('a commit that ends an attempt and %s: the attempt is stopped only if the rows say that it ended', async (outcome, ended) => {
  const x = world();
  x.start('run-1');
  await x.quiet();
  x.w.outcomes.push(outcome);
  if (ended) x.w.ended.add('run-1');
  x.event('run-1', { type: 'Cancel', mode: 'Now' }, 'cancel');
  await x.quiet();
  expect(x.w.sent).not.toContain('cancel run-1/a');
  x.clock.advance(250);
  await x.quiet();
  expect(x.w.sent.includes('cancel run-1/a')).toBe(ended);
});

test('reading again goes on for as long as the database is away', async () => {
  const x = world();
  x.w.outcomes.push('answer lost');
  x.w.readable = false;
  x.start('run-1');
  await x.quiet();
  x.clock.advance(250);
  await x.quiet();
  expect(x.runs.size).toBe(0);
  x.w.readable = true;
  x.clock.advance(1_000);
  await x.quiet();
  expect(x.runs.size).toBe(1);
});

test('a batch of a shard that moved is nobody\'s: all are told that it moved, the keeper hears of it', async () => {
  const x = world();
  x.w.outcomes.push(() => ({ lostShards: [1] }));
  x.start('run-1');
  x.start('run-2');
  await x.quiet();
  expect(x.settled.get('start run-1')?.[0]).toMatchObject({ status: 'Retry', moved: true });
  expect([x.w.sent, x.w.lost, x.w.failures]).toEqual([[], [1], ['fenced', 'fenced']]);
});

test('one run that changed meanwhile, one that cannot be written: the others of the batch are not touched', async () => {
  const x = world();
  x.w.outcomes.push(() => ({ conflicts: ['run-1'], poisoned: new Map([['run-2', 'a NUL in a text']]) }));
  for (const id of ['run-1', 'run-2', 'run-3']) x.start(id);
  await x.quiet();
  expect([x.of('start run-1'), x.of('start run-2'), x.of('start run-3')]).toEqual([['Retry'], ['Poisoned'], ['Committed']]);
  expect(x.w.sent.filter((what) => what.startsWith('dispatch'))).toEqual(['dispatch run-3/a']);
  expect(x.w.failures).toEqual(['conflict', 'poison']);
});

test('an event of a run nobody knows, of one that is elsewhere, of one that cannot be read', async () => {
  const x = world();
  x.event('run-7', succeeded('a'), 'nobody');
  await x.quiet();
  expect(x.of('nobody')).toEqual(['Unknown']);
  x.w.owned = (shard) => shard !== 8;
  x.event('run-8', succeeded('a'), 'elsewhere');
  await x.quiet();
  expect(x.settled.get('elsewhere')?.[0]).toMatchObject({ status: 'Retry', moved: true });
  x.w.readable = false;
  x.event('run-9', succeeded('a'), 'unread');
  x.start('run-1');
  await x.quiet();
  // What cannot be read does not hold up what can.
  expect([x.of('unread'), x.of('start run-1')]).toEqual([['Retry'], ['Committed']]);
});

test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])('an event handed in %d steps after the answer to the last one is not left lying', async (steps) => {
  const x = world();
  x.loop.submit({ run: 'run-1', event: { type: 'Start' }, create: { live: liveRun('run-1'), record: RECORD }, settle: () => {
    void (async () => {
      for (let i = 0; i < steps; i++) await Promise.resolve();
      x.event('run-1', { type: 'Suspend' }, 'late');
    })();
  } });
  await x.quiet();
  expect(x.of('late')).toHaveLength(1);
});

test('stopping refuses what comes, and settles what came', async () => {
  const x = world();
  x.start('run-1');
  const stopped = x.loop.stop();
  x.start('run-2');
  await stopped;
  expect([x.of('start run-1'), x.of('start run-2')]).toEqual([['Committed'], ['Retry']]);
});

test('property: whatever the database does, everyone is answered exactly once, nothing leaves before a commit, and no attempt is dispatched twice without a reading between', async () => {
  const outcome = fc.constantFrom<Outcome>('ok', 'ok', 'ok', 'fails', 'answer lost');
  const action = fc.record({ run: fc.integer({ min: 1, max: 4 }), node: fc.constantFrom('a', 'b'), kind: fc.constantFrom('start', 'ok', 'fail', 'cancel'), wait: fc.boolean() });
  await fc.assert(fc.asyncProperty(fc.array(outcome, { maxLength: 8 }), fc.array(action, { minLength: 1, maxLength: 20 }), async (outcomes, actions) => {
    const x = world();
    x.w.outcomes.push(...outcomes);
    for (const [i, { run, node, kind, wait }] of actions.entries()) {
      const id = `run-${run}`;
      if (kind === 'start' && x.runs.get(id) === undefined && !x.w.stored.has(id)) x.start(id, `${i}`);
      else if (kind === 'cancel') x.event(id, { type: 'Cancel', mode: 'Now' }, `${i}`);
      else if (kind === 'fail') x.event(id, { type: 'Failed', node, item: -1, attempt: 1, error: { class: 'User', reason: 'No', message: 'no' } }, `${i}`);
      else x.event(id, succeeded(node), `${i}`);
      if (wait) await x.quiet();
    }
    await x.quiet();
    x.clock.advance(2_000);
    await x.quiet();
    await x.loop.stop();
    for (const i of actions.keys()) expect(x.of(`${i}`)).toHaveLength(1);
    expect(x.w.early).toEqual([]);
    if (outcomes.every((one) => one === 'ok')) {
      const dispatched = x.w.sent.filter((what) => what.startsWith('dispatch'));
      expect(new Set(dispatched).size).toBe(dispatched.length);
    }
  }), { numRuns: 60 });
}, 60_000);

describe('a run that waits for a person', () => {
  test('hears no result, sends nothing again, and gets its lease back with the decision', async () => {
    const x = world();
    x.start('run-1');
    await x.quiet();
    x.event('run-1', { type: 'Hold', why: 'old rows' }, 'hold');
    await x.quiet();
    expect(x.of('hold')).toEqual(['Committed']);
    expect(x.leases.size).toBe(0);
    const before = x.w.sent.length;
    x.event('run-1', succeeded('a'), 'result');
    x.loop.requestResend('run-1', 'a', -1, 1);
    await x.quiet();
    expect(x.of('result')).toEqual(['Unchanged']);
    expect(x.w.sent).toHaveLength(before);
    x.event('run-1', { type: 'Resume' }, 'resume');
    await x.quiet();
    expect(x.of('resume')).toEqual(['Committed']);
    expect(x.leases.get('run-1', 'a', -1)).toMatchObject({ attempt: 1 });
    x.event('run-1', succeeded('a'), 'late');
    await x.quiet();
    expect(x.w.sent).toContain('dispatch run-1/b');
  });

  test('whose rows were found to be old is held before anything else, and durably, whatever becomes of the first commit', async () => {
    const x = world();
    const old = (): LiveRun => {
      const live = liveRun('run-1');
      advance(live.state, { type: 'Start' }, 1);
      return Object.assign(live, { suspect: 'its object says more' });
    };
    x.w.stored.add('run-1');
    x.w.read = old;
    x.w.outcomes.push('fails');
    x.runs.restore(old());
    expect(x.leases.size).toBe(0);
    await x.quiet();
    expect(x.w.commits).toEqual([]);
    x.clock.advance(250);
    await x.quiet();
    expect(x.w.commits.map((commit) => commit.runs)).toEqual([['run-1']]);
    const held = x.runs.get('run-1');
    expect(held === undefined ? undefined : runRow(held.state)).toMatchObject({ review: 'its object says more' });
    expect(x.w.sent.filter((what) => what.startsWith('dispatch'))).toEqual([]);
  });

  test('that is cancelled ends in the commit that hears it', async () => {
    const x = world();
    x.start('run-1');
    await x.quiet();
    x.event('run-1', { type: 'Hold', why: 'old rows' }, 'hold');
    await x.quiet();
    x.event('run-1', { type: 'Cancel', mode: 'Now' }, 'cancel');
    await x.quiet();
    expect(x.w.sent).toContain('finished run-1');
    expect([x.leases.size, x.runs.size]).toEqual([0, 0]);
  });

  test('what the status may say is what was committed, not what is on its way', async () => {
    const x = world();
    const live = Object.assign(liveRun('run-1'), { cr: { namespace: 'n', name: 'r', uid: 'run-1' } });
    x.loop.submit({ run: 'run-1', event: { type: 'Start' }, create: { live, record: RECORD } });
    await x.quiet();
    x.event('run-1', succeeded('a'), 'a');
    while (!x.w.committing) await turn();
    expect(live.shown).toMatchObject({ counts: { done: 0 } });
    await x.quiet();
    expect(live.shown).toMatchObject({ counts: { done: 1 } });
  });
});
