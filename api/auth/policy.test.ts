import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import {
  INSTALLATION_RESOURCES, MEMBER_ROLES, NAMESPACE_RESOURCES, PROJECT_RESOURCES, TOKEN_SCOPES, USER_RESOURCES, USER_ROLES, VERBS,
} from '../ports.ts';
import type { ProjectPlace, Target, UserPrincipal, UserRole, Verb } from '../ports.ts';
import { uuid } from '../testing/rows.ts';
import { canBy, createCan, demand } from './can.ts';
import type { Decision } from './can.ts';
import { gravityOf, mayInProject, PROJECT_RIGHTS, RECENT_SIGN_IN_MS, withinScopes } from './policy.ts';
import type { PlaceResource, PlaceRole } from './policy.ts';

const READS: readonly Verb[] = ['get', 'list', 'watch'];
const PROJECT = uuid(1);
const ME = uuid(2);
const OTHER = uuid(3);
const clock = new ManualClock();

function user(over: Partial<UserPrincipal> = {}): UserPrincipal {
  return { kind: 'user', name: `user:${ME}`, userId: ME, role: 'DEVELOPER', emailVerified: true, signedInAt: clock.now(), validUntil: clock.now() + 3_600_000, secondFactor: true, via: 'firebase', ...over };
}

interface Circumstances { readonly place?: Partial<ProjectPlace> | undefined; readonly standing?: UserRole | undefined }

/** A world with one project, bound to `team-a`; `standing` is what the row says now. */
function canIn({ place, standing }: Circumstances) {
  const known: ProjectPlace | undefined = place === undefined
    ? undefined : { id: PROJECT, ownerId: OTHER, namespace: 'team-a', deleted: false, memberRole: null, userRole: 'DEVELOPER', ...place };
  return createCan({
    authorizer: { allowed: () => { throw new Error('no question about users goes to the API server'); } },
    places: { byProject: (id) => Promise.resolve(id === PROJECT ? known : undefined), byNamespace: (name) => Promise.resolve(name === 'team-a' ? known : undefined) },
    standing: { standing: () => Promise.resolve(standing) },
    clock,
  });
}

const project = (resource: Extract<Target, { kind: 'project' }>['resource'], admin?: true): Target => ({ kind: 'project', resource, projectId: PROJECT, ...(admin === undefined ? {} : { admin }) });

