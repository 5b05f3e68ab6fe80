import { type Person, Site } from './site.ts';

let site: Site;
let owner: Person;
beforeAll(async () => {
  site = await Site.start();
  owner = await site.person();
});
afterAll(async () => { await site.stop(); });

test('a list of projects holds those one owns and works on, in pages, by time and by name', async () => {
  const me = await site.person();
  const mine = [await site.project(me, { name: 'b' }), await site.project(me, { name: 'd' })];
  const theirs = [await site.project(owner, { name: 'a' }), await site.project(owner, { name: 'c' })];
  await site.project(owner, { name: 'hidden' });
  for (const project of theirs) await site.member(project.id, me, 'VIEWER');
  const pages = async (query: string): Promise<string[]> => {
    const names: string[] = [];
    for (let after = ''; ;) {
      const { status, body } = await site.rest(me, 'GET', `/projects?first=3&${query}${after}`);
      expect(status).toBe(200);
      names.push(...body.items.map((item: { name: string }) => item.name));
      if (body.nextCursor === null) return names;
      after = `&after=${body.nextCursor}`;
    }
  };
  expect(await pages('orderBy=NAME')).toEqual(['a', 'b', 'c', 'd']);
  expect(await pages('orderBy=NAME&direction=DESC')).toEqual(['d', 'c', 'b', 'a']);
  expect(await pages('')).toEqual(['c', 'a', 'd', 'b']);
  expect(await pages('direction=ASC&status=ACTIVE')).toEqual(['b', 'd', 'a', 'c']);
  const admin = await site.person('ADMIN');
  expect((await site.rest(admin, 'GET', '/projects?orderBy=NAME')).body.items.length).toBeGreaterThanOrEqual(5);
  expect((await site.rest(await site.person(), 'GET', '/projects')).body).toEqual({ items: [], nextCursor: null });
  expect(mine).toHaveLength(2);
});

test('a deleted project is gone with all that is in it, and back after restoring', async () => {
  const project = await site.project(owner);
  const task = await site.task(owner, project.id);
  const member = await site.person();
  await site.member(project.id, member, 'MANAGER');
  expect((await site.rest(member, 'DELETE', `/projects/${project.id}`)).status).toBe(403);
  expect((await site.rest(owner, 'DELETE', `/projects/${project.id}`)).status).toBe(200);
  for (const path of [`/projects/${project.id}`, `/tasks/${task.id}`, `/projects/${project.id}/tasks`]) expect((await site.rest(owner, 'GET', path)).status).toBe(404);
  expect((await site.rest(member, 'POST', `/projects/${project.id}/restore`)).status).toBe(404);
  expect((await site.rest(owner, 'POST', `/projects/${project.id}/restore`)).status).toBe(200);
  expect((await site.rest(owner, 'GET', `/tasks/${task.id}`)).status).toBe(200);
});

test('an invitation is taken by who has verified its address, and by nobody else', async () => {
  const project = await site.project(owner);
  const invite = async (email: string) => (await site.rest(owner, 'POST', `/projects/${project.id}/invitations`, { email, role: 'DEVELOPER' })).body;
  const unverified = await site.person('DEVELOPER', { email: 'eve@example.org', emailVerified: false });
  const eve = await invite('Eve@Example.org');
  expect(eve).toMatchObject({ email: 'eve@example.org', acceptedAt: null });
  expect((await site.rest(unverified, 'GET', '/invitations')).body.items).toEqual([]);
  expect((await site.rest(unverified, 'POST', `/invitations/${eve.id}/accept`)).status).toBe(404);
  const other = await site.person('DEVELOPER', { email: 'mallory@example.org' });
  expect((await site.rest(other, 'POST', `/invitations/${eve.id}/accept`)).status).toBe(404);
  expect((await site.rest(other, 'DELETE', `/invitations/${eve.id}`)).status).toBe(404);
  const right = await site.person('DEVELOPER', { email: 'eve@example.org' });
  expect((await site.rest(right, 'GET', '/invitations')).body.items).toMatchObject([{ id: eve.id }]);
  expect((await site.rest(right, 'POST', `/invitations/${eve.id}/accept`)).status).toBe(200);
  expect((await site.rest(right, 'POST', `/invitations/${eve.id}/accept`)).status).toBe(404);
  expect((await site.rest(right, 'GET', `/projects/${project.id}/members`)).body.items).toMatchObject([{ userId: right.userId, role: 'DEVELOPER' }]);
  const revoked = await invite('zoe@example.org');
  expect((await site.rest(owner, 'GET', `/projects/${project.id}/invitations`)).body.items.map((item: { email: string }) => item.email)).toEqual(['zoe@example.org']);
  expect((await site.rest(owner, 'DELETE', `/invitations/${revoked.id}`)).status).toBe(200);
});

