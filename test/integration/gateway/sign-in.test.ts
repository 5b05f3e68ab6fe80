import { DEMO_ACCOUNTS, makeAccounts, refresh, signIn, signInWith, signUp, useCode, type SignedIn } from '../../../hack/stack/auth-accounts.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import { verifyAudit } from '../../../prisma/audit/index.ts';
import { type AuthEmulator, startAuthEmulator } from '../../harness/auth-emulator.ts';
import { identifiedSite, type IdentifiedSite } from './identified.ts';
import type { Entry, Site } from './site.ts';

let emulator: AuthEmulator;
let identified: IdentifiedSite;
let site: Site;

beforeAll(async () => {
  emulator = await startAuthEmulator();
  identified = await identifiedSite(emulator);
  ({ site } = identified);
}, 60_000);
afterAll(async () => {
  await identified.stop();
  await emulator.stop();
});

let counter = 0;
const address = (name = 'someone'): string => `${name}${++counter}@example.com`;
const password = 'correct horse';

async function account(over: { readonly email?: string; readonly emailVerified?: boolean; readonly phone?: string } = {}): Promise<{ uid: string; email: string; token: string; tokens: SignedIn }> {
  const email = over.email ?? address();
  const uid = `uid-${systemIds.secret().slice(0, 12)}`;
  await makeAccounts(emulator.host, emulator.project, [{ uid, email, password, name: 'Some One', role: '', ...over }]);
  const tokens = await signIn(emulator.host, emulator.project, { email, password });
  return { uid, email, token: tokens.idToken, tokens };
}

async function me(token: string): Promise<Entry> {
  const { status, body } = await site.rest(token, 'GET', '/me');
  if (status !== 200) throw new Error(`me: ${status} ${JSON.stringify(body)}`);
  return body;
}

async function until<T>(probe: () => T | undefined, what: string): Promise<T> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline;) {
    const found = probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  throw new Error(`never: ${what}`);
}

/** Code in the newest mail to somebody. */
async function mailed(to: string): Promise<{ link: URL; code: string }> {
  const mail = await until(() => identified.mails().findLast((sent) => sent.to === to), `a mail to ${to}`);
  const link = new URL(/https:\/\/\S+/.exec(mail.text)?.[0] ?? '');
  return { link, code: link.searchParams.get('oobCode') ?? '' };
}

async function waiting(email: string): Promise<string> {
  const id = systemIds.uuid();
  const at = new Date();
  await site.gateway.read((db) => db.user.create({ data: { id, email, role: 'MANAGER', createdAt: at, updatedAt: at } }));
  return id;
}

/** Sign-ins count in whole seconds, and two tokens of one second are the same. */
async function nextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1_000);
  while (Math.floor(Date.now() / 1_000) === second) await new Promise((resolve) => { setTimeout(resolve, 20); });
}

describe('the first sign-in', () => {
  test('makes a user and a profile', async () => {
    const { token, email } = await account();
    expect(await me(token)).toMatchObject({ email, emailVerified: true, role: 'VIEWER', displayName: 'Some One', preferences: {}, secondFactor: false, scopes: null });
  });
  test('makes one, however often it comes at once', async () => {
    const { email } = await account();
    const tokens = await Promise.all(Array.from({ length: 12 }, () => signIn(emulator.host, emulator.project, { email, password })));
    const ids = await Promise.all(tokens.map(async ({ idToken }) => (await me(idToken)).id));
    expect(new Set(ids).size).toBe(1);
    expect(await site.gateway.read((db) => db.user.count({ where: { email } }))).toBe(1);
    expect(await site.gateway.read((db) => db.audit.count({ where: { operation: 'signUp', resourceId: ids[0] } }))).toBe(1);
  });
  test('of an address named as an administrator\'s makes one, with its second factor', async () => {
    const [admin] = DEMO_ACCOUNTS;
    if (admin === undefined) throw new Error('no demo account');
    const { idToken } = await signIn(emulator.host, emulator.project, admin);
    expect(await me(idToken)).toMatchObject({ role: 'ADMIN', secondFactor: true });
    expect((await site.rest(idToken, 'GET', '/users')).status).toBe(200);
  });
  test('of such an address that is not verified does not', async () => {
    const [admin] = DEMO_ACCOUNTS;
    const made = await site.gateway.read((db) => db.user.findMany({ where: { role: 'ADMIN' } }));
    expect(made.every((user) => user.email === admin?.email)).toBe(true);
  });
  test('with Google: the address counts as verified', async () => {
    const email = address();
    const { idToken } = await signInWith(emulator.host, 'google.com', { sub: email, email, name: 'Ann' });
    expect(await me(idToken)).toMatchObject({ email, emailVerified: true });
  });
  test('with GitHub: it does not', async () => {
    const email = address();
    const { idToken } = await signInWith(emulator.host, 'github.com', { sub: email, email, name: 'Ann' });
    expect(await me(idToken)).toMatchObject({ email, emailVerified: false, displayName: 'Ann' });
  });
  test('finds the account that waited for a proven address, with its role', async () => {
    const email = address('waiting');
    const id = await waiting(email);
    const { idToken } = await signInWith(emulator.host, 'google.com', { sub: email, email });
    expect(await me(idToken)).toMatchObject({ id, email, role: 'MANAGER' });
  });
  test('with an address that is not proven takes nothing over, even when it is proven later', async () => {
    const email = address('waiting');
    const id = await waiting(email);
    const sly = await me((await signInWith(emulator.host, 'github.com', { sub: email, email })).idToken);
    expect(sly).toMatchObject({ email: null, role: 'VIEWER' });
    expect(sly.id).not.toBe(id);
    // Google proves the address; Firebase has both for the same account.
    const { idToken } = await signInWith(emulator.host, 'google.com', { sub: email, email });
    expect(await me(idToken)).toMatchObject({ id: sly.id, email, emailVerified: true, role: 'VIEWER' });
    expect(await site.gateway.read((db) => db.user.findUnique({ where: { id } }))).toMatchObject({ email: null, firebaseUid: null, role: 'MANAGER' });
  });
  test('a proven address moves to who proves it; nobody becomes somebody else', async () => {
    const email = address('squatted');
    const squatter = systemIds.uuid();
    const at = new Date();
    await site.gateway.read((db) => db.user.create({ data: { id: squatter, email, firebaseUid: 'squatter', role: 'MANAGER', createdAt: at, updatedAt: at } }));
    const { token } = await account({ email });
    const owner = await me(token);
    expect(owner).toMatchObject({ email, role: 'VIEWER' });
    expect(owner.id).not.toBe(squatter);
    expect(await site.gateway.read((db) => db.user.findUnique({ where: { id: squatter } }))).toMatchObject({ email: null, role: 'MANAGER' });
  });
});