describe('the tables', () => {
  const placeRole = fc.constantFrom<PlaceRole>('OWNER', ...MEMBER_ROLES);
  const resource = fc.constantFrom<PlaceResource>(...PROJECT_RESOURCES, ...NAMESPACE_RESOURCES);
  const verb = fc.constantFrom(...VERBS);
  const role = fc.constantFrom(...USER_ROLES);

  test('nobody who is nothing there may do anything, but administrators', () => {
    fc.assert(fc.property(role, verb, resource, (r, v, what) => r === 'ADMIN' || !mayInProject(r, undefined, v, what)));
  });
  test('whoever may change something may see it', () => {
    fc.assert(fc.property(role, placeRole, verb, resource, (r, p, v, what) => !mayInProject(r, p, v, what) || mayInProject(r, p, 'get', what)));
  });
  test('an owner may all that a manager may, a manager all that a developer may, and so on', () => {
    const order: readonly PlaceRole[] = ['OWNER', 'MANAGER', 'DEVELOPER', 'VIEWER'];
    fc.assert(fc.property(fc.nat(2), verb, resource, (i, v, what) => !PROJECT_RIGHTS[order[i + 1] ?? 'VIEWER'][what].includes(v) || PROJECT_RIGHTS[order[i] ?? 'OWNER'][what].includes(v)));
  });
  test('a viewer of the installation changes nothing, whatever it is in the project', () => {
    fc.assert(fc.property(placeRole, verb, resource, (p, v, what) => READS.includes(v) || !mayInProject('VIEWER', p, v, what)));
  });
  test('an agent changes tasks, makes files and starts runs, and nothing else', () => {
    const may = VERBS.flatMap((v) => [...PROJECT_RESOURCES, ...NAMESPACE_RESOURCES].filter((what) => !READS.includes(v) && mayInProject('AGENT', 'OWNER', v, what)).map((what) => `${v} ${what}`));
    expect([...new Set(may)].sort()).toEqual(['create files', 'create workflowruns', 'patch tasks']);
  });
  test('only owners and administrators delete a project', () => {
    expect(([undefined, 'OWNER', ...MEMBER_ROLES] as const).filter((p) => mayInProject('MANAGER', p, 'delete', 'projects'))).toEqual(['OWNER']);
    expect(mayInProject('ADMIN', undefined, 'delete', 'projects')).toBe(true);
  });
  test('an access token never does more than its owner, and read changes nothing', () => {
    fc.assert(fc.property(verb, resource, fc.subarray([...TOKEN_SCOPES]), (v, what, scopes) => {
      const ofNamespace = NAMESPACE_RESOURCES.find((each) => each === what && each !== 'workflows' && each !== 'agents');
      const ofProject = PROJECT_RESOURCES.find((each) => each === what);
      const target: Target = ofNamespace !== undefined ? { kind: 'namespace', resource: ofNamespace, namespace: 'n' } : { kind: 'project', resource: ofProject ?? 'projects', projectId: PROJECT };
      const within = withinScopes(scopes, v, target);
      if (scopes.length === 0) return !within;
      if (scopes.every((scope) => scope === 'read')) return within === READS.includes(v);
      return !within || scopes.includes('read') || scopes.includes(what === 'workflowruns' ? 'runs' : 'write') || READS.includes(v);
    }));
    expect(withinScopes(['write'], 'create', { kind: 'namespace', resource: 'workflowruns', namespace: 'n' })).toBe(false);
    expect(withinScopes(['runs'], 'create', { kind: 'namespace', resource: 'workflowruns', namespace: 'n' })).toBe(true);
    expect(withinScopes(TOKEN_SCOPES, 'create', { kind: 'user', resource: 'accesstokens', userId: ME })).toBe(false);
    for (const what of ['agentapprovals', 'agentruns'] as const) expect(withinScopes(TOKEN_SCOPES, 'patch', { kind: 'namespace', resource: what, namespace: 'n' })).toBe(false);
    for (const what of INSTALLATION_RESOURCES) expect(withinScopes(TOKEN_SCOPES, 'patch', { kind: 'installation', resource: what })).toBe(what === 'projects' || what === 'schema');
  });
  test('what administrators do, and what opens doors, is grave', () => {
    expect(gravityOf('list', { kind: 'installation', resource: 'users' })).toBe('admin');
    expect(gravityOf('list', { kind: 'installation', resource: 'audit' })).toBe('admin');
    expect(gravityOf('patch', project('projects', true))).toBe('admin');
    expect(gravityOf('create', { kind: 'user', resource: 'accesstokens', userId: ME })).toBe('sensitive');
    expect(gravityOf('create', project('members'))).toBe('sensitive');
    expect(gravityOf('patch', project('tasks'))).toBe('plain');
    expect(gravityOf('list', { kind: 'user', resource: 'accesstokens', userId: ME })).toBe('plain');
  });
});

