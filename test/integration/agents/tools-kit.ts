import { randomUUID } from 'node:crypto';
import { agentRunId, type AgentEvent, type NewAgentEvent } from '../../../crds/agent-run.ts';
import { agentSpecSchema } from '../../../crds/agent.ts';
import { modelSpecSchema } from '../../../crds/model.ts';
import { toolServerSpecSchema } from '../../../crds/tool-server.ts';
import type { RevisionSpec } from '../../../crds/agent-revision.ts';
import { operationsOf, resolveAgent, takeIn } from '../../../engine/index.ts';
import { startToolServers, type ToolServers } from '../../../hack/tool-servers/tool-servers.ts';
import { registerTools, type DoorAnswer, type ToolsHalf } from '../../../modelgateway/tools/register.ts';
import type { ToolParts } from '../../../modelgateway/tools/parts.ts';
import type { Caller } from '../../../modelgateway/run/standing.ts';
import { systemClock } from '../../../platform/clock/index.ts';
import { RamboError } from '../../../platform/errors/index.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import { shardOf } from '../../../platform/messages/subjects.ts';
import { guardedFetch } from '../../../platform/net/fetch.ts';
import { agentJournal, createAgentRun, getAgentRun, upsertToolServer, type AgentRunFacts, type AgentRunRow } from '../../../prisma/store/index.ts';
import { createWrite } from '../../harness/rows.ts';
import { openFixture, type Fixture } from '../prisma/fixture.ts';

/*
 * The tools' half of the gateway over a real database and real tool servers. The answers of the model are written into the journal by hand:
 * what the other half does. A gateway that is killed is one whose leases nobody renews and whose requests nobody hears.
 */

export const NAMESPACE = 'team-a';

/** A gateway process as far as tools go. */
export interface Gateway {
  readonly half: ToolsHalf;
  /** Commands it sent. */
  readonly commands: readonly Record<string, unknown>[];
  readonly notices: readonly AgentRunRow[];
  ask(run: Begun, callId: string, more?: { readonly attempt?: number; readonly step?: number }): Promise<DoorAnswer>;
}

/** An agent run whose model has asked for calls. */
export interface Begun {
  readonly id: string;
  readonly runId: string;
  readonly spec: RevisionSpec;
}

export interface ToolsWorld {
  readonly fixture: Fixture;
  readonly servers: ToolServers;
  gateway(over?: Partial<ToolParts>, reply?: (command: Record<string, unknown>) => object | undefined | Promise<object | undefined>): Gateway;
  /** Writes the mirror of a ToolServer as the controller does: what the server lists, taken in. */
  mirror(name: string, spec: object, accept?: string): Promise<readonly { readonly name: string; readonly refused?: unknown }[]>;
  begin(agent: object, calls: readonly (readonly [tool: string, args: unknown])[], over?: Partial<AgentRunFacts>): Promise<Begun>;
  /** The model answers again, one step on. */
  answer(run: Begun, step: number, calls: readonly (readonly [tool: string, args: unknown])[]): Promise<void>;
  journal(run: Begun): Promise<readonly AgentEvent[]>;
  kinds(run: Begun): Promise<readonly string[]>;
  row(run: Begun): Promise<AgentRunRow>;
  sql(text: string, values: readonly unknown[]): Promise<readonly object[]>;
  close(): Promise<void>;
}

const secrets: Readonly<Record<string, string>> = {};

/** Secrets of the test, by `name/key`. */
export const SECRETS = new Map<string, string>(Object.entries(secrets));