describe('an invitation', () => {
  async function invite(email: string, over: { readonly expiresAt?: Date } = {}): Promise<Entry> {
    const owner = await site.person();
    const id = systemIds.uuid();
    const at = new Date();
    await site.gateway.read((db) => db.project.create({ data: { id, name: 'P', status: 'ACTIVE', ownerId: owner.userId, createdAt: at, updatedAt: at } }));
    await site.gateway.read((db) => db.projectInvitation.create({ data: { id: systemIds.uuid(), projectId: id, email, role: 'DEVELOPER', invitedBy: `user:${owner.userId}`, createdAt: at, expiresAt: over.expiresAt ?? new Date(at.getTime() + 86_400_000) } }));
    return { id };
  }
  const roleIn = async (projectId: string, userId: string): Promise<string | undefined> =>
    (await site.gateway.read((db) => db.projectMember.findUnique({ where: { projectId_userId: { projectId, userId } } })))?.role;

  test('of a verified address becomes a membership', async () => {
    const email = address();
    const project = await invite(email);
    const { token } = await account({ email });
    expect(await roleIn(project.id, (await me(token)).id)).toBe('DEVELOPER');
  });
  test('of an address that is not verified does not, until it is', async () => {
    const email = address();
    const project = await invite(email);
    const { idToken } = await signUp(emulator.host, email, password);
    const { id } = await me(idToken);
    expect(await roleIn(project.id, id)).toBeUndefined();
    expect((await site.rest(idToken, 'POST', '/me/email-verification', {})).status).toBe(202);
    await useCode(emulator.host, (await mailed(email)).code);
    const again = await signIn(emulator.host, emulator.project, { email, password });
    expect(await me(again.idToken)).toMatchObject({ id, emailVerified: true });
    expect(await roleIn(project.id, id)).toBe('DEVELOPER');
  });
  test('that has run out does not', async () => {
    const email = address();
    const project = await invite(email, { expiresAt: new Date(Date.now() - 1) });
    const { token } = await account({ email });
    expect(await roleIn(project.id, (await me(token)).id)).toBeUndefined();
  });
  test('that comes later is taken at the next sign-in', async () => {
    const { token, email } = await account();
    const { id } = await me(token);
    const project = await invite(email);
    await nextSecond();
    await me((await signIn(emulator.host, emulator.project, { email, password })).idToken);
    expect(await roleIn(project.id, id)).toBe('DEVELOPER');
  });
});

describe('a password', () => {
  test('is set anew by a link of ours', async () => {
    const { email } = await account();
    expect(await site.rest(undefined, 'POST', '/auth/password-reset', { email: email.toUpperCase() })).toMatchObject({ status: 202, body: { accepted: true } });
    const { link, code } = await mailed(email);
    expect(link.href).toMatch(/^https:\/\/rambo\.example\/auth\/action\?mode=resetPassword&oobCode=/);
    await useCode(emulator.host, code, 'another horse');
    await expect(signIn(emulator.host, emulator.project, { email, password })).rejects.toThrow();
    await expect(useCode(emulator.host, code, 'a third horse')).rejects.toThrow();
    expect(await me((await signIn(emulator.host, emulator.project, { email, password: 'another horse' })).idToken)).toMatchObject({ email });
  });
  test('asked for at an address of nobody gives the same answer and sends nothing', async () => {
    const { email } = await account();
    const known = await site.rest(undefined, 'POST', '/auth/password-reset', { email });
    const unknown = await site.rest(undefined, 'POST', '/auth/password-reset', { email: address('nobody') });
    expect({ status: unknown.status, body: unknown.body }).toEqual({ status: known.status, body: known.body });
    await mailed(email);
    expect(identified.mails().some((mail) => mail.to.startsWith('nobody'))).toBe(false);
  });
  test.each([[{}], [{ email: 'x' }], [{ email: ['a@example.com'] }], [{ email: { not: '' } }], [{ email: 'a@example.com', role: 'ADMIN' }]])('asked for with %j is refused', async (body) => {
    expect((await site.rest(undefined, 'POST', '/auth/password-reset', body)).status).toBe(400);
  });
});