describe('a decision', () => {
  test.each<[string, UserPrincipal, Circumstances, Verb, Target, Decision]>([
    ['a member', user(), { place: { memberRole: 'VIEWER' } }, 'get', project('tasks'), 'yes'],
    ['a member of too little', user(), { place: { memberRole: 'VIEWER' } }, 'patch', project('tasks'), 'no'],
    ['the owner', user(), { place: { ownerId: ME }, standing: 'DEVELOPER' }, 'delete', project('projects'), 'yes'],
    ['the owner whose sign-in was revoked, at something grave', user(), { place: { ownerId: ME } }, 'delete', project('projects'), 'gone'],
    ['the owner whose role is gone since', user(), { place: { ownerId: ME, userRole: 'VIEWER' } }, 'patch', project('tasks'), 'no'],
    ['the owner whose account is gone since', user(), { place: { ownerId: ME, userRole: null } }, 'get', project('tasks'), 'hidden'],
    ['a stranger', user(), { place: {} }, 'get', project('tasks'), 'hidden'],
    ['a stranger, at what is not there', user(), {}, 'get', project('tasks'), 'hidden'],
    ['a stranger in a namespace', user(), { place: {} }, 'list', { kind: 'namespace', resource: 'workflowruns', namespace: 'team-a' }, 'no'],
    ['anybody in a namespace of no project', user(), {}, 'list', { kind: 'namespace', resource: 'workflowruns', namespace: 'team-b' }, 'no'],
    ['a developer starts a run', user(), { place: { memberRole: 'DEVELOPER' } }, 'create', { kind: 'namespace', resource: 'workflowruns', namespace: 'team-a' }, 'yes'],
    ['a member, of what lies in the bin', user(), { place: { memberRole: 'MANAGER', deleted: true } }, 'get', project('projects'), 'hidden'],
    ['the owner, of what lies in the bin', user(), { place: { ownerId: ME, deleted: true } }, 'get', project('projects'), 'yes'],
    ['the owner, below what lies in the bin', user(), { place: { ownerId: ME, deleted: true } }, 'get', project('tasks'), 'hidden'],
    ['runs of what lies in the bin', user(), { place: { ownerId: ME, deleted: true } }, 'list', { kind: 'namespace', resource: 'workflowruns', namespace: 'team-a' }, 'no'],
    ['the owner, at what administrators do', user(), { place: { ownerId: ME }, standing: 'DEVELOPER' }, 'patch', project('projects', true), 'no'],
    ['an administrator', user({ role: 'ADMIN' }), { place: { userRole: 'ADMIN' }, standing: 'ADMIN' }, 'patch', project('projects', true), 'yes'],
    ['an administrator without a second factor', user({ role: 'ADMIN', secondFactor: false }), { standing: 'ADMIN' }, 'list', { kind: 'installation', resource: 'users' }, 'factor'],
    ['an administrator who signed in too long ago', user({ role: 'ADMIN', signedInAt: clock.now() - RECENT_SIGN_IN_MS - 1 }), { standing: 'ADMIN' }, 'list', { kind: 'installation', resource: 'users' }, 'stale'],
    ['an administrator no more', user({ role: 'ADMIN' }), { standing: 'MANAGER' }, 'list', { kind: 'installation', resource: 'users' }, 'no'],
    ['an administrator, revoked', user({ role: 'ADMIN' }), {}, 'list', { kind: 'installation', resource: 'users' }, 'gone'],
    ['an administrator with an access token', user({ role: 'ADMIN', via: 'accessToken', scopes: TOKEN_SCOPES }), { standing: 'ADMIN' }, 'list', { kind: 'installation', resource: 'users' }, 'no'],
    ['a manager', user({ role: 'MANAGER' }), { standing: 'MANAGER' }, 'list', { kind: 'installation', resource: 'users' }, 'no'],
    ['a viewer makes no project', user({ role: 'VIEWER' }), {}, 'create', { kind: 'installation', resource: 'projects' }, 'no'],
    ['a developer makes one', user(), {}, 'create', { kind: 'installation', resource: 'projects' }, 'yes'],
    ['one\'s own profile', user({ role: 'VIEWER' }), {}, 'patch', { kind: 'user', resource: 'users', userId: ME }, 'yes'],
    ['somebody else\'s', user({ role: 'ADMIN' }), { standing: 'ADMIN' }, 'get', { kind: 'user', resource: 'accesstokens', userId: OTHER }, 'hidden'],
    ['a token that makes tokens', user({ via: 'accessToken', scopes: TOKEN_SCOPES }), { standing: 'DEVELOPER' }, 'create', { kind: 'user', resource: 'accesstokens', userId: ME }, 'no'],
    ['a token of too small a scope', user({ via: 'accessToken', scopes: ['read'] }), { place: { ownerId: ME } }, 'patch', project('tasks'), 'no'],
    ['a token of too small a scope, at what is not its owner\'s', user({ via: 'accessToken', scopes: ['read'] }), { place: {} }, 'patch', project('tasks'), 'hidden'],
    ['an id that cannot be', user({ role: 'ADMIN' }), { standing: 'ADMIN' }, 'get', { kind: 'project', resource: 'tasks', projectId: '*' }, 'hidden'],
  ])('%s', async (_, principal, circumstances, verb, target, decision) => {
    const can = canIn(circumstances);
    expect(await can.decide(principal, verb, target)).toBe(decision);
    expect(await can(principal, verb, target)).toBe(decision === 'yes');
  });

  test.each<[Decision, string]>([['gone', 'UNAUTHENTICATED'], ['factor', 'MFA_REQUIRED'], ['stale', 'RECENT_SIGN_IN_REQUIRED'], ['hidden', 'NOT_FOUND'], ['no', 'FORBIDDEN']])('%s is told as %s', async (decision, code) => {
    const can = canBy(() => Promise.resolve(decision), () => new Map());
    await expect(demand(can, user(), 'get', project('tasks'))).rejects.toMatchObject({ publicCode: code });
  });

  test('any role, any place, any verb: never more than the tables', async () => {
    const target = fc.oneof(
      fc.constantFrom(...PROJECT_RESOURCES).map((resource): Target => ({ kind: 'project', resource, projectId: PROJECT })),
      fc.constantFrom(...NAMESPACE_RESOURCES).map((resource): Target => ({ kind: 'namespace', resource, namespace: 'team-a' })),
      fc.constantFrom(...USER_RESOURCES).map((resource): Target => ({ kind: 'user', resource, userId: OTHER })),
    );
    await fc.assert(fc.asyncProperty(target, fc.constantFrom(...VERBS), fc.constantFrom(...USER_ROLES), fc.option(fc.constantFrom(...MEMBER_ROLES)), async (where, verb, role, memberRole) => {
      const yes = await canIn({ place: { memberRole, userRole: role }, standing: role })(user({ role }), verb, where);
      if (where.kind === 'user') return !yes;
      return !yes || (where.kind !== 'installation' && mayInProject(role, memberRole ?? undefined, verb, where.resource));
    }));
  });
});

