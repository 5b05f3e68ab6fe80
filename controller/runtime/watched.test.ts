import { PassThrough } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { nextTurn } from '../../platform/clock/index.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import { KubeError } from '../../platform/kube/errors.ts';
import type { KubeObject, WatchClient } from './reflector.ts';
import { watch, type Watched } from './watched.ts';

const object = (namespace: string, name: string): KubeObject => ({ metadata: { namespace, name, uid: `${namespace}-${name}`, resourceVersion: '1' } });

/** A server with these objects by path; a path in `broken` does not list. */
class World {
  readonly clock = new ManualClock();
  readonly asked: string[] = [];
  readonly told: string[] = [];
  readonly broken = new Set<string>();
  readonly items = new Map<string, readonly KubeObject[]>();

  watch(namespaces: readonly string[]): Watched {
    const client: WatchClient = {
      json: async ({ path }) => {
        this.asked.push(path);
        if (this.broken.has(path)) throw new KubeError(500, 'InternalError', 'broken');
        return { metadata: { resourceVersion: '1' }, items: this.items.get(path) ?? [] };
      },
      stream: async (_request, signal) => {
        const stream = Object.assign(new PassThrough(), { complete: true });
        signal.addEventListener('abort', () => { stream.destroy(); });
        return stream as unknown as IncomingMessage;
      },
    };
    const handler = {
      changed: (now: KubeObject) => { this.told.push(now.metadata.uid); }, deleted: (last: KubeObject) => { this.told.push(`-${last.metadata.uid}`); },
      synced: () => { this.told.push('synced'); },
    };
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    return watch({ client, resource: 'things', handler, clock: this.clock, random: () => 0.5, log }, (namespace) => (namespace === undefined ? '/all' : `/in/${namespace}`), namespaces);
  }
}

test('without names one watch sees everything', async () => {
  const world = new World();
  world.items.set('/all', [object('a', 'x'), object('b', 'y')]);
  const watched = world.watch([]);
  await watched.start();
  expect([world.asked, world.told, watched.get('b/y')?.metadata.uid]).toEqual([['/all'], ['a-x', 'b-y', 'synced'], 'b-y']);
  await watched.stop();
});

test('with names only these are asked for, each once, and all are found', async () => {
  const world = new World();
  for (const name of ['a', 'b', 'c']) world.items.set(`/in/${name}`, [object(name, 'x')]);
  const watched = world.watch(['a', 'b', 'a']);
  await watched.start();
  expect(world.asked).toEqual(['/in/a', '/in/b']);
  expect([...watched.values()].map(({ metadata }) => metadata.uid)).toEqual(['a-x', 'b-x']);
  expect(['a/x', 'b/x', 'c/x', 'x'].map((key) => watched.get(key)?.metadata.uid)).toEqual(['a-x', 'b-x', undefined, undefined]);
  await watched.stop();
});

test('while one has not listed nothing is taken for complete', async () => {
  const world = new World();
  world.broken.add('/in/b');
  for (const name of ['a', 'b']) world.items.set(`/in/${name}`, [object(name, 'x')]);
  const watched = world.watch(['a', 'b']);
  const started = watched.start();
  await nextTurn();
  expect(world.told).toEqual(['a-x']);
  world.broken.clear();
  world.clock.advance(10_000);
  await started;
  expect(world.told).toEqual(['a-x', 'b-x', 'synced']);
  await watched.stop();
});
