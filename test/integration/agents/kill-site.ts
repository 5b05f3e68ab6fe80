import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FINAL_PHASES, type RunPhase } from '../../../crds/workflow-run.ts';
import type { Armed } from '../../../platform/failpoint/index.ts';
import { createLog } from '../../../platform/log/index.ts';
import { commandSubject, shardOf } from '../../../platform/messages/subjects.ts';
import { connectBus, type Bus } from '../../../platform/nats/bus.ts';
import { decideApproval, listApprovals, listDoubts, openStore, settleDoubt, type Db, type Decided } from '../../../prisma/store/index.ts';
import { AgentStack } from './stack-site.ts';

/** What happened in one run of the matrix. */
export interface Seen {
  readonly phase: string;
  readonly detail: string;
  /** Whether the fault struck. */
  readonly fired: boolean;
  readonly doubts: number;
  readonly approvals: number;
  readonly ms: number;
  readonly effects: Readonly<Record<string, number>>;
}

/** A stack of the bundles with failpoints, and a person who approves calls and settles doubts by what the tools really did. */
export class KillSite {
  readonly s: AgentStack;
  readonly #dir: string;
  readonly #db: Db;
  readonly #bus: Bus;

  private constructor(s: AgentStack, dir: string, db: Db, bus: Bus) {
    this.s = s;
    this.#dir = dir;
    this.#db = db;
    this.#bus = bus;
  }

  static async start(): Promise<KillSite> {
    const dir = mkdtempSync(path.join(tmpdir(), 'rambo-kill-'));
    mkdirSync(path.join(dir, 'control'));
    const s = await AgentStack.start({ bundles: { folder: 'chaos', env: { RAMBO_CHAOS_DIR: path.join(dir, 'control') } } }, { minReady: 2, max: 2, slots: 8, reuse: 'Shared' });
    const { databaseUrl, natsUrl, natsCreds } = s.t.addresses;
    // A busy machine may let a login wait for longer than it may.
    const bus = await s.t.until('NATS', () => connectBus({ url: natsUrl, name: 'kill-matrix', log: createLog('test', 'error'), creds: () => readFileSync(natsCreds, 'utf8') }).catch(() => undefined)).catch(async (error: unknown) => {
      await s.stop();
      throw error;
    });
    return new KillSite(s, dir, openStore({ url: databaseUrl, max: 2, connectTimeoutMs: 10_000 }), bus);
  }

  async stop(): Promise<void> {
    await this.#bus.close();
    await this.#db.close();
    await this.s.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** One run of an agent under faults, with a person who answers. */
  async play(agent: string, armed: Partial<Armed>, timeoutMs = 90_000): Promise<Seen> {
    this.s.tools.reset();
    const began = performance.now();
    const id = this.#arm(armed);
    const run = await this.s.id(await this.s.run(agent));
    const answered = { approvals: 0, doubts: 0 };
    const state = { phase: 'Pending', detail: '' };
    while (performance.now() - began < timeoutMs) {
      const [row] = await this.s.t.sql<{ phase: RunPhase }>('select phase from run where id = $1::uuid', [run]);
      state.phase = row?.phase ?? 'Pending';
      if (row !== undefined && FINAL_PHASES.includes(row.phase)) break;
      await this.#answer(answered);
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    if (state.phase !== 'Succeeded') state.detail = await this.#detail(run);
    const fired = readdirSync(path.join(this.#dir, 'control')).filter((file) => file.startsWith(`fired-${id}-`)).length;
    return { ...state, ...answered, fired: fired === (armed.faults ?? []).length, ms: Math.round(performance.now() - began), effects: this.s.tools.hits().effects };
  }

  /** How often each point is passed by one run without faults. */
  async golden(agent: string): Promise<ReadonlyMap<string, number>> {
    const file = path.join(this.#dir, 'control', 'hits');
    rmSync(file, { force: true });
    const seen = await this.play(agent, { count: true });
    if (seen.phase !== 'Succeeded') throw new Error(`the run without faults ended ${seen.phase}: ${seen.detail}`);
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    this.#arm({});
    return new Map([...Map.groupBy(lines, (line) => line)].map(([point, all]) => [point, all.length]));
  }

  #arm(armed: Partial<Armed>): string {
    const id = randomUUID();
    const file = path.join(this.#dir, 'control', 'armed.json');
    writeFileSync(`${file}.new`, JSON.stringify({ id, faults: [], count: false, ...armed }));
    renameSync(`${file}.new`, file);
    return id;
  }

  /** Approves what waits, and settles doubts as somebody does who looked at the till. */
  async #answer(answered: { approvals: number; doubts: number }): Promise<void> {
    const at = Date.now();
    for (const { id, hash, namespace } of (await listApprovals(this.#db, { namespace: 'default', state: 'Pending', first: 10 })).rows) {
      if (await this.#decided(await decideApproval(this.#db, { namespace, approval: id, hash, decision: 'Approve', by: 'user:boss', names: ['user:boss'], at }))) answered.approvals++;
    }
    for (const { agentRun, callId, namespace } of (await listDoubts(this.#db, { namespace: 'default', first: 10 })).rows) {
      const happened = (this.s.tools.hits().effects['charge'] ?? 0) > 0;
      const verdict = happened ? { verdict: 'Happened' as const, result: 'charged' } : { verdict: 'DidNotHappen' as const };
      if (await this.#decided(await settleDoubt(this.#db, { namespace, agentRun, callId, ...verdict, by: 'user:boss', at }))) answered.doubts++;
    }
  }

  /** As the API does after a decision: the node is woken; where that is lost the gateway's sweep does it. */
  async #decided(decided: Decided): Promise<boolean> {
    if (!decided.ok) return false;
    const { runId, node, item, ready } = decided.wake;
    if (ready) await this.#bus.request(commandSubject(shardOf(runId)), Buffer.from(JSON.stringify({ v: 1, verb: 'wake', runId, node, item })), 1_000).catch(() => undefined);
    return true;
  }

  async #detail(run: string): Promise<string> {
    const nodes = await this.s.t.sql<{ node: string; status: string; attempt: number; error: Uint8Array | null }>('select node, status, attempt, error from node_run where run_id = $1::uuid', [run]);
    const agents = await this.s.t.sql<{ phase: string; reason: string | null; message: string | null; epoch: number; parked: boolean; awaited: number; kinds: string }>(
      `select a.phase, a.reason, a.message, a.epoch, a.parked, a.awaited, (select string_agg(kind, ' ' order by seq) from agent_event e where e.agent_run = a.id) as kinds from agent_run a where a.root_run = $1::uuid or a.run_id = $1::uuid`, [run]);
    return JSON.stringify([nodes.map(({ error, ...rest }) => ({ ...rest, error: error === null ? null : Buffer.from(error).toString('utf8') })), agents]);
  }
}
