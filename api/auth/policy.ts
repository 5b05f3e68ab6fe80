import type { INSTALLATION_RESOURCES, MemberRole, NAMESPACE_RESOURCES, PROJECT_RESOURCES, Target, TokenScope, USER_RESOURCES, UserRole, Verb } from '../ports.ts';

/*
 * Who may do what, as data. Whatever is not listed is not allowed. docs/authentication.md shows these tables; a test holds
 * the page to them.
 */

/** What somebody is in a project. Its owner stands in the row of the project, the others among the members. */
export type PlaceRole = 'OWNER' | MemberRole;
/** Resources below a project: its own rows, and the objects of the namespace bound to it. */
export type PlaceResource = (typeof PROJECT_RESOURCES)[number] | (typeof NAMESPACE_RESOURCES)[number];
type Rights<Resource extends string> = Readonly<Record<Resource, readonly Verb[]>>;

const NONE: readonly Verb[] = [];
const READ: readonly Verb[] = ['get', 'list', 'watch'];
const ALL: readonly Verb[] = ['get', 'list', 'watch', 'create', 'patch', 'delete'];
const EDIT: readonly Verb[] = ['get', 'list', 'watch', 'patch'];

const VIEWER: Rights<PlaceResource> = {
  projects: READ, tasks: READ, members: READ, sprints: READ, tickets: READ, requirements: READ, workflows: READ, agents: READ, files: READ, events: READ,
  workflowruns: READ, runnerpools: READ, models: READ, toolservers: READ, agentruns: READ, agentapprovals: READ,
};
const AGENT: Rights<PlaceResource> = {
  ...VIEWER, tasks: EDIT, files: [...READ, 'create'], workflowruns: [...READ, 'create'],
};
const DEVELOPER: Rights<PlaceResource> = {
  ...VIEWER, tasks: ALL, sprints: ALL, tickets: ALL, requirements: ALL, workflows: ALL, agents: ALL, files: ALL, workflowruns: [...READ, 'create', 'patch'], agentapprovals: EDIT,
};
const MANAGER: Rights<PlaceResource> = { ...DEVELOPER, projects: EDIT, members: ALL, agentruns: EDIT };

/** Rights in a project by what somebody is there. Handing a project over and restoring a deleted one are `delete projects`. */
export const PROJECT_RIGHTS: Readonly<Record<PlaceRole, Rights<PlaceResource>>> = {
  OWNER: { ...MANAGER, projects: ALL }, MANAGER, DEVELOPER, VIEWER, AGENT,
};

/** Nobody has more rights in a project than the role in the installation lets them, owners too. */
export const ROLE_CAPS: Readonly<Record<UserRole, Rights<PlaceResource>>> = {
  ADMIN: PROJECT_RIGHTS.OWNER, MANAGER: PROJECT_RIGHTS.OWNER, DEVELOPER: PROJECT_RIGHTS.OWNER, VIEWER, AGENT,
};

/** Rights over one's own things. Nobody has any over those of somebody else here: administrators go by the installation. */
export const OWN_RIGHTS: Readonly<Record<UserRole, Rights<(typeof USER_RESOURCES)[number]>>> = {
  ADMIN: { users: EDIT, accesstokens: ALL, imports: ALL, agents: ALL },
  MANAGER: { users: EDIT, accesstokens: ALL, imports: ALL, agents: ALL },
  DEVELOPER: { users: EDIT, accesstokens: ALL, imports: ALL, agents: ALL },
  VIEWER: { users: EDIT, accesstokens: ALL, imports: READ, agents: READ },
  AGENT: { users: READ, accesstokens: READ, imports: READ, agents: READ },
};

/** Rights over the installation. A list of projects holds those within reach, so everybody may ask for it. */
export const INSTALLATION_RIGHTS: Readonly<Record<UserRole, Rights<(typeof INSTALLATION_RESOURCES)[number]>>> = {
  ADMIN: { projects: [...READ, 'create'], users: ALL, audit: READ, schema: READ, budgets: EDIT },
  MANAGER: { projects: [...READ, 'create'], users: NONE, audit: NONE, schema: NONE, budgets: NONE },
  DEVELOPER: { projects: [...READ, 'create'], users: NONE, audit: NONE, schema: NONE, budgets: NONE },
  VIEWER: { projects: READ, users: NONE, audit: NONE, schema: NONE, budgets: NONE },
  AGENT: { projects: READ, users: NONE, audit: NONE, schema: NONE, budgets: NONE },
};

/** What a personal access token is good for, by scope. Its owner's rights cap it besides. */
export const SCOPE_VERBS: Readonly<Record<TokenScope, { readonly runs: readonly Verb[]; readonly rest: readonly Verb[] }>> = {
  read: { runs: READ, rest: READ },
  write: { runs: NONE, rest: ['create', 'patch', 'delete'] },
  runs: { runs: [...READ, 'create', 'patch'], rest: NONE },
};

/** A sign-in counts as recent for so long. */
export const RECENT_SIGN_IN_MS = 15 * 60_000;

/** How grave a verb is: an `admin` one needs the role, a second factor and a recent sign-in; a `sensitive` one is checked past every cache. */
export type Gravity = 'plain' | 'sensitive' | 'admin';

/** How grave it is to do `verb` there. */
export function gravityOf(verb: Verb, target: Target): Gravity {
  if (target.kind === 'installation' && (target.resource === 'users' || target.resource === 'audit' || target.resource === 'budgets')) return 'admin';
  if (target.kind === 'project' && target.admin === true) return 'admin';
  const reads = READ.includes(verb);
  if (target.kind === 'user' && target.resource === 'accesstokens' && !reads) return 'sensitive';
  if (target.kind === 'project' && !reads && (target.resource === 'members' || (target.resource === 'projects' && verb === 'delete'))) return 'sensitive';
  return 'plain';
}

/** What hangs below a run goes by the scopes of runs. */
const OF_RUNS: ReadonlySet<string> = new Set<Target['resource']>(['workflowruns', 'agentruns', 'agentapprovals']);

/**
 * Whether an access token of these scopes is good for it. Tokens never make tokens, never do what administrators do, and never decide for a
 * person: what an agent asks people about, and what it may spend beyond its budget.
 */
export function withinScopes(scopes: readonly TokenScope[], verb: Verb, target: Target): boolean {
  const reads = READ.includes(verb);
  if (gravityOf(verb, target) === 'admin' || (target.kind === 'user' && target.resource === 'accesstokens' && !reads)) return false;
  if ((target.resource === 'agentapprovals' || target.resource === 'agentruns') && !reads) return false;
  return scopes.some((scope) => SCOPE_VERBS[scope][OF_RUNS.has(target.resource) ? 'runs' : 'rest'].includes(verb));
}

/** Whether somebody of this role in the installation, who is `place` there (undefined: nothing), may do it in a project. */
export function mayInProject(role: UserRole, place: PlaceRole | undefined, verb: Verb, resource: PlaceResource): boolean {
  const standing = role === 'ADMIN' ? 'OWNER' : place;
  return standing !== undefined && PROJECT_RIGHTS[standing][resource].includes(verb) && ROLE_CAPS[role][resource].includes(verb);
}
