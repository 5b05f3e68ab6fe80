import { z } from 'zod';
import { foldAgentRun } from '../../crds/agent-fold.ts';
import { openBodySchema, type AgentRunnerSpec, type OpenAnswer } from '../../crds/agent-gateway.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';
import type { AgentEvent } from '../../crds/agent-run.ts';
import { specHash } from '../../crds/canonical.ts';
import { derivedUuid } from '../../crds/derived-id.ts';
import { schemaProblems } from '../../engine/index.ts';
import {
  appendToAgentRun, budgetLimits, callByChild, continueAgentRun, createAgentRun, earlierTurns, eventsOfKinds, getAgentRun, getRun, getTalk, openConversation,
  type AgentRunCreate, type AgentRunFacts, type AgentRunRow, type ConversationRow, type Db, type Opened,
} from '../../prisma/store/index.ts';
import { Refusal } from '../http/errors.ts';
import type { Handler } from '../http/server.ts';
import type { Parts } from '../parts.ts';
import { accountsOf, type DefaultLimits } from './accounts.ts';
import { endedOf, ending, REASONS } from './ending.ts';
import { ofStage, type GuardText } from './guard.ts';
import type { Journals } from './journals.ts';
import { tellAppended, tellRun } from './notices.ts';
import type { Pinned, Revisions } from './revisions.ts';
import type { Caller } from './standing.ts';

/** What opening needs beside the common parts. */
export interface OpenParts extends Parts {
  readonly revisions: Revisions;
  readonly journals: Journals;
  readonly defaults: DefaultLimits;
  readonly guard: GuardText;
}

const withSchema = z.object({ agentRef: z.object({ name: z.string() }).optional(), inline: z.unknown().optional(), input: z.unknown().optional(), conversation: z.string().max(256).optional() });
type With = z.output<typeof withSchema>;

/** Turns of a conversation that go along with the next, and their size together. */
const MOST_TURNS = 50;
const MOST_HISTORY = 200_000;

/** `POST /v1/agent/open`: makes the agent run at the first attempt, takes it over at later ones, and says where it stands. */
export function openDoor(parts: OpenParts): Handler {
  return async ({ caller, body }) => {
    const parsed = openBodySchema.safeParse(body);
    if (!parsed.success) throw new Refusal('Invalid', `the body is no request to open: ${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? 'invalid'}`);
    if (specHash(parsed.data.with) !== caller.with) throw new Refusal('Invalid', 'this is not what the attempt was given', { why: 'WithMismatch' });
    const opening = { epoch: caller.attempt, runner: parsed.data.runner, at: parts.clock.now() };
    const opened = await continueAgentRun(parts.db, caller.agentRun, opening) ?? await createAgentRun(parts.db, await creation(parts, caller, withSchema.parse(parsed.data.with)), opening);
    return { status: 200, body: await answer(parts, opened) };
  };
}

async function answer(parts: OpenParts, opened: Opened): Promise<OpenAnswer | { readonly ended: unknown }> {
  if (opened.status === 'Busy') throw new Refusal('Busy', `another turn of this conversation is going on: ${opened.other}`);
  const { run } = opened;
  if (opened.status === 'Fenced') throw new Refusal('Fenced', `attempt ${run.epoch} has this agent run`);
  const ended = endedOf(run);
  if (ended !== undefined) return { ended };
  tellRun(parts.bus, run);
  const spec = await parts.revisions.ofRun(run.id);
  const denied = await guardInput(parts, run, spec, await parts.journals.events(run.id));
  if (denied !== undefined) return { ended: denied };
  return { id: run.id, spec: runnerSpec(spec, run), state: await parts.journals.state(run.id) };
}

/** The part of a revision that the loop knows. */
export function runnerSpec(spec: RevisionSpec, run: AgentRunRow): AgentRunnerSpec {
  const { parameters, limits, outputSchema, memory } = spec;
  return {
    ...(spec.agent === undefined ? {} : { agent: spec.agent }), revision: run.revision, model: spec.models[0] ?? '',
    tools: spec.tools.map(({ name, display, description, inputSchema }) => ({ name, display, description, inputSchema })),
    parameters, limits: { maxSteps: limits.maxSteps, parallelTools: limits.parallelTools, repeatWindow: limits.repeatWindow },
    ...(outputSchema === undefined ? {} : { outputSchema }), ...(memory.compaction === undefined ? {} : { compaction: memory.compaction }), deadline: run.deadline,
  };
}

