import pg from 'pg';
import {
  agentAccountsSince, agentEvents, agentUsageOpen, agentUsageSettled, type Db, eventsOfKinds, type Executor, listAgentRuns, listAgents, listApprovals, listBudgetLimits, listDoubts, listModels, listTalks, listToolServers,
  listTurns, openStore, orphanedReservations, expiredApprovals, openChildren, lookAtOpenAgentRuns, overdueAgentRuns, unheardAgentRuns, type Statement,
} from '../../../prisma/store/index.ts';
import { lockAgentRun, writeAppending } from '../../../prisma/store/agent-journal.ts';
import { SESSION } from '../../../prisma/store/db.ts';
import { testPostgres, type TestServer } from '../../harness/postgres.ts';
import { blocksOf, scans, seed, seededId as id, type Plan } from '../../harness/plans.ts';

/*
 * Many agent runs and calls, one of 50 open (RAMBO_PLAN_ROWS=1000000 is what the figures of docs/benchmarks.md are of): every filter and order that a
 * list of agents offers, every sweep of the model gateway and the roll-up of usage finds its rows by an index and reads about as many as it needs.
 * The planner is that of the store's sessions.
 */

const ROWS = Number(process.env['RAMBO_PLAN_ROWS'] ?? 250_000);
/** Buffers of 8 KB that one page of 100 rows may touch. */
const MOST_BUFFERS = 1_500;
/** What is read once for many: a slice of the open agent runs, a page of children, the accounts of all Agents. */
const SWEEPS: Readonly<Record<string, number>> = { 'sweep: open agent runs': 6_000, 'sweep: children': 2_500, 'usage: who spent': 90_000 };
const HOUR = 3_600_000;

