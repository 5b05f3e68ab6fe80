import type { NewAgentEvent } from '../../crds/agent-run.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { texts } from './binary.ts';
import { makeAccounts } from './agent-budget.ts';
import { lockAgentRun, writeAppending } from './agent-journal.ts';
import type { AgentRunFacts, AgentRunRow, BudgetAccountCreate } from './agent-types.ts';
import type { Db, Executor, Statement } from './db.ts';
import { iso, isoOrNull } from './times.ts';
import type { Bytes } from './types.ts';

const INSERT: Statement = {
  name: 'agent-run-insert',
  text: `INSERT INTO agent_run (id, run_id, node, item, namespace, agent, revision, root_run, parent, depth, conversation_id, turn, principal, accounts, deadline, phase, epoch, runner, created_at, updated_at)
  VALUES ($1::uuid, $2::uuid, $3::text, $4::int4, $5::text, $6::text, $7::text, $8::uuid, $9::uuid, $10::int2, $11::uuid, $12::int4, $13::text, $14::text[], $15::timestamptz, 'Pending', $16::int4, $17::text, $18::timestamptz, $18::timestamptz)
  ON CONFLICT (id) DO NOTHING RETURNING id`,
};
const REVISION: Statement = {
  name: 'agent-revision-insert',
  text: 'INSERT INTO agent_revision (hash, namespace, agent, spec, created_at) VALUES ($1::text, $2::text, $3::text, $4::bytea, $5::timestamptz) ON CONFLICT (hash) DO NOTHING',
};
const GET_REVISION: Statement = { name: 'agent-revision-get', text: 'SELECT spec FROM agent_revision WHERE hash = $1::text' };
const HOLD_CONVERSATION: Statement = { name: 'agent-conversation-hold', text: 'SELECT turns FROM agent_conversation WHERE id = $1::uuid FOR UPDATE' };
const TURN: Statement = {
  name: 'agent-conversation-turn',
  text: 'UPDATE agent_conversation SET turns = GREATEST(turns, $2::int4), revision = COALESCE(revision, $3::text), updated_at = $4::timestamptz WHERE id = $1::uuid',
};
const BUSY: Statement = { name: 'agent-turn-busy', text: 'SELECT id FROM agent_run WHERE conversation_id = $1::uuid AND finished_at IS NULL AND id <> $2::uuid' };

/** All that the first attempt of an agent run makes. */
export interface AgentRunCreate {
  readonly facts: AgentRunFacts;
  /** JSON of the revision, for one that no row holds yet. */
  readonly revisionSpec: Bytes;
  readonly accounts: readonly BudgetAccountCreate[];
  readonly events: readonly NewAgentEvent[];
}

/** Who opens: the node's attempt, and the runner it is in. */
export interface Opening {
  readonly epoch: number;
  readonly runner: string;
  readonly at: number;
}

/** What opening came to. `Fenced`: a later attempt has it. `Busy`: another turn of the conversation is going on. */
export type Opened =
  | { readonly status: 'Created' | 'Continued'; readonly run: AgentRunRow }
  | { readonly status: 'Fenced'; readonly run: AgentRunRow }
  | { readonly status: 'Busy'; readonly other: string };

/** Makes an agent run with its first events in phase Running. Where it is there already, as `continueAgentRun`. */
export async function createAgentRun(db: Db, create: AgentRunCreate, opening: Opening): Promise<Opened> {
  return db.transaction(async (tx) => {
    const { facts } = create;
    const talk = facts.conversationId === null ? undefined : await holdConversation(tx, facts.conversationId, facts.id);
    if (talk?.busy !== undefined) return { status: 'Busy', other: talk.busy };
    await putRevision(tx, facts.revision, facts.namespace, facts.agent, create.revisionSpec, opening.at);
    const made = await tx.query(INSERT, [
      facts.id, facts.runId, facts.node, facts.item, facts.namespace, facts.agent, facts.revision, facts.rootRun, facts.parent, facts.depth, facts.conversationId, facts.turn, facts.principal,
      texts(facts.accounts, (key) => key), isoOrNull(facts.deadline), opening.epoch, opening.runner, iso(facts.createdAt),
    ]);
    const run = await lockAgentRun(tx, facts.id);
    if (run === undefined) throw new Error('an agent run that was just made is not there');
    if (made.length === 0) return take(tx, run, opening);
    if (talk !== undefined) await beginTurn(tx, facts, talk.turns, opening.at);
    await makeAccounts(tx, create.accounts);
    const written = await writeAppending(tx, run, opening.at, { events: create.events, set: { phase: 'Running' }, result: undefined });
    return { status: 'Created', run: written.run };
  });
}

/** Holds a conversation, so that turns begin one after the other; `busy`: the agent run of a turn that is going on. */
async function holdConversation(tx: Executor, id: string, agentRun: string): Promise<{ readonly turns: number; readonly busy: string | undefined }> {
  const [held] = await tx.query<{ turns: number }>(HOLD_CONVERSATION, [id]);
  const [busy] = await tx.query<{ id: string }>(BUSY, [id, agentRun]);
  return { turns: held?.turns ?? 0, busy: busy?.id };
}

/** Counts the turn. Throws where another one began and ended since the history of this was read: it has to be read anew. */
async function beginTurn(tx: Executor, { conversationId, turn, revision }: AgentRunFacts, turns: number, at: number): Promise<void> {
  if (turns >= turn) throw new UnavailableError(`conversation ${conversationId ?? ''}, which has had another turn meanwhile,`);
  await tx.query(TURN, [conversationId, turn, revision, iso(at)]);
}

/** Takes an agent run over for a later attempt; undefined where it was never made. */
export async function continueAgentRun(db: Db, id: string, opening: Opening): Promise<Opened | undefined> {
  return db.transaction(async (tx) => {
    const run = await lockAgentRun(tx, id);
    return run === undefined ? undefined : take(tx, run, opening);
  });
}

async function take(tx: Executor, run: AgentRunRow, { epoch, runner, at }: Opening): Promise<Opened> {
  if (run.epoch > epoch) return { status: 'Fenced', run };
  // Whoever opens a run that has ended tells its node: nobody has to be woken any more.
  if (run.finishedAt !== null) return { status: 'Continued', run: run.parked ? (await writeAppending(tx, run, at, { events: [], set: { parked: false }, result: undefined })).run : run };
  const events: readonly NewAgentEvent[] = run.parked ? [{ kind: 'Woken', payload: { why: run.phase } }] : [];
  const written = await writeAppending(tx, run, at, { events, set: { epoch, runner, parked: false, phase: 'Running' }, result: undefined });
  return { status: 'Continued', run: written.run };
}

/** Keeps a revision; one that is there stays as it is, because its key is its content. */
export async function putRevision(tx: Executor, hash: string, namespace: string, agent: string | null, spec: Bytes, at: number): Promise<void> {
  await tx.query(REVISION, [hash, namespace, agent, spec, iso(at)]);
}

/** JSON of a revision. */
export async function getRevision(db: Executor, hash: string): Promise<Bytes | undefined> {
  return (await db.query<{ spec: Bytes }>(GET_REVISION, [hash]))[0]?.spec;
}
