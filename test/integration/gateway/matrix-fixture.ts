import { createHash } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { openIdentity } from '../../../api/auth/identity.ts';
import { makeAccessToken } from '../../../api/auth/access-tokens.ts';
import { accountStands, asUserRole } from '../../../api/auth/accounts.ts';
import { apiConfigSchema } from '../../../api/config.ts';
import { INSTALLATION_RESOURCES, NAMESPACE_RESOURCES, PROJECT_RESOURCES, type TokenScope, USER_RESOURCES, VERBS } from '../../../api/ports.ts';
import { poolRow, workflowRow } from '../../../api/testing/rows.ts';
import { systemClock } from '../../../platform/clock/index.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import type { ObjectStore } from '../../../platform/objects/index.ts';
import type { GatewayDb } from '../../../prisma/gateway/index.ts';
import { accessTokenById, accountById } from '../../../prisma/store/index.ts';
import { shardOf } from '../../../platform/messages/subjects.ts';
import { type Person, Site } from './site.ts';
import type { Caller } from './matrix-rows.ts';

/** Ids of a project and of one thing of every kind in it. */
export interface Fixture {
  readonly project: string; readonly namespace: string; readonly task: string; readonly sprint: string; readonly ticket: string; readonly requirement: string; readonly invitation: string; readonly run: string;
  readonly projectWorkflow: string; readonly projectAgent: string; readonly file: string; readonly folder: string; readonly imported: string; readonly agentRun: string; readonly approval: string; readonly asked: string; readonly conversation: string;
  readonly accessToken: string; readonly manager: string; readonly viewer: string; readonly nobody: string;
}

/** A site with people of every kind; users sign in as their World says, access tokens are real. */
export async function matrixSite(): Promise<Site> {
  const config = apiConfigSchema.parse({ RAMBO_DATABASE_URL: 'unused', RAMBO_NATS_URL: 'unused', RAMBO_NATS_CREDS_FILE: 'unused' });
  return Site.start(async (ports, world) => {
    world.reply = async (command) => {
      if (command.verb === 'start') await ports.gateway.transaction((tx) => insertRun(tx, command.runId, command.namespace));
      return { v: 1, ok: true, runId: command.runId, version: 1 };
    };
    const identity = await openIdentity({ config, kubernetes: ports.authenticator, db: ports.db, gateway: ports.gateway, clock: systemClock, ids: systemIds, log: world.log(), metrics: world.metrics() });
    return {
      objects: signs,
      authenticator: identity.authenticator,
      standing: { standing: async (principal) => {
        const account = await accountById(ports.db, principal.userId);
        const token = principal.tokenId === undefined ? undefined : await accessTokenById(ports.db, principal.tokenId);
        if (principal.via === 'accessToken' && token?.revokedAt !== null) return undefined;
        return account !== undefined && accountStands(account, principal.signedInAt) ? asUserRole(account.role) : undefined;
      } },
    };
  });
}

/** The tokens of all callers, and the things they ask about. */
export class Matrix {
  readonly site: Site;
  readonly #tokens = new Map<Caller, string | undefined>();
  readonly #people = new Map<Caller, Person>();

  constructor(site: Site) {
    this.site = site;
  }

