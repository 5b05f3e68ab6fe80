import type { AgentEventPayload, ModelPurpose, NewAgentEvent } from '../../crds/agent-run.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';
import {
  answerOfStep, appendToAgentRun, BUDGET_PAUSED, findReservation, leftOf, lockAccounts, reserve, type AgentRunProgress, type AgentRunRow, type Amount, type Appended, type Appending, type BudgetAccountRow, type Db, type Executor,
} from '../../prisma/store/index.ts';
import { Refusal } from '../http/errors.ts';
import type { Candidate } from '../models/catalog.ts';
import { mostOf, outputFor } from '../models/price.ts';
import { endedOf, ending, REASONS } from '../run/ending.ts';
import { notOpened, standing } from '../run/standing.ts';
import { chargeLost } from './lost.ts';

/* The first transaction of a model call: is it allowed, is it there already, who pays; then the reservation and `ModelRequested` together. */

/** A model call that somebody asks for. */
export interface Asked {
  readonly agentRun: string;
  readonly attempt: number;
  readonly step: number;
  readonly purpose: ModelPurpose;
  readonly requestHash: string;
  /** Bound on the tokens of the prompt. */
  readonly promptTokens: number;
  /** Most tokens of the answer that are wanted. */
  readonly outputTokens: number;
  readonly spec: RevisionSpec;
  /** Of a step: how far the journal was read for its prompt. */
  readonly seq?: number;
}

/** Who makes the call, and since when. */
export interface Holding {
  readonly requestId: string;
  readonly holder: string;
  readonly until: number;
  readonly now: number;
}

/** What is reserved for a call. */
export interface Reservation {
  readonly requestId: string;
  readonly candidate: Candidate;
  readonly maxOutput: number;
  readonly amount: Amount;
  /** The accounts as they stood before. */
  readonly accounts: readonly BudgetAccountRow[];
}

/** What beginning came to. `Elsewhere`: another gateway makes this call, at least until then. `Stale`: the journal has grown since it was read. */
export type Begun =
  | { readonly status: 'Reserved'; readonly reservation: Reservation; readonly lost: number }
  | { readonly status: 'Answered' }
  | { readonly status: 'Stale' }
  | { readonly status: 'Elsewhere'; readonly until: number }
  | { readonly status: 'Refused'; readonly refusal: Refusal };

/** Fewer tokens of answer than this are not worth a call. */
const LEAST_OUTPUT = 64;

/** Begins a call with the first of the candidates that the budgets pay for. */
export async function beginCall(db: Db, asked: Asked, candidates: readonly Candidate[], holding: Holding): Promise<Appended<Begun>> {
  const appended = await appendToAgentRun<Begun>(db, asked.agentRun, holding.now, (run, tx) => decide(run, tx, asked, candidates, holding));
  if (appended === undefined) throw notOpened();
  return appended;
}

async function decide(run: AgentRunRow, tx: Executor, asked: Asked, candidates: readonly Candidate[], holding: Holding): Promise<Appending<Begun>> {
  const refusal = standing(run, asked.attempt) ?? outOfStep(run, asked) ?? await compactedAlready(tx, run, asked);
  if (refusal === 'Answered') return nothing({ status: 'Answered' });
  if (refusal !== undefined) return nothing({ status: 'Refused', refusal });
  const over = limitReached(run, asked, holding.now);
  if (over !== undefined) return ended(run, over);
  const other = await findReservation(tx, run.id, asked.step, asked.purpose);
  if (other !== undefined && other.holderUntil > holding.now) return nothing({ status: 'Elsewhere', until: other.holderUntil });
  if (asked.seq !== undefined && asked.seq !== run.seq) return nothing({ status: 'Stale' });
  const before = other === undefined ? NONE : await chargeLost(tx, run, other);
  return joined(before, await payFor(tx, { ...run, ...before.set }, asked, candidates, holding));
}

const NONE: Written = { events: [] };
interface Written { readonly events: readonly NewAgentEvent[]; readonly set?: Partial<AgentRunProgress> }

function nothing(result: Begun): Appending<Begun> {
  return { events: [], result };
}

function joined(before: Written, after: Appending<Begun>): Appending<Begun> {
  const result = after.result.status === 'Reserved' ? { ...after.result, lost: before.events.length } : after.result;
  if (before.events.length === 0) return { ...after, result };
  return { events: [...before.events, ...after.events], set: { ...before.set, ...after.set }, result };
}