const uuid = (kind: number, i: string): string => `('00000000-0000-7000-800${kind}-' || lpad(to_hex(${i}), 12, '0'))::uuid`;
/** Half of all lies in ns-1; one of 50 is open: of these, half wait for an approval, a quarter are in doubt, the rest run. */
const SEED = `
INSERT INTO definition (hash, spec) VALUES ('h', '{}');
INSERT INTO agent_run (id, run_id, node, item, namespace, agent, revision, root_run, depth, conversation_id, turn, principal, phase, step, seq, epoch, parked, awaited, accounts, input_tokens, output_tokens, model_calls, tool_calls,
    cost_nano, pending_approvals, deadline, created_at, updated_at, finished_at)
  SELECT ${uuid(1, 'i')}, ${uuid(2, 'i')}, 'agent', -1, 'ns-' || CASE WHEN i % 2 = 0 THEN 1 ELSE 1 + i % 200 END, 'agent-' || i % 10, 'r', ${uuid(2, 'i')}, 0, CASE WHEN i % 10 = 0 AND i % 50 <> 0 THEN ${uuid(3, 'i / 100')} END, i % 100, 'user:' || i % 1000,
    CASE WHEN i % 50 <> 0 THEN CASE WHEN i % 999 = 0 THEN 'Failed' ELSE 'Succeeded' END ELSE (ARRAY['WaitingApproval', 'WaitingApproval', 'InDoubt', 'Running'])[1 + (i / 50) % 4] END, 1, 4, 1,
    i % 50 = 0 AND (i / 50) % 4 < 3, CASE WHEN i % 50 = 0 AND (i / 50) % 4 < 3 THEN 1 ELSE 0 END, ARRAY['x'], 100, 10, 1, 1, 1000, CASE WHEN i % 50 = 0 AND (i / 50) % 4 < 2 THEN 1 ELSE 0 END,
    CASE WHEN i % 50 = 0 THEN now() + interval '1 day' END, date_trunc('milliseconds', now()) - i * interval '1 second', date_trunc('milliseconds', now()) - i * interval '1 second', CASE WHEN i % 50 <> 0 THEN now() - (i - 1) * interval '1 second' END
  FROM generate_series(1, ${ROWS}) i;
INSERT INTO run (id, namespace, name, source, shard, workflow, definition_hash, input, priority, principal, created_at, phase, finished_at, suspended, seq, total, done, version)
  SELECT ${uuid(2, 'i')}, 'ns-1', 'run-' || i, 'api', i % 256, 'wf', 'h', '{}', 0, 'x', now() - i * interval '1 second', CASE WHEN i % 50 <> 0 THEN 'Succeeded' ELSE 'Running' END, CASE WHEN i % 50 <> 0 THEN now() - i * interval '1 second' END, false, 1, 1, 1, 1
  FROM generate_series(10, ${ROWS}, 10) i;
INSERT INTO node_run (run_id, node, item, status, attempt, retries, infra, finished_at)
  SELECT ${uuid(2, 'i')}, 'agent', -1, CASE WHEN i % 50 <> 0 THEN 'Succeeded' WHEN (i / 50) % 4 < 3 THEN 'Waiting' ELSE 'Running' END, 1, 0, 0, CASE WHEN i % 50 <> 0 THEN now() - i * interval '1 second' END FROM generate_series(10, ${ROWS}, 10) i;
INSERT INTO agent_call (agent_run, call_id, namespace, step, tool, effect, key, args_hash, arguments, state, child_run, created_at, updated_at)
  SELECT ${uuid(1, 'i')}, 's1c0', 'ns-' || CASE WHEN i % 2 = 0 THEN 1 ELSE 1 + i % 200 END, 1, 't', 'AtMostOnce', 'k', 'h', '{}',
    CASE WHEN i % 50 <> 0 THEN 'Completed' WHEN (i / 50) % 4 < 2 THEN 'WaitingApproval' WHEN (i / 50) % 4 = 2 THEN 'InDoubt' ELSE 'Child' END, CASE WHEN i % 50 = 0 AND (i / 50) % 4 = 3 THEN ${uuid(2, 'i')} END,
    date_trunc('milliseconds', now()) - i * interval '1 second', now() FROM generate_series(1, ${ROWS}) i;
INSERT INTO agent_approval (id, agent_run, call_id, namespace, tool, hash, preview, approvers, state, expires_at, created_at)
  SELECT ${uuid(4, 'i')}, ${uuid(1, 'i')}, 's1c0', 'ns-' || CASE WHEN i % 2 = 0 THEN 1 ELSE 1 + i % 200 END, 't', 'h', '{}', '{}', CASE WHEN i % 50 = 0 AND (i / 50) % 4 < 2 THEN 'Pending' ELSE 'Approved' END, now() + interval '1 day',
    date_trunc('milliseconds', now()) - i * interval '1 second' FROM generate_series(5, ${ROWS}, 5) i;
INSERT INTO agent_conversation (id, namespace, agent, principal, title, turns, created_at, updated_at)
  SELECT ${uuid(3, 'i')}, 'ns-1', 'agent-' || i % 2, 'user:' || i % 1000, 't', 100, now(), date_trunc('milliseconds', now()) - i * interval '1 second' FROM generate_series(1, 200000) i;
INSERT INTO agent_event (agent_run, seq, at, kind, step, payload) SELECT ${uuid(1, 'i')}, s, now(), CASE WHEN s = 1 THEN 'RunStarted' ELSE 'Woken' END, NULL, CASE WHEN s = 1 THEN '{"revision":"r","input":1,"instructions":""}' ELSE '{"why":"x"}' END::bytea FROM generate_series(1, 50000) i, generate_series(1, 4) s;
INSERT INTO agent_event (agent_run, seq, at, kind, step, payload) SELECT ${uuid(1, '60000')}, s, now(), 'Woken', NULL, '{"why":"x"}' FROM generate_series(1, 10000) s;
INSERT INTO agent SELECT 'ns-' || i % 200, 'agent-' || i, 'u' || i, 1, '1', '{}', NULL, 'Ready', 'Ready', '', 'r', 'r', now() FROM generate_series(0, 19999) i;
INSERT INTO language_model SELECT 'ns-' || i % 200, 'm-' || i, 'u' || i, 1, '1', '{}', NULL, 'Ready', 'Ready', '', NULL, now() FROM generate_series(0, 19999) i;
INSERT INTO tool_server (namespace, name, uid, generation, resource_version, spec, phase, reason, message, updated_at) SELECT 'ns-' || i % 200, 't-' || i, 'u' || i, 1, '1', '{}', 'Ready', 'Ready', '', now() FROM generate_series(0, 19999) i;
INSERT INTO budget_account (key, namespace, level, updated_at) SELECT 'agent:ns-' || i % 200 || '/agent-' || i || ':2026-11-26', 'ns-' || i % 200, 'AgentDay', now() - i * interval '1 minute' FROM generate_series(0, 99999) i;
INSERT INTO budget_limit (namespace, level, name, tokens, updated_by, updated_at) SELECT 'ns-' || i % 2, 'AgentDay', 'a-' || i, 1, 'x', now() FROM generate_series(0, 9999) i;
INSERT INTO agent_reservation (id, agent_run, step, purpose, model, tokens, nano, accounts, holder, holder_until, created_at) SELECT ${uuid(5, 'i')}, ${uuid(1, 'i')}, 1, 'step', 'm', 1, 1, '{}', 'g', now() + interval '6 seconds', now() FROM generate_series(1, 5000) i;
`;

let server: TestServer;
let client: pg.Client;
let db: Db;

beforeAll(async () => {
  server = await testPostgres();
  const url = await server.createDatabase();
  await seed(url, SEED);
  client = new pg.Client({ connectionString: url, options: SESSION });
  await client.connect();
  db = openStore({ url, max: 2, statementTimeoutMs: 60_000 });
}, 900_000);
afterAll(async () => {
  await db.close();
  await client.end();
  await server.stop();
});