/** Asks guardrails of the input, unless a model has seen it already. Gives how the run ended where they refuse it. */
async function guardInput(parts: OpenParts, run: AgentRunRow, spec: RevisionSpec, events: readonly AgentEvent[]): Promise<ReturnType<typeof endedOf>> {
  if (events.some((event) => event.kind === 'ModelRequested' && event.payload.purpose === 'step')) return undefined;
  const decided = new Set(events.map((event) => (event.kind === 'GuardrailDecided' && event.payload.stage === 'Input' ? event.payload.guardrail : '')));
  const open = ofStage(spec.guardrails, 'Input').filter(({ name }) => !decided.has(name));
  if (open.length === 0) return undefined;
  const text = foldAgentRun(events).messages.findLast(({ role }) => role === 'user')?.text ?? '';
  const guarded = await parts.guard('Input', open, text, run);
  const end = guarded.ok ? undefined : ending({ phase: 'Failed', reason: REASONS.guardrail, message: guarded.message });
  const appended = await appendToAgentRun(parts.db, run.id, parts.clock.now(), async (now) => {
    if (now.finishedAt !== null || now.epoch !== run.epoch) return { events: [], result: undefined };
    return { events: [...guarded.decisions, ...end?.events ?? []], ...(end === undefined ? {} : { set: end.set }), result: undefined };
  });
  if (appended === undefined) return undefined;
  tellAppended(parts.bus, appended);
  return endedOf(appended.run);
}

/** Everything the first attempt makes. Throws Refusal that says what is wrong with what the node was given. */
async function creation(parts: OpenParts, caller: Caller, given: With): Promise<AgentRunCreate> {
  const { db, clock } = parts;
  const at = clock.now();
  const run = await getRun(db, caller.run);
  if (run === undefined || run.namespace !== caller.ns) throw new Refusal('Unavailable', `workflow run ${caller.run} is not there`);
  const call = await callByChild(db, caller.run);
  const parent = call === undefined ? undefined : await getAgentRun(db, call.agentRun);
  const agent = given.agentRef?.name ?? null;
  const conversation = await conversationOf(db, caller, agent, run.principal, given, at);
  const pinned = await pin(parts, caller, given, conversation);
  await checkDepth(parts, parent, agent);
  const input = given.input ?? null;
  await checkInput(pinned.spec, input);
  const { rootRun, depth, deadline } = placeBelow(parent, caller.run, at + pinned.spec.limits.timeoutMs);
  const { keys, make } = accountsOf({ id: caller.agentRun, namespace: caller.ns, agent, rootRun, parent, at }, pinned.spec, await budgetLimits(db, caller.ns, agent), parts.defaults);
  const talk = await turnOf(db, conversation);
  const facts: AgentRunFacts = {
    id: caller.agentRun, runId: caller.run, node: caller.node, item: caller.item, namespace: caller.ns, agent, revision: pinned.hash, rootRun, parent: parent?.id ?? null,
    depth, conversationId: talk.id, turn: talk.turn, principal: run.principal, accounts: keys, deadline, createdAt: at,
  };
  const started = { revision: pinned.hash, input, instructions: pinned.spec.instructions, history: talk.history };
  return { facts, revisionSpec: pinned.bytes, accounts: make, events: [{ kind: 'RunStarted', payload: started }] };
}

/** Where in a tree of nested agents it is, and until when: a child never outlives its parent. */
function placeBelow(parent: AgentRunRow | undefined, run: string, deadline: number): Pick<AgentRunFacts, 'rootRun' | 'depth' | 'deadline'> {
  if (parent === undefined) return { rootRun: run, depth: 0, deadline };
  return { rootRun: parent.rootRun, depth: parent.depth + 1, deadline: parent.deadline === null ? deadline : Math.min(deadline, parent.deadline) };
}

async function checkInput({ inputSchema }: RevisionSpec, input: unknown): Promise<void> {
  if (inputSchema === undefined) return;
  const problems = await schemaProblems(inputSchema, input, 'input');
  if (problems.length > 0) throw new Refusal('Invalid', problems.join('; '), { why: 'InputInvalid' });
}