test('members are added, get other roles, leave and are removed; a developer does none of that to others', async () => {
  const project = await site.project(owner);
  const [a, b] = [await site.person(), await site.person()];
  expect(await site.rest(owner, 'POST', `/projects/${project.id}/members`, { userId: a.userId, role: 'DEVELOPER' })).toMatchObject({ status: 201, body: { role: 'DEVELOPER' } });
  expect(await site.rest(owner, 'POST', `/projects/${project.id}/members`, { userId: a.userId, role: 'VIEWER' })).toMatchObject({ status: 409 });
  expect((await site.rest(owner, 'POST', `/projects/${project.id}/members`, { userId: project.id, role: 'VIEWER' })).status).toBe(404);
  expect((await site.rest(owner, 'POST', `/projects/${project.id}/members`, { userId: owner.userId, role: 'VIEWER' })).status).toBe(409);
  expect((await site.rest(a, 'POST', `/projects/${project.id}/members`, { userId: b.userId, role: 'VIEWER' })).status).toBe(403);
  expect((await site.rest(a, 'PATCH', `/projects/${project.id}/members/${a.userId}`, { role: 'MANAGER' })).status).toBe(403);
  expect((await site.rest(owner, 'PATCH', `/projects/${project.id}/members/${b.userId}`, { role: 'MANAGER' })).status).toBe(404);
  expect(await site.rest(owner, 'PATCH', `/projects/${project.id}/members/${a.userId}`, { role: 'MANAGER' })).toMatchObject({ status: 200, body: { role: 'MANAGER' } });
  expect((await site.rest(a, 'POST', `/projects/${project.id}/leave`)).status).toBe(200);
  expect((await site.rest(a, 'GET', `/projects/${project.id}`)).status).toBe(404);
});

test('a project is handed over to a member, and the old owner stays as a manager', async () => {
  const project = await site.project(owner);
  const [heir, stranger] = [await site.person(), await site.person()];
  await site.member(project.id, heir, 'VIEWER');
  expect((await site.rest(heir, 'POST', `/projects/${project.id}/transfer`, { version: 1, ownerId: heir.userId })).status).toBe(403);
  expect((await site.rest(owner, 'POST', `/projects/${project.id}/transfer`, { version: 1, ownerId: stranger.userId })).status).toBe(404);
  expect(await site.rest(owner, 'POST', `/projects/${project.id}/transfer`, { version: 1, ownerId: heir.userId })).toMatchObject({ status: 200, body: { ownerId: heir.userId, version: 2 } });
  expect((await site.rest(heir, 'GET', `/projects/${project.id}/members`)).body.items).toMatchObject([{ userId: owner.userId, role: 'MANAGER' }]);
  expect((await site.rest(owner, 'DELETE', `/projects/${project.id}`)).status).toBe(403);
});

