import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FINAL_PHASES, type RunPhase } from '../../../crds/workflow-run.ts';
import type { StackNetwork } from '../../../hack/stack/stack.ts';
import type { Armed, Fault } from '../../../platform/failpoint/index.ts';
import { wrongInJournals } from './kill-oracle.ts';
import { nothingAnswered, Person, type Answered } from './kill-person.ts';
import { makeAgents, nodeOf, type Kill, type Shape } from './kill-shapes.ts';
import { AgentStack } from './stack-site.ts';

/** What is done to one run. */
export interface Blow {
  /** Processes are killed here. */
  readonly kills: readonly Kill[];
  /** NATS is killed and its store removed here, before whoever comes by goes on. */
  readonly wipe?: Kill;
  /** The process that takes a decision dies before it can tell. */
  readonly silent?: boolean;
}

/** What happened in one run of the matrix. */
export interface Seen extends Readonly<Answered> {
  readonly phase: string;
  /** What is wrong with how it ended; empty when all is well. */
  readonly wrong: readonly string[];
  /** Whether all of it struck. */
  readonly struck: boolean;
  readonly ms: number;
}

/** Calls of a gateway that is gone are taken over after so long: 6 s where it matters. */
export const LEASE = '2s';
/** How long a process waits that is to find NATS wiped. */
const WIPE_MS = 400;

/** A stack of the bundles with failpoints, and a person who answers what waits. One run at a time. */
export class KillSite {
  readonly s: AgentStack;
  readonly person: Person;
  readonly #dir: string;

  private constructor(s: AgentStack, dir: string, person: Person) {
    this.s = s;
    this.#dir = dir;
    this.person = person;
  }