  /** Makes everybody. */
  async prepare(): Promise<void> {
    const { site } = this;
    const long = Date.now() - 86_400_000;
    const people: readonly [Caller, Person][] = [
      ['owner', await site.person()], ['manager', await site.person()], ['developer', await site.person()], ['viewer', await site.person()], ['agent', await site.person('AGENT')],
      ['owner of another project', await site.person('MANAGER')], ['administrator', await site.person('ADMIN')],
      ['administrator without a second factor', await site.person('ADMIN', { secondFactor: false })], ['administrator signed in long ago', await site.person('ADMIN', { signedInAt: long })],
    ];
    for (const [caller, person] of people) {
      this.#people.set(caller, person);
      this.#tokens.set(caller, person.token);
      // An address that is not proven, so that all can ask for a mail.
      const user = site.world.users.get(person.token);
      if (user !== undefined) site.world.users.set(person.token, { ...user, emailVerified: false });
    }
    await site.gateway.read((db) => db.user.updateMany({ data: { emailVerified: false } }));
    const day = 86_400_000;
    const token = (scopes: readonly TokenScope[], over: object = {}): Promise<string> => this.#accessToken(this.person('owner').userId, scopes, over);
    this.#tokens.set('token that reads', await token(['read']));
    this.#tokens.set('token that writes', await token(['write']));
    this.#tokens.set('token for runs', await token(['runs']));
    this.#tokens.set('token that has run out', await token(['read', 'write', 'runs'], { createdAt: new Date(Date.now() - 2 * day), expiresAt: new Date(Date.now() - day) }));
    this.#tokens.set('token that was revoked', await token(['read', 'write', 'runs'], { revokedAt: new Date() }));
    const good = await token(['read', 'write', 'runs']);
    this.#tokens.set('token that was tampered with', `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`);
    this.#tokens.set('Kubernetes account with the right', 'alice');
    this.#tokens.set('Kubernetes account with the right elsewhere', 'bob');
    this.#tokens.set('no token', undefined);
    for (const resource of [...INSTALLATION_RESOURCES, ...PROJECT_RESOURCES, ...USER_RESOURCES]) for (const verb of VERBS) site.world.grants.add(`alice ${verb} ${resource} *`);
    grant(site, 'bob', 'team-b');
  }

  person(caller: Caller): Person {
    const person = this.#people.get(caller);
    if (person === undefined) throw new Error(`${caller} is no person`);
    return person;
  }

  token(caller: Caller): string | undefined {
    return this.#tokens.get(caller);
  }

  async #accessToken(userId: string, scopes: readonly TokenScope[], over: object = {}): Promise<string> {
    const { token, hash } = makeAccessToken();
    const createdAt = new Date();
    await this.site.gateway.read((db) => db.accessToken.create({ data: {
      id: systemIds.uuid(), userId, name: 'T', hash: Uint8Array.from(hash), scopes: [...scopes], createdAt, expiresAt: new Date(createdAt.getTime() + 86_400_000), ...over,
    } }));
    return token;
  }

  /** A project of the owner with its members, in a namespace of its own, and one thing of every kind in it. */
  async fixture(deleted?: string): Promise<Fixture> {
    const { site } = this;
    const id = systemIds.uuid;
    const at = new Date();
    const nobody = await site.person();
    const viewer = await site.person();
    const made: Fixture = {
      project: id(), namespace: `ns-${systemIds.secret().slice(0, 16)}`, task: id(), sprint: id(), ticket: id(), requirement: id(), invitation: id(), run: id(), projectWorkflow: id(), projectAgent: id(), file: id(), folder: id(), imported: id(), agentRun: id(), approval: id(), asked: id(), conversation: id(), accessToken: id(),
      manager: this.person('manager').userId, viewer: viewer.userId, nobody: nobody.userId,
    };
    const common = { projectId: made.project, createdAt: at, updatedAt: at };
    const bin = (kind: string): { deletedAt?: Date } => (deleted === kind ? { deletedAt: at } : {});
    const members = [['manager', 'MANAGER'], ['developer', 'DEVELOPER'], ['viewer', 'VIEWER'], ['agent', 'AGENT']] as const;
    await site.gateway.transaction(async (tx) => {
      await tx.project.create({ data: { id: made.project, name: 'P', status: 'ACTIVE', ownerId: this.person('owner').userId, namespace: made.namespace, createdAt: at, updatedAt: at, ...bin('project') } });
      await tx.projectMember.createMany({ data: [...members.map(([caller, role]) => ({ projectId: made.project, userId: this.person(caller).userId, role, createdAt: at })), { projectId: made.project, userId: made.viewer, role: 'VIEWER', createdAt: at }] });
      await tx.sprint.create({ data: { id: made.sprint, name: 'S', status: 'PLANNED', ...common, ...bin('sprint') } });
      await tx.task.create({ data: { id: made.task, title: 'T', status: 'TO_DO', ...common, ...bin('task') } });
      await tx.ticket.create({ data: { id: made.ticket, title: 'T', status: 'OPEN', priority: 'LOW', type: 'BUG', ...common, ...bin('ticket') } });
      await tx.requirement.create({ data: { id: made.requirement, title: 'R', status: 'DRAFT', priority: 'LOW', revision: '1.0', ...common, ...bin('requirement') } });
      await tx.projectInvitation.create({ data: { id: made.invitation, projectId: made.project, email: `${made.invitation}@example.com`, role: 'VIEWER', invitedBy: 'user:x', createdAt: at, expiresAt: new Date(at.getTime() + 86_400_000) } });
      await tx.accessToken.create({ data: { id: made.accessToken, userId: this.person('owner').userId, name: 'F', hash: Uint8Array.from(makeAccessToken().hash), scopes: ['read'], createdAt: at, expiresAt: new Date(at.getTime() + 86_400_000) } });
      await insertOfModules(tx, made, this.person('owner').userId, bin);
      await insertRun(tx, made.run, made.namespace);
      await insertAgents(tx, made, `user:${this.person('owner').userId}`);
    });
    site.world.workflows.push(workflowRow(made.namespace, 'build'));
    site.world.pools.push(poolRow(made.namespace, 'default'));
    grant(site, 'alice', made.namespace);
    return made;
  }

  /** Signing out, and rights that were taken, last for one question only. */
  async restore(): Promise<void> {
    await this.site.gateway.read((db) => db.user.updateMany({ where: { tokensValidAfter: { not: null } }, data: { tokensValidAfter: null } }));
    await this.site.gateway.read((db) => db.accessToken.deleteMany({ where: { name: { in: ['F', 'CI'] } } }));
  }

  /** Things of nobody: no row has these ids. */
  missing(): Fixture {
    const id = systemIds.uuid;
    return { project: id(), namespace: `ns-${systemIds.secret().slice(0, 16)}`, task: id(), sprint: id(), ticket: id(), requirement: id(), invitation: id(), run: id(), projectWorkflow: id(), projectAgent: id(), file: id(), folder: id(), imported: id(), agentRun: id(), approval: id(), asked: id(), conversation: id(), accessToken: id(), manager: id(), viewer: id(), nobody: id() };
  }
}

