import fc from 'fast-check';
import { advance, createRun, liveAttempts, nodeRows, pendingTimers, runRow } from '../../engine/index.ts';
import { compiled, META, script, transform } from '../../engine/test-kit.ts';
import type { RunEvent } from '../../engine/types.ts';
import type { LoadedRun, NodeRunRow, RunWrite } from '../../prisma/store/types.ts';
import { Draft } from './draft.ts';
import { placeKey } from './leases.ts';
import type { LiveRun } from './live-run.ts';
import { fromRows, toWrite } from './rows.ts';

/** A bit of everything: items, retries, a wait, a pod, a handler, a node that fails. */
const DEFINITION = compiled([
  script('fan', { forEach: 'range(3)', retry: { limit: 1, backoff: { duration: '10ms' } } }),
  script('flaky', { retry: { limit: 2, backoff: { duration: '20ms' } }, timeout: '5s' }),
  { name: 'nap', type: 'wait', with: { duration: '1s' } },
  { name: 'box', type: 'container', with: { image: 'x' }, dependsOn: ['nap'] },
  script('shaky', { continueOnFailure: true }),
  transform('sum', '${{ nodes.fan.output }}'),
], { onExit: [script('bye')], outputs: { all: '${{ nodes.sum.output }}' } });
const RECORD = { definition: new Uint8Array([1]), definitionHash: 'd', specHash: 's', input: Buffer.from(JSON.stringify(META.input)), principal: 'ann' };

/** The rows a store would hold: what each write says, the later one wins. */
class Rows {
  #facts: RunWrite['create'];
  #progress: RunWrite['progress'] | undefined;
  readonly #nodes = new Map<string, NodeRunRow>();
  readonly timers = new Map<string, number>();

  apply(write: RunWrite): void {
    this.#facts ??= write.create;
    this.#progress = write.progress;
    for (const row of write.nodes) {
      const key = placeKey('', row.node, row.item);
      // Items are written once: null keeps what is stored.
      this.#nodes.set(key, { ...row, items: row.items ?? this.#nodes.get(key)?.items ?? null });
    }
    for (const { timer, dueAt } of write.timers) this.timers.set(timer, dueAt);
    for (const timer of write.clearTimers) this.timers.delete(timer);
  }

