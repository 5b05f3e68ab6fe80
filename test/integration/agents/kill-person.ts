import { readFileSync } from 'node:fs';
import { agentRunId } from '../../../crds/agent-run.ts';
import { createLog } from '../../../platform/log/index.ts';
import { commandSubject, shardOf } from '../../../platform/messages/subjects.ts';
import { connectBus, type Bus } from '../../../platform/nats/bus.ts';
import { answerInput, BUDGET_PAUSED, decideApproval, listApprovals, listDoubts, listInputs, openStore, raiseBudget, settleDoubt, type Db, type Wake } from '../../../prisma/store/index.ts';
import type { AgentStack } from './stack-site.ts';

/** What a person did in one run. */
export interface Answered {
  approvals: number;
  doubts: number;
  raises: number;
  /** Questions of tools. */
  answers: number;
}

/** Nothing yet. */
export function nothingAnswered(): Answered {
  return { approvals: 0, doubts: 0, raises: 0, answers: 0 };
}

/** Somebody who approves calls, answers tools, raises budgets, and settles doubts by what the tools really did. Decides as the API does, by the same functions of the store. */
export class Person {
  readonly #s: AgentStack;
  readonly #db: Db;
  readonly #bus: Bus;
  /** Charges that others have made since the tools were reset: they say nothing about a doubt. */
  others = 0;

  private constructor(s: AgentStack, db: Db, bus: Bus) {
    this.#s = s;
    this.#db = db;
    this.#bus = bus;
  }

  static async start(s: AgentStack): Promise<Person> {
    const { databaseUrl, natsUrl, natsCreds } = s.t.addresses;
    // A busy machine may let a login wait for longer than it may.
    const bus = await s.t.until('NATS', () => connectBus({ url: natsUrl, name: 'kill-matrix', log: createLog('test', 'silent'), creds: () => readFileSync(natsCreds, 'utf8') }).catch(() => undefined));
    return new Person(s, openStore({ url: databaseUrl, max: 2, connectTimeoutMs: 10_000 }), bus);
  }

  async stop(): Promise<void> {
    await this.#bus.close();
    await this.#db.close();
  }

  /** Whether there is something to approve. */
  async waits(): Promise<boolean> {
    const [row] = await this.#s.t.sql("select 1 from agent_approval p join agent_run a on a.id = p.agent_run where p.state = 'Pending' and a.parked");
    return row !== undefined;
  }

  /** Answers what waits. `silent`: the process that took the decision dies after its commit, and tells nobody. */
  async answer(answered: Answered, silent: boolean): Promise<void> {
    const at = Date.now();
    for (const { id, hash, namespace } of (await listApprovals(this.#db, { namespace: 'default', state: 'Pending', first: 10 })).rows) {
      const decided = await decideApproval(this.#db, { namespace, approval: id, hash, decision: 'Approve', by: 'user:boss', names: ['user:boss'], at });
      if (!decided.ok) continue;
      answered.approvals++;
      if (!silent) await this.#wake(decided.wake);
    }
    for (const { id, hash, namespace } of (await listInputs(this.#db, { namespace: 'default', state: 'Pending', first: 10 })).rows) {
      const decided = await answerInput(this.#db, { namespace, input: id, hash, answers: { seats: { action: 'accept', content: { seats: 2 } } }, by: 'user:boss', names: ['user:boss'], at });
      if (!decided.ok) continue;
      answered.answers++;
      if (!silent) await this.#wake(decided.wake);
    }
    for (const { agentRun, callId, namespace } of (await listDoubts(this.#db, { namespace: 'default', first: 10 })).rows) {
      const { charge = 0, book = 0 } = this.#s.tools.hits().effects;
      const happened = charge + book > this.others;
      const verdict = happened ? { verdict: 'Happened' as const, result: 'charged' } : { verdict: 'DidNotHappen' as const };
      const decided = await settleDoubt(this.#db, { namespace, agentRun, callId, ...verdict, by: 'user:boss', at });
      if (!decided.ok) continue;
      answered.doubts++;
      if (!silent) await this.#wake(decided.wake);
    }
    for (const { id } of await this.#s.t.sql<{ id: string }>('select id from agent_run where reason = $1 and finished_at is null', [BUDGET_PAUSED])) {
      const raised = await raiseBudget(this.#db, { namespace: 'default', account: `agentrun:${id}`, limit: { tokens: 100_000, nano: null }, by: 'user:boss', at });
      if (!raised.ok || raised.wakes.length === 0) continue;
      answered.raises++;
      if (!silent) for (const wake of raised.wakes) await this.#wake(wake);
    }
  }

  /** Epoch of a run's agent run: the attempt that opened it last. */
  async epoch(run: string): Promise<number> {
    const [row] = await this.#s.t.sql<{ epoch: number }>('select epoch from agent_run where id = $1::uuid', [agentRunId(run, 'ask', -1)]);
    return row?.epoch ?? 0;
  }

  /** The node is woken; where that is lost the gateway's sweep does it. */
  async #wake({ runId, node, item, ready }: Wake): Promise<void> {
    if (ready) await this.#bus.request(commandSubject(shardOf(runId)), Buffer.from(JSON.stringify({ v: 1, verb: 'wake', runId, node, item })), 1_000).catch(() => undefined);
  }
}