/** A workflow, an agent, files and an import. */
async function insertOfModules(tx: GatewayDb, made: Fixture, ownerId: string, bin: (kind: string) => { deletedAt?: Date }): Promise<void> {
  const at = new Date();
  const common = { projectId: made.project, createdAt: at, updatedAt: at };
  const definition = { nodes: [{ name: 'a', type: 'transform', with: { output: 1 } }] };
  await tx.projectWorkflow.create({ data: { id: made.projectWorkflow, ownerId, name: 'W', definition, status: 'DRAFT', ...common, ...bin('projectWorkflow') } });
  await tx.projectAgent.create({ data: { id: made.projectAgent, ownerId, name: 'A', type: 'T', status: 'IDLE', ...common, ...bin('projectAgent') } });
  await tx.file.create({ data: { id: made.folder, name: 'folder', kind: 'FOLDER', area: 'FILES', status: 'READY', ...common } });
  await tx.file.create({ data: { id: made.file, name: 'file', kind: 'FILE', area: 'FILES', status: 'READY', size: 1n, checksum: new Uint8Array(32), contentType: 'text/plain', objectKey: made.file, ...common, ...bin('file') } });
  await tx.import.create({ data: { id: made.imported, ownerId, status: 'DONE', digest: '', createdAt: at, finishedAt: at } });
  await tx.importItem.create({ data: { importId: made.imported, position: 0, key: 'k', kind: 'raw', status: 'KEPT_RAW', raw: new Uint8Array(1) } });
}

/** An object store that signs and does nothing else. */
const signs: ObjectStore = {
  put: () => Promise.resolve(), get: () => Promise.resolve(undefined), head: () => Promise.resolve(undefined), measure: () => Promise.resolve(undefined), remove: () => Promise.resolve(),
  list: () => Promise.resolve({ objects: [], next: undefined }), presignPut: () => Promise.resolve({ method: 'PUT', url: 'https://store.example.com/', headers: {} }),
  presignGet: () => Promise.resolve('https://store.example.com/'), ping: () => Promise.resolve(), close: () => undefined,
};

async function insertRun(tx: GatewayDb, id: string, namespace: string): Promise<void> {
  await tx.$executeRaw`INSERT INTO definition (hash, spec) VALUES ('hash', '{}') ON CONFLICT DO NOTHING`;
  await tx.$executeRaw`INSERT INTO run (id, namespace, name, source, shard, workflow, definition_hash, input, principal, created_at, phase)
    VALUES (${id}::uuid, ${namespace}, 'run', 'api', ${shardOf(id)}::int2, 'build', 'hash', '{}', 'alice', now(), 'Running')`;
}