describe('what was revoked', () => {
  test('signing out everywhere ends every sign-in, and what is made of its refresh token', async () => {
    const { token, tokens, email } = await account();
    const other = (await signIn(emulator.host, emulator.project, { email, password })).idToken;
    await me(other);
    await nextSecond();
    expect((await site.rest(token, 'POST', '/me/sessions/revoke', {})).status).toBe(200);
    // Sensitive verbs look past the cache, which still believes both.
    for (const each of [token, other]) {
      expect((await site.rest(each, 'POST', '/me/access-tokens', { name: 'x', scopes: ['read'], expiresInDays: 1 })).status).toBe(401);
    }
    // Firebase refuses the refresh token; its emulator gives a token of the old sign-in, which is void.
    const refreshed = await refresh(emulator.host, tokens.refreshToken).catch(() => undefined);
    if (refreshed !== undefined) expect((await site.rest(refreshed, 'GET', '/me')).status).toBe(401);
    expect(await identified.identity.authenticator.authenticate(other)).toBeUndefined();
    await nextSecond();
    await me((await signIn(emulator.host, emulator.project, { email, password })).idToken);
  });
  test('somebody who is shut out is out, in Firebase and here, and comes back', async () => {
    const { token, email } = await account();
    const { id } = await me(token);
    const admin = await signIn(emulator.host, emulator.project, DEMO_ACCOUNTS[0] ?? { email: '', password: '' });
    const access = (await site.rest(token, 'POST', '/me/access-tokens', { name: 'x', scopes: ['read'], expiresInDays: 1 })).body.token;
    expect((await site.rest(admin.idToken, 'POST', `/users/${id}/disable`, {})).status).toBe(200);
    await expect(signIn(emulator.host, emulator.project, { email, password })).rejects.toThrow(/USER_DISABLED/);
    expect((await site.rest(token, 'POST', '/me/access-tokens', { name: 'y', scopes: ['read'], expiresInDays: 1 })).status).toBe(401);
    expect(await identified.identity.authenticator.authenticate(token)).toBeUndefined();
    expect((await site.rest(access, 'GET', '/me')).status).toBe(401);
    expect((await site.rest(admin.idToken, 'POST', `/users/${id}/enable`, {})).status).toBe(200);
    await nextSecond();
    await me((await signIn(emulator.host, emulator.project, { email, password })).idToken);
  });
  test('a token of an account that is gone is nobody\'s', async () => {
    const { token, uid } = await account();
    await fetch(`http://${emulator.host}/identitytoolkit.googleapis.com/v1/projects/${emulator.project}/accounts:delete`, {
      method: 'POST', headers: { authorization: 'Bearer owner', 'content-type': 'application/json' }, body: JSON.stringify({ localId: uid }),
    });
    expect((await site.rest(token, 'GET', '/me')).status).toBe(401);
  });
});

test('accounts that waited with a password hash sign in with their old password', async () => {
  const admin = (await signIn(emulator.host, emulator.project, DEMO_ACCOUNTS[0] ?? { email: '', password: '' })).idToken;
  const at = new Date();
  const row = (email: string, passwordHash: string) => ({ id: systemIds.uuid(), email, emailVerified: true, passwordHash, role: 'DEVELOPER', createdAt: at, updatedAt: at });
  const good = row(address('old'), `$2b$10$${'a'.repeat(53)}`);
  const bad = row(address('odd'), 'md5:1234');
  await site.gateway.read((db) => db.user.createMany({ data: [good, bad] }));
  expect((await site.rest(admin, 'POST', '/users/import', {})).body).toMatchObject({ imported: 1, waiting: 1, refused: [expect.stringContaining(bad.id)] });
  expect(await site.gateway.read((db) => db.user.findUnique({ where: { id: good.id } }))).toMatchObject({ firebaseUid: good.id, passwordHash: null });
  expect(await site.gateway.read((db) => db.user.findUnique({ where: { id: bad.id } }))).toMatchObject({ firebaseUid: null, passwordHash: 'md5:1234' });
  expect((await site.rest(admin, 'POST', '/users/import', {})).body).toMatchObject({ imported: 0 });
});

test('everything that happened is in the audit, unbroken', async () => {
  expect(await verifyAudit(site.databaseUrl)).toMatchObject({ broken: [] });
});
