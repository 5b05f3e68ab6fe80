import { systemIds } from '../../../platform/ids/index.ts';
import type { Fixture } from './matrix-fixture.ts';

/** Who calls. All but the last four have a token that is good. */
export const CALLERS = [
  'owner', 'manager', 'developer', 'viewer', 'agent', 'owner of another project', 'administrator', 'administrator without a second factor', 'administrator signed in long ago', 'Kubernetes account with the right',
  'Kubernetes account with the right elsewhere', 'token that reads', 'token that writes', 'token for runs', 'token that has run out', 'token that was revoked', 'token that was tampered with', 'no token',
] as const;
/** One of them. */
export type Caller = (typeof CALLERS)[number];

/** What a caller gets: it is done, or refused as what they know of, or as what is not there; or they are nobody. */
export type Answer = 'yes' | '403' | '404' | '401' | 'MFA_REQUIRED' | 'RECENT_SIGN_IN_REQUIRED';

/** What callers get who are not named. */
interface Policy {
  /** Of those who reach the project: who may. */
  readonly may: readonly Caller[];
  /** What others get who know of it, and who do not. */
  readonly otherwise: Answer;
  readonly stranger: Answer;
  readonly special?: Readonly<Partial<Record<Caller, Answer>>>;
}

const KUBE: Caller = 'Kubernetes account with the right';
const READ: readonly Caller[] = ['owner', 'manager', 'developer', 'viewer', 'agent', 'administrator', 'administrator without a second factor', 'administrator signed in long ago', KUBE, 'token that reads'];
const ADMINS: readonly Caller[] = ['administrator', 'administrator without a second factor', 'administrator signed in long ago'];
const WORK: readonly Caller[] = ['owner', 'manager', 'developer', ...ADMINS, KUBE, 'token that writes'];

const reads: Policy = { may: READ, otherwise: '403', stranger: '404' };
const works: Policy = { may: WORK, otherwise: '403', stranger: '404' };
const worksOrAgent: Policy = { ...works, may: [...WORK, 'agent'] };
const manages: Policy = { may: WORK.filter((caller) => caller !== 'developer'), otherwise: '403', stranger: '404' };
const owns: Policy = { may: manages.may.filter((caller) => caller !== 'manager'), otherwise: '403', stranger: '404' };
/** What administrators do. */
const administers: Policy = {
  may: ['administrator', KUBE], otherwise: '403', stranger: '403',
  special: { 'administrator without a second factor': 'MFA_REQUIRED', 'administrator signed in long ago': 'RECENT_SIGN_IN_REQUIRED' },
};
const administersProject: Policy = { ...administers, stranger: '404', special: { ...administers.special, 'Kubernetes account with the right elsewhere': '404' } };
/** In a namespace: lists and starts, which depend on the namespace alone. */
const listsRuns: Policy = { may: [...READ, 'token for runs'], otherwise: '403', stranger: '403' };
const listsObjects: Policy = { may: READ, otherwise: '403', stranger: '403' };
const startsRuns: Policy = { may: ['owner', 'manager', 'developer', 'agent', ...ADMINS, KUBE, 'token for runs'], otherwise: '403', stranger: '403' };
const PEOPLE: readonly Caller[] = ['owner', 'manager', 'developer', 'viewer', 'agent', 'owner of another project', ...ADMINS];
/** Of oneself. Kubernetes accounts are no persons. */
const seesSelf: Policy = { may: [...PEOPLE, 'token that reads'], otherwise: '403', stranger: '403' };
const changesSelf: Policy = { may: [...PEOPLE.filter((caller) => caller !== 'agent'), 'token that writes'], otherwise: '403', stranger: '403' };
const signedIn: Policy = { may: PEOPLE.filter((caller) => caller !== 'agent'), otherwise: '403', stranger: '403' };
const anybody: Policy = { may: CALLERS, otherwise: '403', stranger: '403' };