function grant(site: Site, name: string, namespace: string): void {
  for (const resource of [...PROJECT_RESOURCES, ...NAMESPACE_RESOURCES]) for (const verb of VERBS) site.world.grants.add(`${name} ${verb} ${resource} ${namespace}`);
}

/** An agent with what it stands on, and a run of it that waits for a decision and for somebody to settle a doubt. */
async function insertAgents(tx: GatewayDb, { agentRun, approval, asked, conversation, run, namespace }: Fixture, principal: string): Promise<void> {
  const at = new Date();
  const json = (value: unknown): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(JSON.stringify(value)));
  const revision = createHash('sha256').update(namespace).digest('hex');
  const spec = { v: 1, namespace, instructions: 'Help.', models: ['large'], parameters: { maxOutputTokens: 1 }, tools: [], policy: [], limits: { maxSteps: 1, timeoutMs: 1, parallelTools: 1, maxDepth: 1, repeatWindow: 3, outputRepairs: 0 }, budget: { onExceeded: 'Stop' }, dailyBudget: {}, guardrails: [], memory: {}, trust: { untrustedInput: false, sensitiveData: false, outsideChange: false } };
  await tx.agentRevision.create({ data: { hash: revision, namespace, agent: 'triage', spec: json(spec), createdAt: at } });
  const mirror = { namespace, uid: systemIds.uuid(), generation: 1, resourceVersion: '1', spec: json({}), phase: 'Ready', reason: 'Ready', message: 'is ready', updatedAt: at };
  await tx.agent.create({ data: { ...mirror, name: 'triage', stableRevision: revision, desiredRevision: revision } });
  await tx.languageModel.create({ data: { ...mirror, name: 'large' } });
  await tx.toolServer.create({ data: { ...mirror, name: 'tickets', tools: json({ tools: [], accepted: {} }) } });
  await tx.agentConversation.create({ data: { id: conversation, namespace, agent: 'triage', principal, title: 'T', createdAt: at, updatedAt: at } });
  await tx.budgetAccount.create({ data: { key: `agentrun:${agentRun}`, namespace, level: 'AgentRun', limitTokens: 1_000n, updatedAt: at } });
  await tx.agentRun.create({ data: {
    id: agentRun, runId: run, node: 'agent', item: -1, namespace, agent: 'triage', revision, rootRun: run, depth: 0, conversationId: conversation, turn: 1, principal, phase: 'WaitingApproval', seq: 1, epoch: 1, awaited: 3,
    accounts: [`agentrun:${agentRun}`], pendingApprovals: 1, createdAt: at, updatedAt: at,
  } });
  await tx.agentEvent.create({ data: { agentRun, seq: 1, at, kind: 'RunStarted', payload: json({ revision, input: 'hello', instructions: 'Help.', history: [] }) } });
  const call = { agentRun, namespace, step: 1, tool: 'tickets/close', effect: 'AtMostOnce', key: 'k', argsHash: 'h', arguments: json({ id: 7 }), createdAt: at, updatedAt: at };
  await tx.agentCall.createMany({ data: [{ ...call, callId: 's1c0', state: 'WaitingApproval' }, { ...call, callId: 's1c1', state: 'InDoubt' }, { ...call, callId: 's1c2', state: 'WaitingInput' }] });
  await tx.agentApproval.create({ data: {
    id: approval, agentRun, callId: 's1c0', namespace, tool: 'tickets/close', hash: 'a'.repeat(64), preview: json({ tool: 'tickets/close', schemaHash: 's', arguments: { id: 7 }, reason: 'destructive' }), approvers: [], state: 'Pending',
    expiresAt: new Date(at.getTime() + 3_600_000), createdAt: at,
  } });
  await tx.agentInput.create({ data: {
    id: asked, agentRun, callId: 's1c2', namespace, tool: 'tickets/close', round: 1, hash: 'a'.repeat(64), questions: json([{ key: 'q', message: 'Sure?', schema: { type: 'object', properties: {} } }]), answerers: [], state: 'Pending',
    expiresAt: new Date(at.getTime() + 3_600_000), createdAt: at,
  } });
}
