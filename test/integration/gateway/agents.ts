import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { NewAgentEvent } from '../../../crds/agent-run.ts';
import type { AgentDelta } from '../../../platform/messages/payloads.ts';
import type { AgentNotices } from '../../../api/ports.ts';
import { appendToAgentRun } from '../../../prisma/store/index.ts';
import type { Person, Site } from './site.ts';

/* Agents for tests of the gateway: rows as the model gateway writes them, and notices in memory. */

/** JSON as the tables keep it. */
export function json(value: unknown): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(JSON.stringify(value ?? null)));
}

/** Notices of agent runs without NATS. */
export class Notices implements AgentNotices {
  readonly wakes = new Map<string, Set<() => void>>();
  readonly hears = new Map<string, Set<(delta: AgentDelta) => void>>();
  readonly told: { readonly agentRun: string; readonly seq: number; readonly phase: string }[] = [];

  watch(id: string, wake: () => void): Promise<{ close(): void }> {
    return Promise.resolve(joined(this.wakes, id, wake));
  }

  deltas(id: string, hear: (delta: AgentDelta) => void): { close(): void } {
    return joined(this.hears, id, hear);
  }

  changed(grown: { readonly agentRun: string; readonly seq: number; readonly phase: string }): void {
    this.told.push(grown);
    this.grow(grown.agentRun);
  }

  grow(id: string): void {
    for (const wake of [...this.wakes.get(id) ?? []]) wake();
  }

  say(id: string, delta: Omit<AgentDelta, 'v'>): void {
    for (const hear of [...this.hears.get(id) ?? []]) hear({ v: 1, ...delta });
  }

  watchers(id: string): number {
    return this.wakes.get(id)?.size ?? 0;
  }
}

function joined<T>(all: Map<string, Set<T>>, id: string, one: T): { close(): void } {
  const mine = all.get(id) ?? new Set<T>();
  all.set(id, mine.add(one));
  return { close: () => { mine.delete(one); } };
}

/** A namespace with a project of somebody, an Agent, and a run of it. */
export interface Tenant { readonly namespace: string; readonly owner: Person; readonly project: string; readonly agentRun: string; readonly runId: string }

/** Makes a tenant. The run has begun and waits for nothing. */
export async function tenant(site: Site): Promise<Tenant> {
  const owner = await site.person('MANAGER');
  const project: string = (await site.project(owner)).id;
  const made = { namespace: `ns-${randomUUID().slice(0, 12)}`, owner, project, agentRun: randomUUID(), runId: randomUUID() };
  const at = new Date();
  const { namespace, agentRun, runId } = made;
  await site.gateway.transaction(async (tx) => {
    await tx.project.update({ where: { id: project }, data: { namespace } });
    await tx.agent.create({ data: { namespace, name: 'triage', uid: randomUUID(), generation: 1, resourceVersion: '1', spec: json({}), phase: 'Ready', reason: 'Ready', message: '', stableRevision: 'r', updatedAt: at } });
    await tx.agentRun.create({ data: {
      id: agentRun, runId, node: 'agent', item: -1, namespace, agent: 'triage', revision: 'r', rootRun: runId, depth: 0, principal: `user:${owner.userId}`, phase: 'Running', epoch: 1, accounts: [], createdAt: at, updatedAt: at,
    } });
  });
  await append(site, agentRun, [{ kind: 'RunStarted', payload: { revision: 'r', input: 'What is up?', instructions: 'Help.', history: [] } }]);
  return made;
}

/** Appends to the journal as the model gateway does; the last event may end the run. */
export async function append(site: Site, agentRun: string, events: readonly NewAgentEvent[]): Promise<void> {
  const last = events.at(-1);
  await appendToAgentRun(site.db, agentRun, Date.now(), () => Promise.resolve({
    events, result: undefined, ...(last?.kind === 'RunCompleted' ? { set: { phase: last.payload.phase, output: json(last.payload.output) } } : {}),
  }));
}