function ended(run: AgentRunRow, end: AgentEventPayload<'RunCompleted'>): Appending<Begun> {
  const { events, set } = ending(end);
  const told = endedOf({ ...run, ...set, finishedAt: run.updatedAt });
  return { events, set, result: { status: 'Refused', refusal: new Refusal('Ended', end.message ?? `the agent run has ended: ${end.phase}`, told === undefined ? {} : { ended: told }) } };
}

function outOfStep(run: AgentRunRow, { step, purpose }: Asked): Refusal | 'Answered' | undefined {
  if (purpose === 'guardrail') return undefined;
  if (step <= run.step) return purpose === 'step' ? 'Answered' : new Refusal('StepMismatch', `step ${step} is over: the next is ${run.step + 1}`);
  return step === run.step + 1 ? undefined : new Refusal('StepMismatch', `the next step is ${run.step + 1}, not ${step}`);
}

/** One summary per step: a request for it that comes again gets the one that is there. */
async function compactedAlready(tx: Executor, run: AgentRunRow, { step, purpose }: Asked): Promise<'Answered' | undefined> {
  if (purpose !== 'compaction') return undefined;
  return (await answerOfStep(tx, run.id, step, purpose)) === undefined ? undefined : 'Answered';
}

function limitReached(run: AgentRunRow, { step, purpose, spec }: Asked, now: number): AgentEventPayload<'RunCompleted'> | undefined {
  if (run.deadline !== null && now >= run.deadline) return overdue();
  if (purpose === 'step' && step > spec.limits.maxSteps) {
    return { phase: 'Failed', reason: REASONS.steps, message: `limits.maxSteps is ${spec.limits.maxSteps}, and the agent wanted another step` };
  }
  return undefined;
}

/** How an agent run ends whose time is over. */
export function overdue(): AgentEventPayload<'RunCompleted'> {
  return { phase: 'Failed', reason: REASONS.deadline, message: 'limits.timeout is over' };
}

async function payFor(tx: Executor, run: AgentRunRow, asked: Asked, candidates: readonly Candidate[], holding: Holding): Promise<Appending<Begun>> {
  const { onExceeded } = asked.spec.budget;
  const payable = onExceeded === 'Degrade' ? candidates : candidates.slice(0, 1);
  for (const [at, candidate] of payable.entries()) {
    const taken = await take(tx, run, asked, candidate, outputLimit(asked, candidate), holding);
    if (taken.ok) return requested(run, asked, taken.reservation, at === 0 ? undefined : payable[0]);
  }
  // Not all of it is paid for: then as much of an answer as is.
  const accounts = await lockAccounts(tx, run.accounts);
  for (const [at, candidate] of payable.entries()) {
    const output = Math.min(outputLimit(asked, candidate), affordable(accounts, asked.promptTokens, candidate));
    if (output < Math.min(LEAST_OUTPUT, asked.outputTokens)) continue;
    const taken = await take(tx, run, asked, candidate, output, holding);
    if (taken.ok) return requested(run, asked, taken.reservation, at === 0 ? undefined : payable[0]);
  }
  return exceeded(tx, run, asked, accounts, payable);
}

/** Tokens of answer this model may give: what is wanted, within its context window. */
function outputLimit({ outputTokens, promptTokens }: Asked, { spec }: Candidate): number {
  const window = spec.capabilities?.contextWindow;
  return window === undefined ? outputTokens : Math.max(1, outputWithin(window, promptTokens, outputTokens));
}

/**
 * Tokens of answer that a context window leaves; 0 where it leaves too few to be worth a call. The bound on the prompt is rather too high
 * (three bytes a token): where it leaves too little, a prompt of four bytes a token, as English has, still may.
 */
export function outputWithin(window: number, promptTokens: number, wanted: number): number {
  const least = Math.min(LEAST_OUTPUT, wanted);
  const sure = window - promptTokens;
  const left = sure >= least ? sure : window - Math.ceil(promptTokens * 3 / 4);
  return left >= least ? Math.min(wanted, left) : 0;
}

function affordable(accounts: readonly BudgetAccountRow[], promptTokens: number, { price }: Candidate): number {
  return Math.min(...accounts.map((account) => {
    const { tokens, nano } = leftOf(account);
    return Math.min(tokens === null ? Number.POSITIVE_INFINITY : tokens - promptTokens, outputFor(price, nano, promptTokens));
  }));
}