const now = Date.now();
const HALF = { at: now - ROWS * 500, id: id(1, ROWS / 2) };
const first = 100;
const namespace = 'ns-1';

const LISTS: readonly (readonly [string, (db: Executor) => Promise<unknown>])[] = [
  ['agent runs', (on) => listAgentRuns(on, { namespace, first })],
  ['agent runs, a later page', (on) => listAgentRuns(on, { namespace, first, after: HALF })],
  ['agent runs of an Agent', (on) => listAgentRuns(on, { namespace, agent: 'agent-2', first, after: HALF })],
  ['agent runs of a phase', (on) => listAgentRuns(on, { namespace, phase: 'InDoubt', first, after: HALF })],
  ['agent runs of a phase that few have', (on) => listAgentRuns(on, { namespace, phase: 'BudgetExhausted', first })],
  ['agent runs of an Agent and a phase that few have', (on) => listAgentRuns(on, { namespace, agent: 'agent-2', phase: 'BudgetExhausted', first })],
  ['agent runs of a run', (on) => listAgentRuns(on, { namespace, runId: id(2, 77), first })],
  ['events', (on) => agentEvents(on, id(1, 60_000), 5_000, first)],
  ['conversations of somebody', (on) => listTalks(on, { namespace, agent: 'agent-1', principal: 'user:7' }, undefined, first)],
  ['conversations of somebody who has none', (on) => listTalks(on, { namespace, agent: 'agent-1', principal: 'user:none' }, undefined, first)],
  ['turns', (on) => listTurns(on, id(3, 77), 0, first)],
  ['what turns began with', (on) => eventsOfKinds(on, Array.from({ length: 100 }, (_, i) => id(1, i + 1)), ['RunStarted'], 101)],
  ['approvals', (on) => listApprovals(on, { namespace, first, after: { createdAt: HALF.at, id: id(4, ROWS / 2) } })],
  ['approvals that wait', (on) => listApprovals(on, { namespace, state: 'Pending', first, after: { createdAt: HALF.at, id: id(4, ROWS / 2) } })],
  ['approvals of a state nothing has', (on) => listApprovals(on, { namespace, state: 'Voided', first })],
  ['approvals of an agent run', (on) => listApprovals(on, { namespace, agentRun: id(1, 100), first })],
  ['doubts', (on) => listDoubts(on, { namespace, first })],
  ['doubts of an agent run', (on) => listDoubts(on, { namespace, first, agentRun: id(1, 200) })],
  ['Agents', (on) => listAgents(on, [namespace], { namespace, name: 'agent-5' }, first)],
  ['Models', (on) => listModels(on, [namespace], undefined, first)],
  ['ToolServers', (on) => listToolServers(on, [namespace], undefined, first)],
  ['doubts, a later page', (on) => listDoubts(on, { namespace, first, after: { createdAt: HALF.at, agentRun: HALF.id, callId: 's1c0' } })],
  ['limits', (on) => listBudgetLimits(on, namespace, { level: 'AgentDay', name: 'a-5' }, first)],
  ['sweep: reservations without a holder', (on) => orphanedReservations(on, now, 50)],
  ['sweep: open agent runs', (on) => lookAtOpenAgentRuns(on, { after: HALF.id, size: 500, before: now - 5_000, still: now - 4_000 })],
  ['sweep: overdue', (on) => overdueAgentRuns(on, now, 50)],
  ['sweep: unheard', (on) => unheardAgentRuns(on, now - HOUR, now - 4_000, 50)],
  ['sweep: children', (on) => openChildren(on, undefined, 200)],
  ['sweep: expired approvals', (on) => expiredApprovals(on, now, 100)],
  ['usage: who spent', (on) => agentAccountsSince(on, Array.from({ length: 20_000 }, (_, i) => `agent:ns-${i % 200}/agent-${i}:2026-11-26`), now - 60_000)],
  ['usage: of an Agent, the next look', (on) => agentUsageSettled(on, namespace, 'agent-2', { since: now - 900_000_000, from: now - 180_000, to: now - 120_000 })],
  ['usage: of an Agent, what is open', (on) => agentUsageOpen(on, namespace, 'agent-2', { since: now - 900_000_000, from: now - 120_000 })],
];

let statements = 0;

interface Cost { readonly plan: Plan; readonly ms: number; readonly blocks: number }

