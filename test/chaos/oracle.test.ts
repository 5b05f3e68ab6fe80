import { violations, type World } from './oracle.ts';

/* Each promise broken once in a doctored world: an oracle that cannot fail proves nothing. */

const RUN = 'run-1';
const place = { run: RUN, node: 'a', item: -1 };

function world(over: Partial<World> = {}): World {
  return {
    runs: [{ id: RUN, phase: 'Succeeded', source: 'cr', name: 'first', done: 1, total: 1 }],
    nodes: [{ ...place, status: 'Succeeded', attempt: 2 }],
    attempts: [{ ...place, attempt: 1, status: 'Failed', reason: 'RunnerGone' }, { ...place, attempt: 2, status: 'Succeeded', reason: null }],
    events: [{ run: RUN, seq: 1, kind: 'RunStarted', node: null, item: null, attempt: null }, { ...place, seq: 2, kind: 'NodeSucceeded', attempt: 2 }, { run: RUN, seq: 3, kind: 'RunSucceeded', node: null, item: null, attempt: null }],
    objects: [{ uid: RUN, phase: 'Succeeded', progress: '1/1' }], outbox: 0, pods: [],
    ledger: [{ ...place, key: 'k', attempt: 1 }, { ...place, key: 'k', attempt: 2 }], effects: new Map([['k', 1]]),
    recorded: [{ ...place, attempt: 2 }], accepted: new Map([[RUN, 'Succeeded']]), staleWrites: [], natsLost: false, seenFinal: new Map(), ...over,
  };
}

const [run] = world().runs;
const [node] = world().nodes;
const [first, second] = world().attempts;
const [, ended] = world().events;

test('a world in order has nothing wrong', () => {
  expect(violations(world())).toEqual([]);
  expect(violations(world({ seenFinal: new Map([[RUN, 'Succeeded']]) }))).toEqual([]);
});

test.each<[string, Partial<World>, string]>([
  ['an attempt is missing', { attempts: [{ ...second, attempt: 2 } as never] }, 'I1'],
  ['an attempt is there twice', { attempts: [first, first, second] as never }, 'I1'],
  ['two attempts succeeded', { attempts: [{ ...first, status: 'Succeeded' }, second] as never }, 'I1'],
  ['the node stands at another attempt', { nodes: [{ ...node, attempt: 3 }] as never }, 'I1'],
  ['history has a gap', { events: [{ ...ended, seq: 1 }, { ...ended, kind: 'RunSucceeded', seq: 3 }] as never }, 'I1'],
  ['an end is recorded twice', { events: [{ ...ended, seq: 1 }, { ...ended, seq: 2 }] as never }, 'I1'],
  ['a final phase changed', { seenFinal: new Map([[RUN, 'Failed']]) }, 'I2'],
  ['a node is open in a run that ended', { nodes: [{ ...node, status: 'Running' }] as never }, 'I2'],
  ['an effect happened twice', { effects: new Map([['k', 2]]) }, 'I3'],
  ['an attempt ran twice', { ledger: [{ ...place, key: 'k', attempt: 1 }, { ...place, key: 'k', attempt: 1 }] }, 'I3'],
  ['the key changed between attempts', { ledger: [{ ...place, key: 'k', attempt: 1 }, { ...place, key: 'l', attempt: 2 }] }, 'I3'],
  ['a run does not end', { runs: [{ ...run, phase: 'Running' }] as never, objects: [] }, 'I4'],
  ['a run ends otherwise', { accepted: new Map([[RUN, 'Failed']]) }, 'I4'],
  ['a pod outlives its run', { pods: [{ run: RUN, name: 'p' }] }, 'I5'],
  ['an accepted run is gone', { accepted: new Map([[RUN, 'Succeeded'], ['run-2', 'Succeeded']]) }, 'I6'],
  ['a recorded result is gone', { recorded: [{ ...place, attempt: 3 }] }, 'I6'],
  ['a recorded result was counted as lost', { attempts: [{ ...first, reason: 'RunnerLost' }, second] as never, recorded: [{ ...place, attempt: 1 }] }, 'I6'],
  ['the outbox is not empty', { outbox: 1 }, 'I7'],
  ['the status says another phase', { objects: [{ uid: RUN, phase: 'Running', progress: '1/1' }] }, 'I7'],
  ['the status says another progress', { objects: [{ uid: RUN, phase: 'Succeeded', progress: '0/1' }] }, 'I7'],
  ['a write under a stale epoch', { staleWrites: ['run-1 by x'] }, 'I10'],
])('%s', (_, over, invariant) => {
  const found = violations(world(over));
  expect(found.length).toBeGreaterThan(0);
  expect(found.every((text) => text.startsWith(invariant))).toBe(true);
});