type Taken = { readonly ok: true; readonly reservation: Reservation } | { readonly ok: false; readonly account: BudgetAccountRow };

async function take(tx: Executor, run: AgentRunRow, asked: Asked, candidate: Candidate, maxOutput: number, { requestId, holder, until, now }: Holding): Promise<Taken> {
  const amount = { tokens: asked.promptTokens + maxOutput, nano: mostOf(candidate.price, asked.promptTokens, maxOutput) };
  const reserved = await reserve(tx, {
    id: requestId, agentRun: run.id, step: asked.step, purpose: asked.purpose, model: candidate.name, amount, accounts: run.accounts, holder, holderUntil: until, createdAt: now,
  });
  return reserved.ok ? { ok: true, reservation: { requestId, candidate, maxOutput, amount, accounts: reserved.accounts } } : { ok: false, account: reserved.account };
}

function requested(run: AgentRunRow, asked: Asked, reservation: Reservation, insteadOf: Candidate | undefined): Appending<Begun> {
  const { requestId, candidate, amount } = reservation;
  const { step, purpose, requestHash } = asked;
  const degraded: readonly NewAgentEvent[] = insteadOf === undefined ? [] : [{
    kind: 'BudgetExceeded', payload: { account: '', level: '', action: 'Degrade', message: `the budget does not pay for Model ${insteadOf.name}: Model ${candidate.name} answers instead` },
  }];
  return {
    events: [...degraded, { kind: 'ModelRequested', payload: { step, purpose, requestId, requestHash, model: candidate.name, reserved: { tokens: amount.tokens, nano: String(amount.nano) } } }],
    // A pause that was waited out.
    set: run.reason === BUDGET_PAUSED ? { reason: null, message: null, awaited: Math.max(0, run.awaited - 1), phase: 'Running' } : {},
    result: { status: 'Reserved', reservation, lost: 0 },
  };
}

async function exceeded(tx: Executor, run: AgentRunRow, asked: Asked, accounts: readonly BudgetAccountRow[], candidates: readonly Candidate[]): Promise<Appending<Begun>> {
  const least = candidates.at(-1);
  const account = accounts.find((one) => affordable([one], asked.promptTokens, least ?? { name: '', spec: NO_MODEL, price: undefined }) < Math.min(LEAST_OUTPUT, asked.outputTokens)) ?? accounts[0];
  const message = `the budget of ${account?.key ?? 'the agent'} is used up: the next model call may need ${asked.promptTokens + asked.outputTokens} tokens`;
  const action = asked.spec.budget.onExceeded === 'Pause' ? 'Pause' : 'Stop';
  const event: NewAgentEvent = { kind: 'BudgetExceeded', payload: { account: account?.key ?? '', level: account?.level ?? '', action, message } };
  if (action === 'Stop') {
    const stop = ended(run, { phase: 'BudgetExhausted', reason: REASONS.budget, message, ...await partialOutput(tx, run) });
    return { ...stop, events: [event, ...stop.events] };
  }
  const result: Begun = { status: 'Refused', refusal: new Refusal('Waiting', message, { why: 'input' }) };
  // Asked again before anybody raised it: it waits already.
  if (run.reason === BUDGET_PAUSED) return { events: [], set: { phase: 'WaitingInput' }, result };
  return { events: [event], set: { phase: 'WaitingInput', reason: BUDGET_PAUSED, message, awaited: run.awaited + 1 }, result };
}

const NO_MODEL: Candidate['spec'] = { provider: 'openai-compatible', model: '' };

const LAST_ANSWER = {
  name: 'gateway-last-answer',
  text: `SELECT payload FROM agent_event WHERE agent_run = $1::uuid AND kind = 'ModelCompleted' ORDER BY seq DESC LIMIT 1`,
};

/** The text of the last answer: what there is of an output when the money is gone. */
async function partialOutput(tx: Executor, run: AgentRunRow): Promise<{ readonly output?: string }> {
  const [row] = await tx.query<{ payload: Uint8Array }>(LAST_ANSWER, [run.id]);
  if (row === undefined) return {};
  const { text }: { readonly text?: string } = JSON.parse(new TextDecoder().decode(row.payload));
  return text === undefined || text === '' ? {} : { output: text };
}
