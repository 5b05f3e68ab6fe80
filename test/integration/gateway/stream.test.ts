import { systemClock } from '../../../platform/clock/index.ts';
import { type Person, Site } from './site.ts';

let site: Site;
let owner: Person;
const wakes = new Map<string, Set<() => void>>();
beforeAll(async () => {
  site = await Site.start(() => ({ projectNotices: {
    watch: (id, wake) => {
      const mine = wakes.get(id) ?? new Set();
      wakes.set(id, mine.add(wake));
      return Promise.resolve({ close: () => { mine.delete(wake); } });
    },
    changed: (changes) => { for (const { projectId } of changes) for (const wake of wakes.get(projectId) ?? []) wake(); },
  } }), { rate: { principal: 0, address: 1, hops: 0 } });
  owner = await site.person();
});
afterAll(async () => { await site.stop(); });

const SUBSCRIPTION = 'subscription($id: ID!, $after: Int) { projectChanged(projectId: $id, after: $after) { seq kind entity entityId principal } }';

test('a subscriber gets every change from a number on, live ones too, and starts again where it ended', async () => {
  const project = await site.project(owner);
  const first = await site.task(owner, project.id);
  const stream = await site.subscribe(owner, SUBSCRIPTION, { id: project.id, after: 1 });
  expect((await stream.next()).value.data.projectChanged).toMatchObject({ seq: 2, kind: 'CREATED', entity: 'Task', entityId: first.id, principal: `user:${owner.userId}` });
  const live = stream.next();
  await site.rest(owner, 'DELETE', `/tasks/${first.id}`);
  expect((await live).value.data.projectChanged).toMatchObject({ seq: 3, kind: 'DELETED' });
  await stream.return(undefined);
  await site.rest(owner, 'POST', `/tasks/${first.id}/restore`);
  const again = await site.subscribe(owner, SUBSCRIPTION, { id: project.id, after: 3 });
  expect((await again.next()).value.data.projectChanged).toMatchObject({ seq: 4, kind: 'RESTORED' });
  await again.return(undefined);
});

test('a member who is removed gets nothing more, and the stream ends', async () => {
  const project = await site.project(owner);
  const member = await site.person();
  await site.member(project.id, member, 'VIEWER');
  const stream = await site.subscribe(member, SUBSCRIPTION, { id: project.id });
  const next = stream.next();
  await site.until(() => (wakes.get(project.id)?.size ?? 0) === 1, 'the stream watches');
  await site.gateway.read((db) => db.projectMember.deleteMany({ where: { projectId: project.id } }));
  // What a request was told of its place is believed for a second.
  const until = systemClock.monotonic() + 1_100;
  await site.until(() => systemClock.monotonic() > until, 'a second has passed');
  await site.task(owner, project.id);
  expect((await next).value.errors[0].extensions.code).toBe('NOT_FOUND');
});

test.each(['stranger', 'nobody'])('a project out of reach and one that is not there end alike (%s)', async (who) => {
  const project = await site.project(owner);
  const stranger = await site.person();
  const id = who === 'stranger' ? project.id : stranger.userId;
  const stream = await site.subscribe(stranger, SUBSCRIPTION, { id });
  const { errors } = (await stream.next()).value;
  expect(errors).toMatchObject([{ message: `project ${id} does not exist or is not yours`, extensions: { code: 'NOT_FOUND' } }]);
});

test('who calls without a token again and again is told to wait', async () => {
  const answers = [];
  for (let i = 0; i < 12; i++) answers.push(await site.rest(undefined, 'GET', '/projects'));
  expect(answers.slice(0, 9).every(({ status }) => status === 401)).toBe(true);
  const last = answers.at(-1);
  expect(last).toMatchObject({ status: 429, body: { code: 'RATE_LIMITED' } });
  expect(Number(last?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect((await site.rest(owner, 'GET', '/projects')).status).toBe(200);
});