/** The next turn of a conversation, and what was said before. It begins with its agent run. */
async function turnOf(db: Db, conversation: ConversationRow | undefined): Promise<{ readonly id: string | null; readonly turn: number; readonly history: readonly Said[] }> {
  if (conversation === undefined) return { id: null, turn: 0, history: [] };
  const turn = conversation.turns + 1;
  return { id: conversation.id, turn, history: await historyOf(db, conversation.id, turn) };
}

function pin({ revisions }: OpenParts, caller: Caller, given: With, conversation: ConversationRow | undefined): Promise<Pinned> {
  // A conversation stays with the revision it began with.
  if (conversation?.revision != null) return revisions.pinned(conversation.revision);
  if (given.agentRef !== undefined) return revisions.stable(caller.ns, given.agentRef.name);
  if (given.inline !== undefined) return revisions.inline(caller.ns, given.inline);
  throw new Refusal('Invalid', 'with needs agentRef or inline', { why: 'AgentInvalid' });
}

/** Every agent above says how many may be below it, and is none of them: a way round through workflows is seen here first. */
async function checkDepth({ db, revisions }: OpenParts, parent: AgentRunRow | undefined, agent: string | null): Promise<void> {
  let below = 1;
  for (let above = parent; above !== undefined; below++) {
    const { limits } = await revisions.ofRun(above.id);
    if (agent !== null && above.agent === agent) throw new Refusal('Invalid', `agent ${agent} would call itself, by way of a workflow`, { why: 'AgentCycle' });
    if (below > limits.maxDepth) throw new Refusal('Invalid', `agents are nested deeper than limits.maxDepth (${limits.maxDepth}) of ${above.agent ?? 'the agent above'} allows`, { why: 'TooDeep' });
    above = above.parent === null ? undefined : await getAgentRun(db, above.parent);
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * The conversation a run goes on with: one's own by its id, else the one that goes by this text within namespace, agent and principal. An id of
 * somebody else's is a text like any other: whoever guesses one learns nothing, not even whether it is there.
 */
async function conversationOf(db: Db, caller: Caller, agent: string | null, principal: string, { conversation = '', input }: With, at: number): Promise<ConversationRow | undefined> {
  if (conversation === '') return undefined;
  if (agent === null) throw new Refusal('Invalid', 'a conversation needs an Agent (agentRef): an inline agent has none to go on with', { why: 'ConversationInvalid' });
  const known = UUID.test(conversation) ? await getTalk(db, conversation) : undefined;
  if (known?.namespace === caller.ns && known.agent === agent && known.principal === principal) return known;
  const id = derivedUuid(JSON.stringify(['rambo-conversation', caller.ns, agent, principal, conversation]));
  const title = (typeof input === 'string' ? input : conversation).slice(0, 120);
  return openConversation(db, { id, namespace: caller.ns, agent, principal, title }, at);
}

interface Said { readonly role: 'user' | 'assistant'; readonly text: string }

/** What was said in earlier turns, oldest first; the oldest are left out where it is too much. */
async function historyOf(db: Db, conversation: string, turn: number): Promise<readonly Said[]> {
  const ids = await earlierTurns(db, conversation, turn, MOST_TURNS);
  const events = await eventsOfKinds(db, ids, ['RunStarted', 'GuardrailDecided', 'RunCompleted'], MOST_TURNS * 8);
  const said: Said[] = [];
  let size = 0;
  for (const id of ids) {
    const mine = events.filter(({ agentRun }) => agentRun === id).map(({ event }) => event).reverse();
    const asked = foldAgentRun(mine.filter(({ kind }) => kind !== 'RunCompleted')).messages.at(-1);
    const end = mine.find((event) => event.kind === 'RunCompleted');
    if (asked?.role !== 'user' || end?.kind !== 'RunCompleted') continue;
    const { output } = end.payload;
    const answered = typeof output === 'string' ? output : JSON.stringify(output ?? null);
    size += asked.text.length + answered.length;
    if (size > MOST_HISTORY) break;
    said.unshift({ role: 'user', text: asked.text }, { role: 'assistant', text: answered });
  }
  return said;
}