  loaded(version: number): LoadedRun {
    if (this.#facts === undefined || this.#progress === undefined) throw new Error('nothing was written');
    const { definition, ...facts } = this.#facts;
    return { run: { ...facts, ...this.#progress, version, projectedVersion: null }, definition, nodes: [...this.#nodes.values()] };
  }
}

class World {
  live: LiveRun;
  readonly rows = new Rows();
  now = 1_000;

  constructor() {
    this.live = { id: META.id, shard: 3, meta: META, compiled: DEFINITION, state: createRun(DEFINITION, META), source: 'cr', cr: { namespace: META.namespace, name: META.name, uid: META.id }, version: 0, sends: new Map(), traceparent: 't' };
    this.send({ type: 'Start' }, true);
  }

  send(event: RunEvent, first = false): void {
    const draft = new Draft(this.live, first ? RECORD : undefined);
    draft.add(advance(this.live.state, event, this.now));
    for (const at of liveAttempts(this.live.state)) if (at.status === 'Queued') this.live.sends.set(placeKey('', at.node, at.item), at.attempt);
    for (const row of draft.nodes.values()) if (row.status !== 'Queued' && row.status !== 'Running') this.live.sends.delete(placeKey('', row.node, row.item));
    this.rows.apply(toWrite(draft, this.now));
    this.live.version++;
  }

  reload(): LiveRun {
    return fromRows(this.rows.loaded(this.live.version), DEFINITION);
  }
}

/** What a run is to everybody else, in an order that does not depend on how it came about. */
function view(live: LiveRun): object {
  const byPlace = <T extends { node?: string; item?: number; timer?: string }>(list: Iterable<T>): readonly T[] =>
    [...list].sort((a, b) => `${a.timer ?? ''}${a.node ?? ''}/${a.item ?? 0}`.localeCompare(`${b.timer ?? ''}${b.node ?? ''}/${b.item ?? 0}`));
  return {
    run: runRow(live.state), nodes: byPlace(nodeRows(live.state)), attempts: byPlace(liveAttempts(live.state)), timers: byPlace(pendingTimers(live.state)), sends: [...live.sends].sort(), version: live.version, meta: live.meta, cr: live.cr, source: live.source, traceparent: live.traceparent,
  };
}

type Choice = { readonly kind: 'ok' | 'fail' | 'infra' | 'timer' | 'suspend' | 'resume' | 'cancel' | 'take' | 'hold'; readonly pick: number; readonly wait: number };

/** Turns a choice into an event that makes sense now, if there is one. */
function eventOf(world: World, { kind, pick }: Choice): RunEvent | undefined {
  const attempts = [...liveAttempts(world.live.state)];
  const at = attempts[pick % Math.max(1, attempts.length)];
  const timers = [...pendingTimers(world.live.state)];
  const timer = timers[pick % Math.max(1, timers.length)];
  if (kind === 'suspend') return { type: 'Suspend' };
  if (kind === 'resume') return { type: 'Resume' };
  if (kind === 'hold') return pick % 5 === 0 ? { type: 'Hold', why: 'old rows' } : undefined;
  if (kind === 'cancel') return pick % 5 === 0 ? { type: 'Cancel', mode: 'Graceful' } : undefined;
  if (kind === 'timer') {
    if (timer === undefined) return undefined;
    world.now = Math.max(world.now, timer.at);
    return { type: 'Timer', timer: timer.timer };
  }
  if (at === undefined) return undefined;
  const place = { node: at.node, item: at.item, attempt: at.attempt };
  if (kind === 'take') return { type: 'Taken', ...place, at: world.now };
  if (kind === 'ok') return { type: 'Succeeded', ...place, output: pick };
  return { type: 'Failed', ...place, error: { class: kind === 'fail' ? 'User' : 'Infra', reason: 'No', message: 'no' } };
}

const choice = fc.record<Choice>({ kind: fc.constantFrom('ok', 'ok', 'ok', 'fail', 'infra', 'timer', 'timer', 'suspend', 'resume', 'cancel', 'take', 'hold'), pick: fc.nat(50), wait: fc.nat(500) });

test('property: a run read back from its rows after any step is the run that was in memory', () => {
  fc.assert(fc.property(fc.array(choice, { maxLength: 40 }), (choices) => {
    const world = new World();
    for (const one of choices) {
      world.now += one.wait;
      const event = eventOf(world, one);
      if (event !== undefined) world.send(event);
      expect(view(world.reload())).toEqual(view(world.live));
    }
  }), { numRuns: 150 });
});

test('property: it goes on as the other would have: half of the steps on what was read back', () => {
  fc.assert(fc.property(fc.array(choice, { minLength: 2, maxLength: 30 }), fc.nat(), (choices, half) => {
    const [straight, broken] = [new World(), new World()];
    for (const [i, one] of choices.entries()) {
      if (i === half % choices.length) broken.live = broken.reload();
      for (const world of [straight, broken]) {
        world.now += one.wait;
        const attempts = [...liveAttempts(world.live.state)].sort((a, b) => `${a.node}/${a.item}`.localeCompare(`${b.node}/${b.item}`));
        const at = attempts[one.pick % Math.max(1, attempts.length)];
        if (at !== undefined) world.send(one.kind === 'fail' ? { type: 'Failed', node: at.node, item: at.item, attempt: at.attempt, error: { class: 'User', reason: 'No', message: 'no' } } : { type: 'Succeeded', node: at.node, item: at.item, attempt: at.attempt, output: one.pick });
      }
    }
    expect(view(broken.live)).toEqual(view(straight.live));
  }), { numRuns: 100 });
});

test('only waits and retries are timer rows; they go when they are over', () => {
  const world = new World();
  expect([...world.rows.timers.keys()]).toEqual(['wait:nap:-1:1']);
  world.send({ type: 'Failed', node: 'flaky', item: -1, attempt: 1, error: { class: 'User', reason: 'No', message: 'no' } });
  expect([...world.rows.timers.keys()].sort()).toEqual(['retry:flaky:-1:1', 'wait:nap:-1:1']);
  world.now += 5_000;
  world.send({ type: 'Timer', timer: 'wait:nap:-1:1' });
  world.send({ type: 'Timer', timer: 'retry:flaky:-1:1' });
  expect([...world.rows.timers.keys()]).toEqual([]);
});

test('what is stored once comes with the first write only, and the principal with its first entry', () => {
  const live: LiveRun = { id: META.id, shard: 3, meta: META, compiled: DEFINITION, state: createRun(DEFINITION, META), source: 'api', version: 0, sends: new Map() };
  const draft = new Draft(live, { ...RECORD, idempotency: { key: 'k', bodyHash: 'h' } });
  draft.add(advance(live.state, { type: 'Start' }, 5_000));
  const first = toWrite(draft, 5_000);
  expect(first.create).toMatchObject({ id: META.id, shard: 3, namespace: 'team-a', principal: 'ann', uid: null, source: 'api', createdAt: 5_000, idempotency: { key: 'k', bodyHash: 'h', expiresAt: 5_000 + 7 * 86_400_000 } });
  expect(first.events.map((event) => event.principal).filter((principal) => principal !== null)).toEqual(['ann']);
  const next = new Draft(live);
  next.add(advance(live.state, { type: 'Suspend' }, 6_000));
  expect(toWrite(next, 6_000).create).toBeUndefined();
});