  static async start(network?: StackNetwork): Promise<KillSite> {
    const dir = mkdtempSync(path.join(tmpdir(), 'rambo-kill-'));
    mkdirSync(path.join(dir, 'control'));
    const env = { RAMBO_CHAOS_DIR: path.join(dir, 'control'), RAMBO_MODELGATEWAY_LEASE: LEASE };
    let s: AgentStack | undefined;
    try {
      s = await AgentStack.start({ bundles: { folder: 'chaos', env }, ...(network === undefined ? {} : { network }) }, { minReady: 2, max: 2, slots: 8, reuse: 'Shared' });
      const [person] = await Promise.all([Person.start(s), makeAgents(s)]);
      return new KillSite(s, dir, person);
    } catch (error) {
      await s?.stop();
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.person.stop();
    await this.s.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** One run of a shape under faults, with a person who answers. */
  async play(shape: Shape, blow: Blow, { timeoutMs = 90_000, count = false }: { readonly timeoutMs?: number; readonly count?: boolean } = {}): Promise<Seen> {
    const thread = `thread-${randomUUID()}`;
    this.arm([]);
    if (shape.conversation) await this.#turn(shape, thread);
    this.s.tools.reset();
    const began = performance.now();
    const faults = faultsOf(shape, blow);
    if (shape.from === 'start') this.arm(faults, count);
    const run = await this.begin(shape, thread);
    const answered = nothingAnswered();
    if (shape.from === 'decision') {
      await this.s.t.until('the run to wait', () => this.person.waits());
      await this.#killAll();
      this.arm(faults, count);
    }
    const wiped = blow.wipe === undefined ? Promise.resolve() : this.#wipeAt(blow.wipe, timeoutMs);
    const phase = await this.ended(run, answered, { until: began + timeoutMs, silent: blow.silent === true });
    await wiped;
    const struck = this.fired().length === faults.length;
    return { phase, wrong: await this.wrong(run, phase), struck, ...answered, ms: Math.round(performance.now() - began) };
  }

  /** How often each point is passed by one run without faults. */
  async golden(shape: Shape): Promise<ReadonlyMap<string, number>> {
    const file = this.#control('hits');
    rmSync(file, { force: true });
    const { wrong } = await this.play({ ...shape, before: [] }, { kills: [] }, { count: true });
    if (wrong.length > 0) throw new Error(`the run without faults: ${wrong.join('; ')}`);
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter((line) => line !== '') : [];
    this.arm([]);
    return new Map([...Map.groupBy(lines, (line) => line)].map(([point, all]) => [point, all.length]));
  }

  /** Puts faults in place for all processes, or takes them out. Hits are those of all processes together. */
  arm(faults: readonly Fault[], count = false): void {
    for (const file of readdirSync(this.#control(''))) if (/^(fired|hit)-/.test(file)) rmSync(this.#control(file), { force: true });
    const armed: Armed = { id: randomUUID(), faults, count, shared: true };
    writeFileSync(this.#control('armed.json.new'), JSON.stringify(armed));
    renameSync(this.#control('armed.json.new'), this.#control('armed.json'));
  }

  /** Process ids of those that were struck, in no order. */
  fired(): readonly number[] {
    return readdirSync(this.#control('')).filter((file) => file.startsWith('fired-')).map((file) => Number(readFileSync(this.#control(file), 'utf8')));
  }

  /** NATS dies and forgets everything; it comes back by itself. */
  wipeNats(): void {
    const { stack, addresses } = this.s.t;
    stack.child('nats').kill();
    rmSync(path.join(path.dirname(path.dirname(addresses.natsCreds)), 'nats/store'), { recursive: true, force: true });
  }

  /** Rows of a run, for whoever looks into a failure. */
  async detail(run: string): Promise<string> {
    const nodes = await this.s.t.sql<{ node: string; status: string; attempt: number; error: Uint8Array | null }>('select node, status, attempt, error from node_run where run_id = $1::uuid', [run]);
    const agents = await this.s.t.sql(
      `select a.phase, a.reason, a.message, a.epoch, a.parked, a.awaited, (select string_agg(kind, ' ' order by seq) from agent_event e where e.agent_run = a.id) as kinds from agent_run a where a.root_run = $1::uuid or a.run_id = $1::uuid`, [run]);
    return JSON.stringify([nodes.map(({ error, ...rest }) => ({ ...rest, error: error === null ? null : Buffer.from(error).toString('utf8') })), agents]);
  }

  /** Starts a run; its id. */
  async begin(shape: Shape, thread = '', turn?: string): Promise<string> {
    return this.s.id(await this.s.run(shape.agent, '', nodeOf(shape, thread, turn)));
  }

  /** The first turn of a conversation, which nobody breaks. */
  async #turn(shape: Shape, thread: string): Promise<void> {
    const run = await this.begin(shape, thread, '[[script: [{"text":"Hello."}]]] Good morning.');
    const phase = await this.ended(run, nothingAnswered(), { until: performance.now() + 60_000, silent: false });
    if (phase !== 'Succeeded') throw new Error(`the first turn ended ${phase}: ${await this.detail(run)}`);
  }

  /** Answers what waits until a run has ended, or it is too late; its phase. */
  async ended(run: string, answered: Answered, { until, silent }: { readonly until: number; readonly silent: boolean }): Promise<string> {
    for (;;) {
      const [row] = await this.s.t.sql<{ phase: RunPhase }>('select phase from run where id = $1::uuid', [run]);
      if ((row !== undefined && FINAL_PHASES.includes(row.phase)) || performance.now() > until) return row?.phase ?? 'Pending';
      await this.person.answer(answered, silent);
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }

  /** What is wrong with a run that is over, the `runs`th since the tools were reset; empty when all is well. */
  async wrong(run: string, phase: string, runs = 1): Promise<readonly string[]> {
    return [...(phase === 'Succeeded' ? [] : [`it ended ${phase}: ${await this.detail(run)}`]), ...this.#wrongEffects(runs), ...await wrongInJournals(this.s.t, run)];
  }

  #wrongEffects(runs: number): readonly string[] {
    const { count = 0, charge = 0, book = 0 } = this.s.tools.hits().effects;
    return Object.entries({ keyed: count, unkeyed: charge + book }).flatMap(([what, times]) => (times === runs ? [] : [`the ${what} effect happened ${times} times in ${runs} runs`]));
  }

  async #killAll(): Promise<void> {
    const { stack } = this.s.t;
    stack.child('modelgateway').kill();
    stack.child('controller-0').kill();
    await stack.kubectl.run('delete', 'pods', '-l', 'rambo.dev/pool=default', '--grace-period=0', '--force', '--wait=false');
  }

  async #wipeAt(at: Kill, timeoutMs: number): Promise<void> {
    const struck = `-${at.point}-${at.hit}`;
    await this.s.t.until(`${at.point}#${at.hit} to be passed`, async () => readdirSync(this.#control('')).some((file) => file.startsWith('fired-') && file.endsWith(struck)), timeoutMs).catch(() => undefined);
    this.wipeNats();
  }

  #control(file: string): string {
    return path.join(this.#dir, 'control', file);
  }
}

function faultsOf(shape: Shape, { kills, wipe }: Blow): readonly Fault[] {
  const killed = [...shape.before, ...kills].map((kill): Fault => ({ ...kill, action: 'kill' }));
  return wipe === undefined ? killed : [...killed, { ...wipe, action: { delayMs: WIPE_MS } }];
}
