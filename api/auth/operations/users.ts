import { z } from 'zod';
import type { GatewayDb } from '../../../prisma/gateway/index.ts';
import { ApiError } from '../../errors.ts';
import { page } from '../../operations/entity.ts';
import { id, pageFields, time } from '../../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../../operations/operation.ts';
import type { Operation } from '../../operations/operation.ts';
import { byTime, defined, pageInput, rowsPage } from '../../operations/paging.ts';
import { gone, newest } from '../../operations/rows.ts';
import { parseHash } from '../password-hash.ts';
import { AccountImport, AuditRecord, auditOf, auditOutcome, User, userOf, userRole } from './entities.ts';

/* What administrators do: users, and the audit. All of it needs a second factor and a recent sign-in. */

const PROFILE = { profile: { select: { displayName: true, avatarUrl: true } } } as const;
const ORDER = 'user-createdAt';
const byId = z.strictObject({ id: id('Which user.') });

const users = defineList({
  name: 'users', summary: 'Users of the installation, the newest first.', rest: { method: 'GET', path: '/users' }, output: page(User), right: { verb: 'list', resource: 'users', on: 'installation', admin: true },
  input: z.strictObject({ role: userRole.optional(), email: z.string().max(254).optional().describe('Only the one with this address.'), ...pageFields }),
  run: async (context, { role, email, ...rest }) => {
    const place = pageInput(ORDER, rest);
    const { where: after, ...order } = newest(place);
    const rows = await context.services.gateway.read((db) => db.user.findMany({ ...order, where: { ...defined({ role, email: email?.toLowerCase() }), ...after }, include: PROFILE }));
    return rowsPage(ORDER, place, rows, userOf, byTime);
  },
});

const user = defineQuery({
  name: 'user', summary: 'One user.', rest: { method: 'GET', path: '/users/{id}' }, input: byId, output: User, right: { verb: 'get', resource: 'users', on: 'installation', admin: true },
  run: async (context, input) => {
    const row = await context.services.gateway.read((db) => db.user.findUnique({ where: { id: input.id }, include: PROFILE }));
    return userOf(row ?? missing(input.id));
  },
});

function missing(userId: string): never {
  throw gone(userId);
}

/** One administrator at least has to be left, else nobody could make another. Two who leave at once wait for each other. */
async function keepAnAdmin(tx: GatewayDb, leaving: string): Promise<void> {
  const admins = await tx.$queryRaw<{ id: string }[]>`SELECT id FROM app_user WHERE role = 'ADMIN' AND disabled_at IS NULL ORDER BY id FOR UPDATE`;
  if (admins.every((row) => row.id === leaving)) throw new ApiError('CONFLICT', 'this is the last administrator: make another one first');
}

const setUserRole = defineMutation({
  name: 'setUserRole', summary: 'Sets what a user may do in the installation.', rest: { method: 'PUT', path: '/users/{id}/role' }, input: z.strictObject({ id: id('Which user.'), role: userRole }), output: User,
  right: { verb: 'patch', resource: 'users', on: 'installation', admin: true }, audit: ({ role }) => ({ role }),
  run: async ({ tx, services }, input) => {
    if (input.role !== 'ADMIN') await keepAnAdmin(tx, input.id);
    const [row] = await tx.user.updateManyAndReturn({ where: { id: input.id }, data: { role: input.role, updatedAt: new Date(services.clock.now()) } });
    return userOf({ ...row ?? missing(input.id), profile: await tx.profile.findUnique({ where: { userId: input.id } }) });
  },
});

function ability(name: 'disableUser' | 'enableUser', summary: string, disabled: boolean): Operation {
  return defineMutation({
    name, summary, rest: { method: 'POST', path: `/users/{id}/${disabled ? 'disable' : 'enable'}` }, input: byId, output: User, right: { verb: 'patch', resource: 'users', on: 'installation', admin: true },
    effect: async ({ services }, input) => {
      const row = await services.gateway.read((db) => db.user.findUnique({ where: { id: input.id }, select: { firebaseUid: true } }));
      if (row === null) missing(input.id);
      // Letting in begins with the row, shutting out with Firebase: in between the account is shut.
      if (disabled && row.firebaseUid !== null) await services.identities.setDisabled(row.firebaseUid, true);
      return row;
    },
    run: async ({ tx, services }, input, _row, known) => {
      if (disabled) await keepAnAdmin(tx, input.id);
      const now = new Date(services.clock.now());
      const [row] = await tx.user.updateManyAndReturn({ where: { id: input.id }, data: { disabledAt: disabled ? now : null, updatedAt: now, ...(disabled ? { tokensValidAfter: now } : {}) } });
      if (!disabled && known.firebaseUid !== null) await services.identities.setDisabled(known.firebaseUid, false);
      return userOf({ ...row ?? missing(input.id), profile: await tx.profile.findUnique({ where: { userId: input.id } }) });
    },
  });
}