export async function toolsWorld(): Promise<ToolsWorld> {
  const fixture = await openFixture();
  const servers = await startToolServers();
  const fetches = [guardedFetch({ allow: ['127.0.0.1'] })];
  const halves: ToolsHalf[] = [];
  const accepted = new Map<string, Readonly<Record<string, string>>>();
  const { db } = fixture;
  const specs = new Map<string, { readonly spec: ReturnType<typeof toolServerSpecSchema.parse>; readonly tools: ReturnType<typeof takeIn>['tools'] }>();
  let generation = 0;

  /** A controller that starts runs, and nothing more. */
  const start = async (command: Record<string, unknown>): Promise<object> => {
    const id = String(command['runId']);
    if (command['verb'] === 'start') await fixture.commit([createWrite(id, shardOf(id), undefined, { namespace: NAMESPACE })]);
    return { v: 1, ok: true };
  };
  const gateway: ToolsWorld['gateway'] = (over = {}, reply = start) => {
    const commands: Record<string, unknown>[] = [];
    const notices: AgentRunRow[] = [];
    let door: ((caller: Caller, body: unknown, signal: AbortSignal) => Promise<DoorAnswer>) | undefined;
    const half = registerTools({ post: (_path, handler) => { door = handler; } }, {
      db, clock: systemClock, ids: systemIds, holder: `gw-${randomUUID()}`, leaseMs: 6_000, log: { info: () => undefined, warn: () => undefined },
      bus: {
        publish: () => undefined,
        request: async (_subject, payload) => {
          const command = JSON.parse(Buffer.from(payload).toString());
          commands.push(command);
          const said = await reply(command);
          if (said === undefined) throw new RamboError('Unavailable', 'nobody');
          return Buffer.from(JSON.stringify(said));
        },
      },
      secrets: { read: async (_namespace, name, key = 'apiKey') => {
        const found = SECRETS.get(`${name}/${key}`);
        if (found === undefined) throw new RamboError('SecretMissing', `there is no Secret ${name}`);
        return found;
      } },
      fetchFor: () => fetches[0] ?? fetch, notify: ({ run }) => { notices.push(run); }, ...over,
    });
    halves.push(half);
    return {
      half, commands, notices,
      ask: async (run, callId, { attempt = 1, step = Number(/^s(\d+)/.exec(callId)?.[1] ?? 1) } = {}) => {
        const caller: Caller = { agentRun: run.id, ns: NAMESPACE, run: run.runId, node: 'ask', item: -1, attempt, pool: 'default', with: '' };
        return door?.(caller, { step, callId }, new AbortController().signal) ?? { status: 500, body: {} };
      },
    };
  };

  const mirror: ToolsWorld['mirror'] = async (name, given, accept) => {
    const spec = toolServerSpecSchema.parse(given);
    generation += 1;
    const row = {
      namespace: NAMESPACE, name, uid: `uid-${name}`, generation, resourceVersion: String(generation), spec: Buffer.from(JSON.stringify(spec)), labels: null, phase: 'Ready' as const, reason: 'Ready', message: '',
      updatedAt: 1, tools: null, discoveryHash: null, acceptedHash: null, discoveredAt: null,
    };
    await upsertToolServer(db, row);
    const found = spec.http === undefined ? await gateway().half.answerDiscover({ v: 1, verb: 'discover', namespace: NAMESPACE, name, uid: row.uid, generation }) : { ok: true as const, tools: operationsOf(spec) };
    if (!found.ok) throw new RamboError(found.error.code, found.error.message);
    const taken = takeIn(found.tools ?? [], spec, accepted.get(name) ?? {}, accept);
    accepted.set(name, taken.accepted);
    specs.set(name, { spec, tools: taken.tools });
    await upsertToolServer(db, { ...row, tools: Buffer.from(JSON.stringify({ tools: taken.tools, accepted: taken.accepted })), discoveryHash: taken.discoveryHash });
    return taken.tools;
  };

  const resolve = (agent: object): { readonly hash: string; readonly revision: RevisionSpec } => {
    const model = modelSpecSchema.parse({ provider: 'openai-compatible', model: 'm', baseUrl: 'http://127.0.0.1:1/v1', capabilities: { tools: true } });
    const resolved = resolveAgent(agentSpecSchema.parse({ modelRef: { name: 'm' }, instructions: { text: 'Help.' }, ...agent }), {
      namespace: NAMESPACE, agent: 'helper', instructions: 'Help.', model: () => model, toolServer: (name) => specs.get(name), workflow: () => ({}), agentSpec: () => agentSpecSchema.parse({ modelRef: { name: 'm' } }),
    });
    if (!resolved.ok) throw new Error(resolved.problems.map(({ message }) => message).join('; '));
    return resolved;
  };

  const completedOf = (step: number, calls: readonly (readonly [string, unknown])[]): NewAgentEvent => ({ kind: 'ModelCompleted', payload: {
    step, purpose: 'step', requestId: randomUUID(), model: 'm', text: '', finish: 'tool-calls', usage: { input: 1, cached: 0, cacheWrite: 0, output: 1, reasoning: 0 }, nano: '0', estimated: false, ms: 1,
    toolCalls: calls.map(([tool, args], i) => ({ callId: `s${step}c${i + 1}`, tool, arguments: typeof args === 'string' ? args : JSON.stringify(args) })),
  } });

  const journal = (run: Begun): Promise<readonly AgentEvent[]> => agentJournal(db, run.id);
  const sql: ToolsWorld['sql'] = (text, values) => db.query({ name: `test-${randomUUID()}`, text }, values);
  return {
    fixture, servers, gateway, mirror, journal, sql,
    begin: async (agent, calls, over = {}) => {
      const { hash, revision } = resolve(agent);
      const runId = randomUUID();
      const facts: AgentRunFacts = {
        id: agentRunId(runId, 'ask', -1), runId, node: 'ask', item: -1, namespace: NAMESPACE, agent: 'helper', revision: hash, rootRun: runId, parent: null, depth: 0, conversationId: null, turn: 0,
        principal: 'user:1', accounts: [], deadline: null, createdAt: Date.now(), ...over,
      };
      const events: readonly NewAgentEvent[] = [{ kind: 'RunStarted', payload: { revision: hash, input: 'hi', instructions: 'Help.', history: [] } }, completedOf(1, calls)];
      await createAgentRun(db, { facts, revisionSpec: Buffer.from(JSON.stringify(revision)), accounts: [], events }, { epoch: 1, runner: 'pod', at: Date.now() });
      return { id: facts.id, runId, spec: revision };
    },
    answer: async ({ id }, step, calls) => {
      const { appendToAgentRun } = await import('../../../prisma/store/index.ts');
      await appendToAgentRun(db, id, Date.now(), async () => ({ events: [completedOf(step, calls)], set: { step }, result: undefined }));
    },
    kinds: async (run) => (await journal(run)).map(({ kind }) => kind).slice(2),
    row: async ({ id }) => {
      const row = await getAgentRun(db, id);
      if (row === undefined) throw new Error('no such agent run');
      return row;
    },
    close: async () => {
      await Promise.all(halves.map((half) => half.close()));
      for (const made of fetches) made.close();
      await servers.stop();
      await fixture.close();
    },
  };
}

/** Text of a completed answer. */
export function textOf({ body }: DoorAnswer): string {
  const completed = body as { readonly result?: { readonly text: string } };
  return completed.result?.text ?? JSON.stringify(body);
}
