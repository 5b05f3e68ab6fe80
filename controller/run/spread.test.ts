import fc from 'fast-check';
import { RUN_SHARDS, SINGLETON_SHARD } from '../../platform/messages/subjects.ts';
import { fairShare, spread } from './spread.ts';

/** A shard table and its replicas; one step is what one replica does when it looks. */
class World {
  readonly owner = new Map<number, string | undefined>(Array.from({ length: RUN_SHARDS + 1 }, (_, id) => [id, undefined]));
  readonly live = new Set<string>();
  given = 0;
  taken = 0;

  of(name: string): number[] {
    return [...this.owner].filter(([, owner]) => owner === name).map(([id]) => id);
  }

  runsOf(name: string): number {
    return this.of(name).filter((id) => id !== SINGLETON_SHARD).length;
  }

  step(name: string): void {
    const mine = this.of(name);
    const free = [...this.owner].filter(([, owner]) => owner === undefined).map(([id]) => id);
    const runs = free.filter((id) => id !== SINGLETON_SHARD);
    const { give, take } = spread({ mine, replicas: this.live.size, free: runs.length, singletonFree: free.includes(SINGLETON_SHARD) });
    expect(give.every((id) => mine.includes(id) && id !== SINGLETON_SHARD)).toBe(true);
    expect(take.runs).toBeLessThanOrEqual(runs.length);
    for (const id of give) this.owner.set(id, undefined);
    for (const id of [...runs.slice(0, take.runs), ...(take.singleton ? [SINGLETON_SHARD] : [])]) this.owner.set(id, name);
    this.given += give.length;
    this.taken += take.runs;
  }

  /** Everybody looks `times` times, each time in another order. */
  rounds(times: number, seed: number): void {
    for (let i = 0; i < times; i++) {
      const names = [...this.live];
      for (let at = names.length; at > 0; at--) this.step(names.splice((seed * (i + 7) + at * 31) % at, 1)[0] ?? '');
    }
  }

  lose(name: string): void {
    this.live.delete(name);
    for (const id of this.of(name)) this.owner.set(id, undefined);
  }
}

const change = fc.record({ kind: fc.constantFrom('join', 'lose'), name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), seed: fc.nat(1_000) });

test('whoever comes and goes: after two looks of everybody all shards are owned, nobody has more than a fair share, and it stays so', () => {
  fc.assert(fc.property(fc.array(change, { minLength: 1, maxLength: 12 }), (changes) => {
    const world = new World();
    for (const { kind, name, seed } of changes) {
      if (kind === 'join') world.live.add(name);
      else world.lose(name);
      if (world.live.size === 0) continue;
      world.rounds(2, seed);
      expect([...world.owner.values()].every((owner) => owner !== undefined && world.live.has(owner))).toBe(true);
      for (const replica of world.live) expect(world.runsOf(replica)).toBeLessThanOrEqual(fairShare(world.live.size));
      const { given, taken } = world;
      world.rounds(1, seed);
      expect([world.given, world.taken]).toEqual([given, taken]);
    }
  }));
});

test('no shard moves but what is over a share or has lost its owner', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 9 }), fc.boolean(), fc.nat(1_000), (size, joins, seed) => {
    const world = new World();
    for (let i = 0; i < size; i++) world.live.add(`r${i}`);
    world.rounds(2, seed);
    const before = new Map(world.owner);
    const orphaned = joins || size === 1 ? 0 : world.runsOf('r0');
    if (joins) world.live.add('new');
    else if (size > 1) world.lose('r0');
    const share = fairShare(world.live.size);
    const surplus = [...world.live].reduce((sum, name) => sum + Math.max(0, [...before].filter(([id, owner]) => owner === name && id !== SINGLETON_SHARD).length - share), 0);
    world.rounds(3, seed);
    const moved = [...world.owner].filter(([id, owner]) => id !== SINGLETON_SHARD && before.get(id) !== owner).length;
    expect(moved).toBe(orphaned + surplus);
  }));
});

test.each([[1, 256], [2, 128], [3, 86], [5, 52], [256, 1], [300, 1]])('with %d replicas each has at most %d', (replicas, share) => {
  expect(fairShare(replicas)).toBe(share);
});

test('where all is taken a replica wants nothing, and the singletons are nobody\'s surplus', () => {
  const mine = [...Array.from({ length: 128 }, (_, id) => id), SINGLETON_SHARD];
  expect(spread({ mine, replicas: 2, free: 0, singletonFree: false })).toEqual({ give: [], take: { runs: 0, singleton: false } });
  expect(spread({ mine: [], replicas: 300, free: 0, singletonFree: false })).toEqual({ give: [], take: { runs: 0, singleton: false } });
});