/** How an operation is asked, and who gets what. */
export interface Row {
  readonly policy: Policy;
  /** Its input, about the things of a fixture. */
  readonly input: (at: Fixture) => Readonly<Record<string, unknown>>;
  /** Before it can be asked: lies in the bin. */
  readonly deleted?: 'project' | 'sprint' | 'task' | 'ticket' | 'requirement' | 'projectWorkflow' | 'projectAgent' | 'file';
  /** Those who may and still cannot, because they are not a user, or not of the right kind; with the status they get. */
  readonly but?: Readonly<Partial<Record<Caller, number>>>;
  /** What is not there is not asked for: the place alone matters, or it is the caller's own. */
  readonly placeless?: true;
}

type Kind = 'sprint' | 'task' | 'ticket' | 'requirement';

function childRows(kind: Kind, create: Readonly<Record<string, unknown>>, change: Readonly<Record<string, unknown>>): Record<string, Row> {
  const name = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
  const byId = (at: Fixture) => ({ id: at[kind] });
  return {
    [`${kind}s`]: { policy: reads, input: (at) => ({ projectId: at.project }) },
    [kind]: { policy: reads, input: byId },
    [`create${name}`]: { policy: works, input: (at) => ({ projectId: at.project, ...create }) },
    [`update${name}`]: { policy: kind === 'task' ? worksOrAgent : works, input: (at) => ({ ...byId(at), version: 1, ...change }) },
    [`delete${name}`]: { policy: works, input: byId },
    [`restore${name}`]: { policy: works, input: byId, deleted: kind },
  };
}

/** Kubernetes accounts cannot own anything. */
const persons = { [KUBE]: 403 } as const;
const steersRuns: Policy = { ...startsRuns, may: startsRuns.may.filter((caller) => caller !== 'agent'), stranger: '404', special: { 'token that writes': '404' } };
const run = (at: Fixture) => ({ id: at.run });
const project = (at: Fixture) => ({ id: at.project });

/** Of what belongs to the owner alone. */
const ownersAlone: Policy = { may: ['owner', 'token that reads'], otherwise: '404', stranger: '404', special: { 'token that writes': '403', 'token for runs': '403' } };
const workflow = (at: Fixture) => ({ id: at.projectWorkflow });
const agent = (at: Fixture) => ({ id: at.projectAgent });
const file = (at: Fixture) => ({ id: at.file });
const spec = { nodes: [{ name: 'a', type: 'transform', with: { output: 1 } }] };

const agentRun = (at: Fixture) => ({ id: at.agentRun });
const approval = (at: Fixture) => ({ id: at.approval });
const asked = (at: Fixture) => ({ id: at.asked });
const talk = (at: Fixture) => ({ id: at.conversation });
const seesAgentRun: Policy = { ...listsRuns, otherwise: '404', stranger: '404' };
/** People decide, never a token of theirs; who sees what waits is told that they may not. */
const decides: Policy = { may: ['owner', 'manager', 'developer', ...ADMINS, KUBE], otherwise: '403', stranger: '404', special: { 'token that writes': '404' } };
const raises: Policy = { ...decides, may: decides.may.filter((caller) => caller !== 'developer') };
/** A conversation is its caller's, whoever else may see everything there. */
const ownTalk: Policy = { may: ['owner', 'token that reads', 'token for runs'], otherwise: '404', stranger: '404' };

