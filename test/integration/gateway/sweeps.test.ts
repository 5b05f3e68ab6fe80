import { randomUUID } from 'node:crypto';
import { sweepOrphans, ORPHAN_AGE_MS } from '../../../api/file/sweep.ts';
import { IDEMPOTENCY_TTL_MS, sweepAnswers } from '../../../api/operations/idempotency.ts';
import { EVENT_AGE_MS, EVENTS_KEPT, sweepProjectEvents } from '../../../api/project/sweep.ts';
import { openObjects, type ObjectStore } from '../../../platform/objects/index.ts';
import { testObjects, type TestObjects } from '../../harness/objects.ts';
import { type Person, Site } from './site.ts';

/** What the API takes away between requests, against a real Postgres and a real object store. */

let site: Site;
let server: TestObjects;
let objects: ObjectStore;
let who: Person;
beforeAll(async () => {
  server = await testObjects();
  objects = openObjects(server.options);
  site = await Site.start(() => ({ objects }));
  who = await site.person('MANAGER');
});
afterAll(async () => {
  await site.stop();
  objects.close();
  await server.stop();
});

const at = (ms: number): { now(): number } => ({ now: () => Date.now() + ms });

test('idempotent answers go when their time is over, in batches, and the key is free again', async () => {
  const create = (name: string): Promise<{ body: { id: string } }> => site.rest(who, 'POST', '/projects', { name }, { 'idempotency-key': 'k' });
  const [first, again] = [await create('a'), await create('a')];
  expect(again.body.id).toBe(first.body.id);
  const expiresAt = new Date(Date.now() + IDEMPOTENCY_TTL_MS + 60_000);
  await site.gateway.read((db) => db.apiIdempotency.createMany({ data: Array.from({ length: 2_500 }, (_, i) => ({ principal: 'p', key: `${i}`, operation: 'o', bodyHash: 'h', answer: {}, expiresAt: new Date(0) })) }));
  await site.gateway.read((db) => db.apiIdempotency.create({ data: { principal: 'p', key: 'later', operation: 'o', bodyHash: 'h', answer: {}, expiresAt } }));
  expect(await sweepAnswers({ gateway: site.gateway, clock: at(0) })).toBe(2_500);
  expect((await create('a')).body.id).toBe(first.body.id);
  expect(await sweepAnswers({ gateway: site.gateway, clock: at(IDEMPOTENCY_TTL_MS) })).toBe(1);
  expect((await create('b')).body.id).not.toBe(first.body.id);
  expect(await site.gateway.read((db) => db.apiIdempotency.count({ where: { principal: 'p' } }))).toBe(1);
});

test('the history of a project loses what is old, but never its last 1,000 changes; other projects keep theirs', async () => {
  const [long, short] = [await site.project(who), await site.project(who)];
  const fill = async (projectId: string, count: number, old: number): Promise<void> => {
    await site.gateway.read(async (db) => {
      await db.projectEvent.deleteMany({ where: { projectId } });
      await db.projectEvent.createMany({ data: Array.from({ length: count }, (_, i) => ({ projectId, seq: i + 1, at: new Date(i < old ? Date.now() - EVENT_AGE_MS - 60_000 : Date.now()), kind: 'UPDATED', entity: 'Task', entityId: randomUUID(), principal: 'p' })) });
      await db.project.update({ where: { id: projectId }, data: { seq: count } });
    });
  };
  await fill(long.id, 3_500, 2_300);
  await fill(short.id, EVENTS_KEPT, EVENTS_KEPT);
  const left = (projectId: string): Promise<readonly number[]> => site.gateway.read(async (db) => (await db.projectEvent.findMany({ where: { projectId }, orderBy: { seq: 'asc' }, select: { seq: true } })).map(({ seq }) => seq));
  expect(await sweepProjectEvents({ gateway: site.gateway, clock: at(0) })).toBe(2_300);
  expect([(await left(long.id))[0], (await left(long.id)).length, (await left(short.id)).length]).toEqual([2_301, 1_200, EVENTS_KEPT]);
  expect(await sweepProjectEvents({ gateway: site.gateway, clock: at(EVENT_AGE_MS + 120_000) })).toBe(200);
  expect((await left(long.id))[0]).toBe(2_501);
  expect(await sweepProjectEvents({ gateway: site.gateway, clock: at(10 * EVENT_AGE_MS) })).toBe(0);
});

test('content of a project that was deleted for good goes after a day; that of others, and what is none of ours, stays', async () => {
  const [kept, gone] = [await site.project(who), randomUUID()];
  const keys = [`projects/${kept.id}/files/a`, `projects/${gone}/files/b`, `projects/${gone}/files/c`, 'projects/readme', `logs/${gone}`];
  for (const key of keys) await objects.put(key, Buffer.from('x'), 'text/plain');
  const parts = { gateway: site.gateway, objects };
  expect(await sweepOrphans({ ...parts, clock: at(ORPHAN_AGE_MS - 60_000) })).toBe(0);
  expect(await sweepOrphans({ ...parts, clock: at(ORPHAN_AGE_MS + 60_000) })).toBe(2);
  expect(await Promise.all(keys.map(async (key) => await objects.head(key) !== undefined))).toEqual([true, false, false, true, true]);
});