test('an administrator with a second factor and a recent sign-in binds a namespace, once', async () => {
  const [one, two] = [await site.project(owner), await site.project(owner)];
  const bind = (who: Person, id: string, namespace: string | null, version = 1) => site.rest(who, 'PUT', `/projects/${id}/namespace`, { version, namespace });
  expect((await bind(owner, one.id, 'team-x')).status).toBe(403);
  expect(await bind(await site.person('ADMIN', { secondFactor: false }), one.id, 'team-x')).toMatchObject({ status: 403, body: { code: 'MFA_REQUIRED' } });
  expect(await bind(await site.person('ADMIN', { signedInAt: Date.now() - 16 * 60_000 }), one.id, 'team-x')).toMatchObject({ status: 403, body: { code: 'RECENT_SIGN_IN_REQUIRED' } });
  const admin = await site.person('ADMIN');
  expect(await bind(admin, one.id, 'team-x')).toMatchObject({ status: 200, body: { namespace: 'team-x' } });
  expect(await bind(admin, two.id, 'team-x')).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
  expect(await bind(admin, two.id, 'Team X')).toMatchObject({ status: 400, body: { errors: [{ field: 'namespace' }] } });
});

test('a sprint may not end before it begins, and its tasks and tickets are of its project', async () => {
  const project = await site.project(owner);
  const wrong = await site.rest(owner, 'POST', `/projects/${project.id}/sprints`, { name: 's', startDate: '2026-02-01', endDate: '2026-01-01' });
  expect(wrong).toMatchObject({ status: 400, body: { errors: [{ field: 'endDate', value: '"2026-01-01"' }] } });
  const sprint = (await site.rest(owner, 'POST', `/projects/${project.id}/sprints`, { name: 's', startDate: '2026-02-01' })).body;
  expect((await site.rest(owner, 'PATCH', `/sprints/${sprint.id}`, { version: 1, endDate: '2026-01-31' })).status).toBe(400);
  expect((await site.rest(owner, 'PATCH', `/sprints/${sprint.id}`, { version: 1, endDate: '2026-02-01', status: 'ACTIVE' })).body).toMatchObject({ startDate: '2026-02-01', endDate: '2026-02-01', status: 'ACTIVE' });
  const ticket = (await site.rest(owner, 'POST', `/projects/${project.id}/tickets`, { title: 't', sprintId: sprint.id, priority: 'HIGH' })).body;
  expect(ticket).toMatchObject({ sprintId: sprint.id, priority: 'HIGH', type: 'BUG', status: 'OPEN' });
  await site.rest(owner, 'POST', `/projects/${project.id}/tickets`, { title: 'u', priority: 'LOW' });
  expect((await site.rest(owner, 'GET', `/projects/${project.id}/tickets?priority=HIGH`)).body.items).toMatchObject([{ id: ticket.id }]);
  const elsewhere = await site.project(owner);
  expect((await site.rest(owner, 'POST', `/projects/${elsewhere.id}/tickets`, { title: 't', sprintId: sprint.id })).status).toBe(404);
  const requirement = (await site.rest(owner, 'POST', `/projects/${project.id}/requirements`, { title: 'r' })).body;
  expect(requirement).toMatchObject({ status: 'DRAFT', revision: '1.0', priority: 'MEDIUM' });
});

test('what happened in a project is read from any number on', async () => {
  const project = await site.project(owner);
  for (const title of ['a', 'b', 'c']) await site.task(owner, project.id, { title });
  const { body } = await site.rest(owner, 'GET', `/projects/${project.id}/changes?afterSeq=1&first=2`);
  expect(body.items.map((item: { seq: number; kind: string; entity: string }) => [item.seq, item.kind, item.entity])).toEqual([[2, 'CREATED', 'Task'], [3, 'CREATED', 'Task']]);
  expect((await site.rest(owner, 'GET', `/projects/${project.id}/changes?afterSeq=1&first=2&after=${body.nextCursor}`)).body).toMatchObject({ items: [{ seq: 4 }], nextCursor: null });
});