/** An answer of the model. */
export function answer(step: number, text: string): NewAgentEvent {
  return { kind: 'ModelCompleted', payload: {
    step, purpose: 'step', requestId: randomUUID(), model: 'large', text, toolCalls: [], finish: 'stop', usage: { input: 10, cached: 0, cacheWrite: 0, output: 5, reasoning: 0 }, nano: '1500000', estimated: false, ms: 12,
  } };
}

/** The end of a run that succeeded. */
export function end(output: unknown): NewAgentEvent {
  return { kind: 'RunCompleted', payload: { phase: 'Succeeded', output } };
}

/** A call that waits for a decision. Gives the id of its approval. */
export async function ask(site: Site, { agentRun, namespace }: Tenant, callId: string, over: { readonly approvers?: readonly string[]; readonly fourEyes?: boolean; readonly expiresAt?: Date; readonly hash?: string } = {}): Promise<string> {
  const [id, at] = [randomUUID(), new Date()];
  const preview = { tool: 'tickets/close', schemaHash: 's', arguments: { id: 7 }, reason: 'it closes a ticket' };
  await site.gateway.transaction(async (tx) => {
    await tx.agentCall.create({ data: { agentRun, callId, namespace, step: 1, tool: 'tickets/close', effect: 'AtMostOnce', key: 'k', argsHash: 'h', arguments: json({ id: 7 }), state: 'WaitingApproval', createdAt: at, updatedAt: at } });
    await tx.agentApproval.create({ data: {
      id, agentRun, callId, namespace, tool: 'tickets/close', hash: over.hash ?? 'a'.repeat(64), preview: json(preview), approvers: [...over.approvers ?? []], fourEyes: over.fourEyes ?? false, state: 'Pending', expiresAt: over.expiresAt ?? new Date(at.getTime() + 3_600_000), createdAt: at,
    } });
    await tx.agentRun.update({ where: { id: agentRun }, data: { phase: 'WaitingApproval', awaited: { increment: 1 }, pendingApprovals: { increment: 1 } } });
  });
  return id;
}

/** A tool that asks a person in the middle of a call. Gives the id of what it asks. */
export async function question(site: Site, { agentRun, namespace }: Tenant, callId: string, over: { readonly answerers?: readonly string[]; readonly expiresAt?: Date } = {}): Promise<string> {
  const [id, at] = [randomUUID(), new Date()];
  const questions = [{ key: 'seats', message: 'For how many?', schema: { type: 'object', properties: { seats: { type: 'integer', minimum: 1, maximum: 8 } }, required: ['seats'] } }];
  await site.gateway.transaction(async (tx) => {
    await tx.agentCall.create({ data: { agentRun, callId, namespace, step: 1, tool: 'tables/book', effect: 'AtMostOnce', key: 'k', argsHash: 'h', arguments: json({}), state: 'WaitingInput', createdAt: at, updatedAt: at } });
    await tx.agentInput.create({ data: {
      id, agentRun, callId, namespace, tool: 'tables/book', round: 1, hash: 'a'.repeat(64), questions: json(questions), answerers: [...over.answerers ?? []], state: 'Pending', expiresAt: over.expiresAt ?? new Date(at.getTime() + 3_600_000), createdAt: at,
    } });
    await tx.agentRun.update({ where: { id: agentRun }, data: { phase: 'WaitingInput', awaited: { increment: 1 } } });
  });
  return id;
}

/** A run of 40 steps with pieces beside them, told while others listen and are cut off, until its end: 41 events. */
export async function tell(site: Site, notices: Notices, agentRun: string): Promise<void> {
  for (let step = 1; step <= 40; step++) {
    notices.say(agentRun, { step, n: 0, text: 'pie' });
    await append(site, agentRun, [answer(step, `answer ${step}: ${'ü\u2028"\n'.repeat(step)}`)]);
    // Every other notice is lost: the next one finds all there is.
    if (step % 2 === 0) notices.grow(agentRun);
  }
  await append(site, agentRun, [end('done')]);
}