/** Runs a statement with the generic plan of a session of the store, and shows what it cost. Arrays in binary form cannot be written out: those are planned with their values. */
async function explain({ text }: Statement, values: readonly unknown[]): Promise<Cost> {
  const how = 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)';
  const binary = values.some((value) => value instanceof Uint8Array);
  const name = `s${statements++}`;
  if (!binary) await client.query(`PREPARE ${name} AS ${text}`);
  const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan; 'Execution Time': number }] }>(binary ? `${how} ${text}` : `${how} EXECUTE ${name}(${values.map(literal).join(', ')})`, binary ? [...values] : []);
  const [found] = rows[0]?.['QUERY PLAN'] ?? [];
  if (found === undefined) throw new Error('no plan');
  return { plan: found.Plan, ms: found['Execution Time'], blocks: blocksOf(found.Plan) };
}

function literal(value: unknown): string {
  if (value === null) return 'NULL';
  return pg.escapeLiteral(Array.isArray(value) ? `{${value.map((one) => JSON.stringify(one)).join(',')}}` : `${value as string | number}`);
}

/** All statements of a call. */
async function costOf(call: (db: Executor) => Promise<unknown>): Promise<readonly Cost[]> {
  const found: Cost[] = [];
  await call({ query: async (statement, values) => {
    found.push(await explain(statement, values));
    return db.query(statement, values);
  } });
  return found;
}

test.each(LISTS)('%s: by an index, with few blocks', async (name, call) => {
  const found = await costOf(call);
  expect(found.length).toBeGreaterThan(0);
  process.stderr.write(`    figure: ${name}: ${found.map(({ ms, blocks }) => `${ms.toFixed(1)} ms, ${blocks} blocks`).join('; ')}\n`);
  expect(found.flatMap(({ plan }) => scans(plan))).toEqual([]);
  expect(Math.max(...found.map(({ blocks }) => blocks))).toBeLessThan(SWEEPS[name] ?? MOST_BUFFERS);
});

test('a whole pass of the sweep is a matter of blocks, not of how many agent runs are open', async () => {
  const all = (await Promise.all(LISTS.filter(([name]) => name.startsWith('sweep: ')).map(([, call]) => costOf(call)))).flat();
  const [ms, blocks] = [all.reduce((sum, one) => sum + one.ms, 0), all.reduce((sum, one) => sum + one.blocks, 0)];
  process.stderr.write(`    figure: a pass of the sweep with ${ROWS / 50} open agent runs: ${ms.toFixed(1)} ms, ${blocks} blocks\n`);
  expect(blocks).toBeLessThan(12_000);
});

test('the slices of the sweep come by every open agent run', async () => {
  let [after, seen]: [string | undefined, number] = [undefined, 0];
  const starts = new Set<string | undefined>();
  do {
    starts.add(after);
    const { needy, next } = await lookAtOpenAgentRuns(db, { after, size: 1_000, before: now - 5_000, still: now - 4_000 });
    // Those that run wait for nothing, and their nodes run: nobody needs a hand.
    expect(needy).toEqual([]);
    after = next;
    seen++;
  } while (after !== undefined);
  // The last slice is full, or empty behind a full one.
  expect([Math.abs(seen - ROWS / 50 / 1_000) <= 1, starts.size]).toEqual([true, seen]);
  await client.query(`UPDATE run SET finished_at = now() - interval '1 hour', phase = 'Cancelled' WHERE id = $1`, [id(2, 50)]);
  await client.query(`DELETE FROM run WHERE id = $1`, [id(2, ROWS - 50)]);
  const first = await lookAtOpenAgentRuns(db, { after: undefined, size: 10, before: now - 5_000, still: now - 4_000 });
  const last = await lookAtOpenAgentRuns(db, { after: id(1, ROWS - 100), size: 10, before: now - 5_000, still: now - 4_000 });
  expect([first.needy, last.needy]).toMatchObject([[{ id: id(1, 50), runPhase: 'Cancelled', abandoned: true }], [{ id: id(1, ROWS - 50), runPhase: null, abandoned: true }]]);
  expect([first.next, last.next]).toEqual([id(1, 500), undefined]);
});

test('an event that moves no phase writes no entry into any index of agent runs', async () => {
  const [appends, run] = [20, id(1, 100)];
  const hot = await db.transaction(async (tx) => {
    for (let i = 0; i < appends; i++) {
      const row = await lockAgentRun(tx, run);
      if (row === undefined) throw new Error('no row');
      await writeAppending(tx, row, now + i, { events: [{ kind: 'Woken', payload: { why: 'x' } }], set: { step: row.step + 1, inputTokens: row.inputTokens + 1 }, result: undefined });
    }
    const [counted] = await tx.query<{ hot: string }>({ name: 'hot', text: "SELECT pg_stat_get_xact_tuples_hot_updated('agent_run'::regclass)::text AS hot" }, []);
    return Number(counted?.hot);
  });
  // A page that is full sends the next version elsewhere once.
  expect(hot).toBeGreaterThanOrEqual(appends - 3);
});