describe('a Kubernetes principal', () => {
  const ci = { kind: 'kubernetes', name: 'system:serviceaccount:team-a:ci', groups: [] } as const;
  function kube(grants: readonly string[], place?: Partial<ProjectPlace>) {
    const known: ProjectPlace = { id: PROJECT, ownerId: OTHER, namespace: 'team-a', deleted: false, memberRole: null, userRole: null, ...place };
    return createCan({
      authorizer: { allowed: (_, verb, { resource, namespace }) => Promise.resolve(grants.includes(`${verb} ${resource} ${namespace ?? '*'}`)) },
      places: { byProject: (id) => Promise.resolve(id === PROJECT ? known : undefined), byNamespace: () => Promise.resolve(known) },
      standing: { standing: () => Promise.resolve(undefined) }, clock,
    });
  }
  test.each<[string, readonly string[], Partial<ProjectPlace>, Verb, Target, Decision]>([
    ['the right in the namespace of the project', ['patch tasks team-a'], {}, 'patch', project('tasks'), 'yes'],
    ['the right elsewhere', ['patch tasks team-b', 'get projects team-b'], {}, 'patch', project('tasks'), 'hidden'],
    ['another right there', ['get tasks team-a'], {}, 'patch', project('tasks'), 'hidden'],
    ['sees the project, may not do it', ['get projects team-a'], {}, 'patch', project('tasks'), 'no'],
    ['a project without a namespace', ['patch tasks team-a', 'patch tasks *'], { namespace: null }, 'patch', project('tasks'), 'hidden'],
    ['a project in the bin', ['patch tasks team-a'], { deleted: true }, 'patch', project('tasks'), 'hidden'],
    ['a project that is not there', ['patch tasks team-a'], {}, 'patch', { kind: 'project', resource: 'tasks', projectId: uuid(9) }, 'hidden'],
    ['what administrators do, with the right in the namespace', ['patch projects team-a', 'get projects team-a'], {}, 'patch', project('projects', true), 'no'],
    ['what administrators do, with the right everywhere', ['patch projects *'], {}, 'patch', project('projects', true), 'yes'],
    ['the audit, with the right everywhere', ['list audit *'], {}, 'list', { kind: 'installation', resource: 'audit' }, 'yes'],
    ['the audit', ['list audit team-a'], {}, 'list', { kind: 'installation', resource: 'audit' }, 'no'],
    ['what is a person\'s own', ['get users *'], {}, 'get', { kind: 'user', resource: 'users', userId: OTHER }, 'hidden'],
  ])('%s', async (_, grants, place, verb, target, decision) => { expect(await kube(grants, place).decide(ci, verb, target)).toBe(decision); });
});
