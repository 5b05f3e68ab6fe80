import type { TestStack } from '../../harness/test-stack.ts';

/* What has to hold for the journals of a run and of all runs below it, whatever was killed. */

interface Line {
  readonly agentRun: string;
  readonly seq: number;
  readonly kind: string;
  readonly step: number | null;
  readonly callId: string | null;
  readonly purpose: string | null;
}

/** Accounts of agent runs that have spent something else than the journals of those who draw from them say. */
const SPENT = `select b.key from budget_account b join agent_run a on b.key = 'agentrun:' || a.id where a.root_run = $1::uuid and b.spent_tokens is distinct from (
  select coalesce(sum(case e.kind when 'ModelCompleted' then (p.p -> 'usage' ->> 'input')::int + (p.p -> 'usage' ->> 'output')::int else (p.p -> 'charged' ->> 'tokens')::int end), 0)
  from agent_run c join agent_event e on e.agent_run = c.id cross join lateral (select convert_from(e.payload, 'UTF8')::jsonb as p) p
  where b.key = any (c.accounts) and e.kind in ('ModelCompleted', 'ModelFailed'))`;

/** What is wrong with the journals of a run; empty when all is well. */
export async function wrongInJournals(t: TestStack, run: string): Promise<readonly string[]> {
  const lines = await t.sql<Line>(
    `select e.agent_run as "agentRun", e.seq, e.kind, e.step, e.call_id as "callId", convert_from(e.payload, 'UTF8')::jsonb ->> 'purpose' as purpose
     from agent_event e join agent_run a on a.id = e.agent_run where a.root_run = $1::uuid order by e.agent_run, e.seq`, [run]);
  const open = await t.sql<{ n: number }>('select count(*)::int as n from agent_reservation r join agent_run a on a.id = r.agent_run where a.root_run = $1::uuid and r.holder_until < clock_timestamp() - interval \'10 s\'', [run]);
  const spent = await t.sql<{ key: string }>(SPENT, [run]);
  return [
    ...[...Map.groupBy(lines, ({ agentRun }) => agentRun).values()].flatMap(wrongInJournal),
    ...((open[0]?.n ?? 0) === 0 ? [] : ['a reservation is open long after its lease']),
    ...spent.map(({ key }) => `the account ${key} has not spent what its journal says`),
  ];
}

/** One journal: without gaps, each answer and each result once, the end once and at the end. */
function wrongInJournal(lines: readonly Line[]): readonly string[] {
  const twice = (kinds: readonly string[], of: (line: Line) => string): readonly string[] => {
    const names = lines.filter(({ kind }) => kinds.includes(kind)).map(of);
    return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))].map((name) => `${name} is in the journal twice`);
  };
  const ends = lines.filter(({ kind }) => kind === 'RunCompleted').length;
  return [
    ...(lines.every(({ seq }, i) => seq === i + 1) ? [] : ['the journal has gaps']),
    ...(ends === 1 && lines.at(-1)?.kind === 'RunCompleted' ? [] : [`the journal has ${ends} ends, and its last event is ${lines.at(-1)?.kind ?? 'none'}`]),
    ...twice(['ModelCompleted'], ({ step, purpose }) => `the ${purpose ?? ''} answer of step ${step ?? 0}`),
    ...twice(['ToolCompleted'], ({ callId }) => `the result of ${callId ?? ''}`),
    ...twice(['ToolRequested'], ({ callId }) => `the request of ${callId ?? ''}`),
    ...twice(['ContextCompacted'], ({ step }) => `the summary before step ${step ?? 0}`),
    ...twice(['ApprovalDecided'], ({ callId }) => `the decision about ${callId ?? ''}`),
  ];
}