/** A row for every operation: one that has none fails the test. */
export const ROWS: Readonly<Record<string, Row>> = {
  me: { policy: seesSelf, input: () => ({}), placeless: true },
  updateProfile: { policy: changesSelf, input: () => ({ displayName: 'New' }), placeless: true },
  revokeSessions: { policy: changesSelf, input: () => ({}), placeless: true, but: { 'token that writes': 403 } },
  requestEmailVerification: { policy: changesSelf, input: () => ({}), placeless: true },
  requestPasswordReset: { policy: anybody, input: () => ({ email: 'somebody@example.com' }), placeless: true },
  createAccessToken: { policy: signedIn, input: () => ({ name: 'CI', scopes: ['read'], expiresInDays: 1 }), placeless: true },
  accessTokens: { policy: seesSelf, input: () => ({}), placeless: true },
  revokeAccessToken: { policy: { may: ['owner'], otherwise: '404', stranger: '404', special: { 'token that writes': '403', 'token that reads': '403', 'token for runs': '403' } }, input: (at) => ({ id: at.accessToken }) },
  users: { policy: administers, input: () => ({}), placeless: true },
  user: { policy: administers, input: (at) => ({ id: at.viewer }), placeless: true },
  setUserRole: { policy: administers, input: (at) => ({ id: at.viewer, role: 'MANAGER' }), placeless: true },
  disableUser: { policy: administers, input: (at) => ({ id: at.viewer }), placeless: true },
  enableUser: { policy: administers, input: (at) => ({ id: at.viewer }), placeless: true },
  importAccounts: { policy: administers, input: () => ({}), placeless: true },
  auditEntries: { policy: administers, input: () => ({}), placeless: true },

  projects: { policy: { ...seesSelf, may: [...seesSelf.may, KUBE] }, input: () => ({}), placeless: true },
  project: { policy: reads, input: project },
  createProject: {
    policy: { may: ['owner', 'manager', 'developer', 'viewer', 'owner of another project', ...ADMINS, KUBE, 'token that writes'], otherwise: '403', stranger: '403' }, input: () => ({ name: 'New' }), placeless: true, but: persons,
  },
  updateProject: { policy: manages, input: (at) => ({ ...project(at), version: 1, name: 'New' }) },
  transferProject: { policy: owns, input: (at) => ({ ...project(at), version: 1, ownerId: at.manager }) },
  bindProjectNamespace: { policy: administersProject, input: (at) => ({ ...project(at), version: 1, namespace: `ns-${systemIds.secret().slice(0, 12)}` }) },
  deleteProject: { policy: owns, input: project },
  restoreProject: {
    policy: { ...owns, may: owns.may.filter((caller) => caller !== KUBE), special: { manager: '404', developer: '404', viewer: '404', agent: '404', [KUBE]: '404' } }, input: project, deleted: 'project',
  },
  projectMembers: { policy: reads, input: (at) => ({ projectId: at.project }) },
  addProjectMember: { policy: manages, input: (at) => ({ projectId: at.project, userId: at.nobody, role: 'VIEWER' }) },
  updateProjectMember: { policy: manages, input: (at) => ({ projectId: at.project, userId: at.viewer, role: 'DEVELOPER' }) },
  removeProjectMember: { policy: manages, input: (at) => ({ projectId: at.project, userId: at.viewer }) },
  leaveProject: { policy: { ...reads, may: READ.filter((caller) => caller !== 'token that reads') }, input: project, but: { owner: 404, [KUBE]: 404, administrator: 404, 'administrator without a second factor': 404, 'administrator signed in long ago': 404 } },
  projectInvitations: { policy: manages, input: (at) => ({ projectId: at.project }) },
  inviteProjectMember: { policy: manages, input: (at) => ({ projectId: at.project, email: 'new@example.com', role: 'VIEWER' }) },
  revokeProjectInvitation: { policy: manages, input: (at) => ({ id: at.invitation }) },
  invitations: { policy: { ...seesSelf, may: [...seesSelf.may, KUBE, 'Kubernetes account with the right elsewhere'] }, input: () => ({}), placeless: true },
  acceptProjectInvitation: { policy: { may: [], otherwise: '404', stranger: '404', special: { 'token that reads': '403', 'token for runs': '403' } }, input: (at) => ({ id: at.invitation }) },
  projectChanges: { policy: reads, input: (at) => ({ projectId: at.project }) },

  ...childRows('task', { title: 'New' }, { title: 'New' }),
  taskRuns: { policy: reads, input: (at) => ({ id: at.task }) },
  // Whoever cannot see the task cannot start something for it.
  startTaskRun: { policy: { ...startsRuns, may: startsRuns.may.filter((caller) => caller !== 'token for runs'), stranger: '404', special: { 'token for runs': '404', 'token that writes': '404' } }, input: (at) => ({ id: at.task, workflow: 'build' }) },
  ...childRows('sprint', { name: 'New' }, { name: 'New' }),
  ...childRows('ticket', { title: 'New' }, { title: 'New' }),
  ...childRows('requirement', { title: 'New' }, { title: 'New' }),

  projectAgents: { policy: reads, input: (at) => ({ projectId: at.project }) },
  projectAgent: { policy: reads, input: agent },
  createProjectAgent: { policy: works, input: (at) => ({ projectId: at.project, name: 'New', type: 'T' }), but: persons },
  updateProjectAgent: { policy: works, input: (at) => ({ ...agent(at), version: 1, name: 'New' }) },
  deleteProjectAgent: { policy: works, input: agent },
  restoreProjectAgent: { policy: works, input: agent, deleted: 'projectAgent' },
  globalAgents: { policy: seesSelf, input: () => ({}), placeless: true },
  createGlobalAgent: { policy: changesSelf, input: () => ({ name: 'New', type: 'T' }), placeless: true },

  projectWorkflows: { policy: reads, input: (at) => ({ projectId: at.project }) },
  projectWorkflow: { policy: reads, input: workflow },
  projectWorkflowNodes: { policy: reads, input: workflow },
  createProjectWorkflow: { policy: works, input: (at) => ({ projectId: at.project, name: 'New', definition: spec }), but: persons },
  updateProjectWorkflow: { policy: works, input: (at) => ({ ...workflow(at), version: 1, name: 'New' }) },
  publishWorkflow: { policy: works, input: workflow },
  unpublishWorkflow: { policy: works, input: workflow },
  deleteProjectWorkflow: { policy: works, input: workflow },
  restoreProjectWorkflow: { policy: works, input: workflow, deleted: 'projectWorkflow' },

  files: { policy: reads, input: (at) => ({ projectId: at.project }) },
  file: { policy: reads, input: file },
  downloadFile: { policy: reads, input: file },
  createFolder: { policy: worksOrAgent, input: (at) => ({ projectId: at.project, name: 'New' }) },
  createFile: { policy: worksOrAgent, input: (at) => ({ projectId: at.project, name: 'New', contentType: 'text/plain', size: 1, sha256: '0'.repeat(64) }) },
  completeUpload: { policy: worksOrAgent, input: file },
  renameFile: { policy: works, input: (at) => ({ ...file(at), version: 1, name: 'New' }) },
  moveFile: { policy: works, input: (at) => ({ ...file(at), version: 1, parentId: at.folder }) },
  deleteFile: { policy: works, input: file },
  restoreFile: { policy: works, input: file, deleted: 'file' },

  importPrototype: { policy: changesSelf, input: () => ({ export: {} }), placeless: true },
  imports: { policy: seesSelf, input: () => ({}), placeless: true },
  import: { policy: ownersAlone, input: (at) => ({ id: at.imported }) },
  importItems: { policy: ownersAlone, input: (at) => ({ importId: at.imported }) },
  importedRecord: { policy: ownersAlone, input: (at) => ({ importId: at.imported, position: 0 }) },

  runs: { policy: listsRuns, input: (at) => ({ namespace: at.namespace }) },
  run: { policy: { ...listsRuns, otherwise: '404', stranger: '404' }, input: run },
  startRun: { policy: startsRuns, input: (at) => ({ namespace: at.namespace, workflow: 'build' }) },
  cancelRun: { policy: steersRuns, input: run },
  suspendRun: { policy: steersRuns, input: run },
  resumeRun: { policy: steersRuns, input: run },
  workflows: { policy: listsObjects, input: (at) => ({ namespace: at.namespace }) },
  workflow: { policy: { ...listsObjects, otherwise: '404', stranger: '404' }, input: (at) => ({ namespace: at.namespace, name: 'build' }) },
  runnerPools: { policy: listsObjects, input: (at) => ({ namespace: at.namespace }) },

  agentDefinitions: { policy: listsObjects, input: (at) => ({ namespace: at.namespace }) },
  agentDefinition: { policy: { ...listsObjects, otherwise: '404', stranger: '404' }, input: (at) => ({ namespace: at.namespace, name: 'triage' }) },
  models: { policy: listsObjects, input: (at) => ({ namespace: at.namespace }) },
  model: { policy: { ...listsObjects, otherwise: '404', stranger: '404' }, input: (at) => ({ namespace: at.namespace, name: 'large' }) },
  toolServers: { policy: listsObjects, input: (at) => ({ namespace: at.namespace }) },
  toolServer: { policy: { ...listsObjects, otherwise: '404', stranger: '404' }, input: (at) => ({ namespace: at.namespace, name: 'tickets' }) },
  agentRuns: { policy: listsRuns, input: (at) => ({ namespace: at.namespace }) },
  agentRun: { policy: seesAgentRun, input: agentRun },
  agentSteps: { policy: seesAgentRun, input: agentRun },
  replayAgentRun: { policy: seesAgentRun, input: agentRun },
  startAgentRun: { policy: startsRuns, input: (at) => ({ namespace: at.namespace, agent: 'triage', input: 'hello' }) },
  agentConversations: { policy: listsRuns, input: (at) => ({ namespace: at.namespace, agent: 'triage' }) },
  agentConversation: { policy: ownTalk, input: talk },
  agentConversationTurns: { policy: ownTalk, input: talk },
  sendAgentMessage: { policy: { may: ['owner', 'token for runs'], otherwise: '404', stranger: '404', special: { 'token that reads': '403' } }, input: (at) => ({ ...talk(at), input: 'more' }) },
  agentApprovals: { policy: listsRuns, input: (at) => ({ namespace: at.namespace }) },
  agentApproval: { policy: seesAgentRun, input: approval },
  decideAgentApproval: { policy: decides, input: (at) => ({ ...approval(at), hash: 'a'.repeat(64), decision: 'Approve' }) },
  agentInputs: { policy: listsRuns, input: (at) => ({ namespace: at.namespace }) },
  agentInput: { policy: seesAgentRun, input: asked },
  answerAgentInput: { policy: decides, input: (at) => ({ ...asked(at), hash: 'a'.repeat(64), answers: { q: { action: 'accept', content: {} } } }) },
  agentDoubts: { policy: listsRuns, input: (at) => ({ namespace: at.namespace }) },
  settleAgentDoubt: { policy: decides, input: (at) => ({ ...agentRun(at), callId: 's1c1', verdict: 'DidNotHappen' }) },
  raiseAgentBudget: { policy: raises, input: (at) => ({ ...agentRun(at), level: 'AgentRun', tokens: 5_000 }) },
  budgetLimits: { policy: administers, input: (at) => ({ namespace: at.namespace }), placeless: true },
  setBudgetLimit: { policy: administers, input: (at) => ({ namespace: at.namespace, level: 'NamespaceDay', tokens: 1_000_000, usd: 5 }), placeless: true },
};

/** What a caller gets of an operation. */
export function expected({ policy }: Row, caller: Caller): Answer {
  if (policy === anybody) return 'yes';
  if (['token that has run out', 'token that was revoked', 'token that was tampered with', 'no token'].includes(caller)) return '401';
  if (policy.may.includes(caller)) return 'yes';
  const special = policy.special?.[caller];
  if (special !== undefined) return special;
  return caller === 'owner of another project' || caller === 'Kubernetes account with the right elsewhere' ? policy.stranger : policy.otherwise;
}