/** Accounts taken over in one request; Firebase takes 1,000. */
const MOST_IMPORTED = 500;

const importAccounts = defineMutation({
  name: 'importAccounts', summary: `Takes accounts that wait with a password hash into Firebase, ${MOST_IMPORTED} at a time.`, description: 'Their passwords go on working. The hashes are forgotten here.',
  rest: { method: 'POST', path: '/users/import' }, input: z.strictObject({}), output: AccountImport, right: { verb: 'patch', resource: 'users', on: 'installation', admin: true },
  effect: async ({ services }) => {
    const rows = await services.gateway.read((db) => db.user.findMany({
      where: { passwordHash: { not: null }, firebaseUid: null, email: { not: null } }, select: { id: true, email: true, emailVerified: true, passwordHash: true }, orderBy: { id: 'asc' }, take: MOST_IMPORTED,
    }));
    const refused: { uid: string; reason: string }[] = [];
    const accounts = rows.flatMap(({ id: uid, email, emailVerified, passwordHash }) => {
      const hash = passwordHash === null ? undefined : parseHash(passwordHash);
      if (hash !== undefined && email !== null) return [{ uid, email, emailVerified, hash }];
      refused.push({ uid, reason: 'the hash is of no kind that Firebase takes' });
      return [];
    });
    refused.push(...await services.identities.importAccounts(accounts));
    const out = new Set(refused.map(({ uid }) => uid));
    return { taken: accounts.map(({ uid }) => uid).filter((uid) => !out.has(uid)), refused };
  },
  run: async ({ tx, services }, _input, _row, { taken, refused }) => {
    // The uid in Firebase is the id here: a repeated import finds the same account.
    for (const uid of taken) await tx.user.update({ where: { id: uid }, data: { firebaseUid: uid, passwordHash: null, updatedAt: new Date(services.clock.now()) } });
    const waiting = await tx.user.count({ where: { passwordHash: { not: null }, firebaseUid: null } });
    return { imported: taken.length, waiting, refused: refused.slice(0, 100).map(({ uid, reason }) => `${uid}: ${reason}`) };
  },
});

const auditEntries = defineList({
  name: 'auditEntries', summary: 'The audit, the newest first: every change and every refused attempt.', rest: { method: 'GET', path: '/audit' }, output: page(AuditRecord),
  right: { verb: 'list', resource: 'audit', on: 'installation', admin: true },
  input: z.strictObject({
    principal: z.string().max(256).optional().describe('Only of this caller.'), operation: z.string().max(64).optional().describe('Only of this operation.'), outcome: auditOutcome.optional(), projectId: id('Only of this project.').optional(),
    from: time('Only from then on.').optional(), to: time('Only before then.').optional(), ...pageFields,
  }),
  run: async (context, { principal, operation, outcome, projectId, from, to, ...rest }) => {
    const place = pageInput('audit', rest);
    const { first, after } = place;
    const at = { ...(from === undefined ? {} : { gte: new Date(from) }), ...(to === undefined ? {} : { lt: new Date(to) }) };
    const where = { ...defined({ principal, operation, outcome, projectId }), ...(from === undefined && to === undefined ? {} : { at }), ...(after === undefined ? {} : { seq: { lt: BigInt(after.value) } }) };
    const rows = await context.services.gateway.read((db) => db.audit.findMany({ where, orderBy: { seq: 'desc' }, take: first + 1 }));
    return rowsPage('audit', place, rows, auditOf, (item) => [Number(item.seq), item.requestId]);
  },
});

/** Operations of administrators. */
export const adminOperations: readonly Operation[] = [
  users, user, setUserRole, ability('disableUser', 'Shuts a user out: sign-ins and access tokens count no more.', true), ability('enableUser', 'Lets a user in again.', false), importAccounts, auditEntries,
];
