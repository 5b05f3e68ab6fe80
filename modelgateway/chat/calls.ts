import { requestHash } from '../../crds/agent-request.ts';
import type { AgentEventPayload, Usage } from '../../crds/agent-run.ts';
import { parseDuration } from '../../crds/duration.ts';
import { AGENT_DEFAULTS } from '../../crds/agent-parts.ts';
import { doubling, sleep } from '../../platform/clock/index.ts';
import { isBug, RamboError } from '../../platform/errors/index.ts';
import { withGenAi } from '../../platform/tracing/gen-ai.ts';
import { answerOfStep, type Amount } from '../../prisma/store/index.ts';
import { Refusal } from '../http/errors.ts';
import { attemptModel, type Attempted } from '../models/attempt.ts';
import type { Candidate, ModelCatalog } from '../models/catalog.ts';
import { estimatedUsage, lostUsage, promptBound, type CountTokens } from '../models/estimate.ts';
import { failureOf, type Failure } from '../models/failure.ts';
import type { Limiter } from '../models/limiter.ts';
import { costOf } from '../models/price.ts';
import { boundedFetch, type MakeModel } from '../models/provider.ts';
import type { Secrets } from '../models/secrets.ts';
import type { Parts } from '../parts.ts';
import type { Journals } from '../run/journals.ts';
import { Deltas, tellAppended } from '../run/notices.ts';
import { endRun } from '../run/end-run.ts';
import { REASONS } from '../run/ending.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';
import { beginCall, outputWithin, type Asked, type Begun, type Reservation } from './begin.ts';
import { completeCall, failCall } from './complete.ts';
import { insist } from './insist.ts';
import { firstAsked } from './journaled.ts';
import { chatFacts, chatSpan } from './telemetry.ts';
import type { LiveCall, Outcome } from './live-call.ts';
import { callOptions, promptJson, stepPrompt, type Prompt } from './prompt.ts';

/** What making model calls needs beside the common parts. */
export interface CallParts extends Parts {
  readonly catalog: ModelCatalog;
  readonly secrets: Secrets;
  readonly limiter: Limiter;
  readonly makeModel: MakeModel;
  readonly countTokens: CountTokens;
  /** How requests leave for a Model of a namespace; refuses addresses they must not reach. */
  readonly fetchFor: (namespace: string, tls: Candidate['spec']['tls']) => typeof fetch;
  /** Until the first piece of an answer, and between two. Milliseconds. */
  readonly patience: { readonly firstMs: number; readonly idleMs: number };
  /** An outage of all models that lasts longer ends the agent run. Milliseconds. */
  readonly outageMs: number;
  readonly journals: Journals;
}

/** A model call as it is asked for. */
export interface Call {
  readonly namespace: string;
  readonly agentRun: string;
  readonly attempt: number;
  readonly step: number;
  readonly purpose: 'step' | 'compaction' | 'guardrail';
  readonly spec: RevisionSpec;
  /** Names of Models, in the order they are asked. */
  readonly models: readonly string[];
  /** What is asked; absent for a step, whose prompt is the journal's. */
  readonly prompt?: Prompt;
  readonly maxOutput: number;
  /** Of purpose `compaction`: messages the summary replaces. */
  readonly compacted?: number;
  /** W3C traceparent of whoever asked first. */
  readonly traceparent?: string | undefined;
  readonly conversation?: string | undefined;
}

/** How often a call that another gateway makes is looked at. */
const LOOK_MS = 200;
const BACKOFF_MS = 500;
const MOST_BACKOFF_MS = 8_000;
/** A provider that wants to be left alone for longer is out of order. */
const MOST_RETRY_AFTER_MS = 60_000;

/** For so long it is tried to journal an answer that is there, while the lease is renewed. */
const SETTLE_MS = 60_000;

/** What a call has met so far. */
interface Course {
  /** Models that are not asked again, with what they failed with. */
  readonly out: Map<string, Failure>;
  readonly tries: Map<string, number>;
}

/** Makes a call until there is an answer, or none can be had. Never throws: what is wrong becomes a refusal. */
export async function makeCall(parts: CallParts, call: Call, live: LiveCall): Promise<void> {
  try {
    live.end(await answer(parts, call, live));
  } catch (error) {
    if (isBug(error)) parts.log.error({ agentRun: call.agentRun, step: call.step, err: error }, 'a model call failed by a fault of ours');
    else if (!(error instanceof Refusal)) parts.log.warn({ agentRun: call.agentRun, step: call.step, err: error }, 'a model call could not be made; it is asked for again');
    live.end({ ok: false, refusal: error instanceof Refusal ? error : new Refusal('Unavailable', 'the model gateway cannot work right now', { cause: error }) });
  }
}

/** What is asked now: of a step, by the journal as it stands. */
async function promptNow(parts: CallParts, call: Call): Promise<{ readonly prompt: Prompt; readonly seq?: number }> {
  if (call.prompt !== undefined) return { prompt: call.prompt };
  const { messages, pending, lastSeq, step } = await parts.journals.state(call.agentRun);
  if (step < call.step && pending.length > 0) throw new Refusal('Invalid', `${pending.length} calls of the last answer have no result yet`, { why: 'CallsPending' });
  return { prompt: stepPrompt(messages, call.spec), seq: lastSeq };
}

async function answer(parts: CallParts, call: Call, live: LiveCall): Promise<Outcome> {
  const course: Course = { out: new Map(), tries: new Map() };
  for (;;) {
    const { prompt, seq } = await promptNow(parts, call);
    const json = promptJson(prompt);
    const asked: Asked = {
      agentRun: call.agentRun, attempt: call.attempt, step: call.step, purpose: call.purpose, spec: call.spec, promptTokens: promptBound(json), outputTokens: call.maxOutput,
      requestHash: requestHash(prompt), ...(seq === undefined ? {} : { seq }),
    };
    const candidates = (await parts.catalog.find(call.namespace, call.models)).filter((candidate) => mayAnswer(candidate, asked, course));
    if (candidates.length === 0) return giveUp(parts, call, course);
    const begun = await begin(parts, asked, candidates);
    switch (begun.status) {
      case 'Refused': return { ok: false, refusal: begun.refusal };
      case 'Answered': return replayed(parts, call, live);
      case 'Stale': break;
      case 'Elsewhere': await sleep(parts.clock, LOOK_MS, live.signal); break;
      case 'Reserved': {
        const outcome = await ask(parts, { call, asked, live, course, prompt, json }, begun.reservation);
        if (outcome !== undefined) return outcome;
      }
    }
    if (live.signal.aborted) return { ok: false, refusal: new Refusal('Unavailable', 'the call was given up here') };
  }
}

/** Whether a Model is still asked. One whose context window the prompt does not fit into is out, with the reason: that is better than an answer of a few tokens. */
function mayAnswer({ name, spec }: Candidate, { promptTokens, outputTokens }: Asked, { out }: Course): boolean {
  const window = spec.capabilities?.contextWindow;
  if (window !== undefined && outputWithin(window, promptTokens, outputTokens) === 0) {
    out.set(name, { code: 'Refused', message: `the prompt may have ${promptTokens} tokens, and the context window has ${window}: set memory.compaction, or ask a model with a larger one`, passing: false, spent: 'nothing' });
  }
  return !out.has(name);
}

async function begin(parts: CallParts, asked: Asked, candidates: readonly Candidate[]): Promise<Begun> {
  const now = parts.clock.now();
  const begun = await beginCall(parts.db, asked, candidates, { requestId: parts.ids.uuid(), holder: parts.holder, until: now + parts.leaseMs, now });
  tellAppended(parts.bus, begun);
  for (const { kind, payload } of begun.events) {
    if (kind === 'ModelFailed') parts.counters.failed('unknown', 'Lost');
    if (kind === 'BudgetExceeded') parts.counters.exceeded(payload.action);
    if (kind === 'BudgetExceeded' && payload.action === 'Degrade') parts.counters.again('degraded');
    if (kind === 'RunCompleted') parts.counters.ended(payload.phase);
  }
  return begun.result;
}

async function replayed(parts: CallParts, { agentRun, step, purpose }: Call, live: LiveCall): Promise<Outcome> {
  const completed = await answerOfStep(parts.db, agentRun, step, purpose);
  if (completed === undefined) return { ok: false, refusal: new Refusal('StepMismatch', `step ${step} has no answer in the journal`) };
  live.restart();
  return { ok: true, completed };
}

interface Asking {
  readonly call: Call;
  readonly asked: Asked;
  readonly live: LiveCall;
  readonly course: Course;
  readonly prompt: Prompt;
  readonly json: string;
}

/** One request to one model under a reservation. Undefined: begin again, with the same model or the next. */
async function ask(parts: CallParts, asking: Asking, reservation: Reservation): Promise<Outcome | undefined> {
  const { call, live, course } = asking;
  const { candidate } = reservation;
  live.requestId = reservation.requestId;
  live.settling = false;
  const done = parts.counters.inFlight();
  try {
    const attempted = await withGenAi(chatSpan(call, reservation), async (span) => {
      const made = await attempt(parts, asking, reservation);
      span.set(chatFacts(made));
      return made;
    });
    if (attempted.ok) return await complete(parts, asking, reservation, attempted);
    const { failure } = attempted;
    parts.counters.failed(candidate.spec.provider, failure.code);
    parts.log.warn({ agentRun: call.agentRun, step: call.step, model: candidate.name, code: failure.code, err: failure.message }, 'a model did not answer');
    const spent = spentBy(asking, candidate, attempted);
    live.settling = true;
    const { value: settled } = await insist(parts.clock, SETTLE_MS, () => failCall(parts.db, asking.asked, reservation, failure, spent, parts.clock.now()));
    if (settled !== undefined) tellAppended(parts.bus, settled);
    live.restart();
    if (live.signal.aborted) return { ok: false, refusal: new Refusal('Unavailable', 'the call was given up here') };
    await nextTry(parts, candidate, failure, course, live);
    return undefined;
  } finally {
    live.requestId = undefined;
    done();
  }
}

/** Decides what is asked next, and waits as long as it should. */
async function nextTry(parts: CallParts, { name, spec }: Candidate, failure: Failure, { out, tries }: Course, live: LiveCall): Promise<void> {
  const count = (tries.get(name) ?? 0) + 1;
  tries.set(name, count);
  const impatient = (failure.retryAfterMs ?? 0) > MOST_RETRY_AFTER_MS;
  if (!failure.passing || failure.lasting === true || impatient || count > (spec.retries ?? AGENT_DEFAULTS.modelRetries)) {
    out.set(name, failure);
    parts.counters.again('fallback');
    return;
  }
  parts.counters.again('retry');
  const jittered = doubling(BACKOFF_MS, MOST_BACKOFF_MS, count - 1) * (0.75 + parts.ids.random() / 2);
  await sleep(parts.clock, failure.retryAfterMs ?? jittered, live.signal);
}

/** Asks the provider, within the limits of the Model and after its key was read. */
async function attempt(parts: CallParts, { call, live, asked, prompt }: Asking, { candidate, maxOutput }: Reservation): Promise<Attempted> {
  const { name, spec } = candidate;
  const totalMs = parseDuration(spec.timeout ?? '') ?? AGENT_DEFAULTS.modelTimeoutMs;
  const leave = await parts.limiter.enter(call.namespace, name, spec.limits, asked.promptTokens + maxOutput, live.signal);
  if (leave === undefined) return { ok: false, text: '', reasoning: '', failure: { code: 'Aborted', message: 'nobody waits for the answer any more', passing: false, spent: 'nothing' } };
  let tokens = 0;
  let apiKey: string | undefined;
  try {
    apiKey = spec.credentialsRef === undefined ? undefined : await parts.secrets.read(call.namespace, spec.credentialsRef.name, spec.credentialsRef.key);
    const model = await parts.makeModel(spec, apiKey, boundedFetch(parts.fetchFor(call.namespace, spec.tls), maxOutput));
    const deltas = new Deltas(parts.bus, parts.clock, { namespace: call.namespace, id: call.agentRun }, call.step);
    const attempted = await attemptModel(parts.clock, {
      model, options: callOptions(prompt, maxOutput, spec), step: call.step, apiKey, signal: live.signal,
      patience: { ...parts.patience, totalMs },
      piece: (piece) => { live.piece(piece); if (call.purpose === 'step') deltas.add(piece); },
    });
    deltas.flush();
    tokens = attempted.ok ? (attempted.answer.usage?.input ?? asked.promptTokens) + (attempted.answer.usage?.output ?? 0) : 0;
    return attempted;
  } catch (error) {
    return { ok: false, text: '', reasoning: '', failure: keyFailure(error, apiKey) };
  } finally {
    leave.done(tokens);
  }
}

/** A key that is missing is no outage of the provider; an API server that is away is none of this Model's doing. */
function keyFailure(error: unknown, apiKey: string | undefined): Failure {
  if (error instanceof RamboError && (error.code === 'SecretMissing' || error.code === 'SecretNotLabelled')) return { code: 'Credentials', message: error.message, passing: false, spent: 'nothing' };
  return { ...failureOf(error, false, apiKey), spent: 'nothing' };
}

type Answered = Extract<Attempted, { ok: true }>;

async function complete(parts: CallParts, asking: Asking, reservation: Reservation, { answer: got }: Answered): Promise<Outcome | undefined> {
  const { call, json, live } = asking;
  const { requestId, candidate } = reservation;
  const usage: Usage = got.usage ?? await estimatedUsage(parts.countTokens, json, got.text + got.toolCalls.map((one) => `${one.tool}${one.arguments}`).join(''), got.reasoning);
  const nano = costOf(candidate.price, usage);
  const version = candidate.price?.version;
  const completed: AgentEventPayload<'ModelCompleted'> = {
    step: call.step, purpose: call.purpose, requestId, model: candidate.name, text: got.text, ...(got.reasoning === '' ? {} : { reasoning: got.reasoning }), toolCalls: got.toolCalls, finish: got.finish,
    usage, nano: String(nano), estimated: got.usage === undefined, ...(version === undefined ? {} : { priceVersion: version }), ms: Math.round(got.ms), ...(got.firstMs === undefined ? {} : { firstMs: Math.round(got.firstMs) }),
  };
  live.settling = true;
  const { value: appended, repeated } = await insist(parts.clock, SETTLE_MS, () => completeCall(parts.db, asking.asked, reservation, completed, parts.clock.now(), call.compacted));
  parts.counters.answered(candidate.spec.provider, usage, nano, got.ms / 1_000, got.firstMs === undefined ? undefined : got.firstMs / 1_000, got.usage === undefined);
  parts.counters.spent(call.namespace, call.spec.agent ?? '', usage, nano);
  if (appended === undefined || appended.result === 'Lost') {
    // Written by an earlier try of ours that did not hear so.
    if (repeated && (await answerOfStep(parts.db, call.agentRun, call.step, call.purpose))?.requestId === requestId) return { ok: true, completed };
    parts.log.warn({ agentRun: call.agentRun, step: call.step }, 'a model call was taken over by another gateway while it was made here');
    live.restart();
    return undefined;
  }
  tellAppended(parts.bus, appended);
  for (const { kind, payload } of appended.events) if (kind === 'RunCompleted') parts.counters.ended(payload.phase);
  return { ok: true, completed };
}

/** What a call without an answer is charged. */
function spentBy({ json }: Asking, candidate: Candidate, { failure, text, reasoning }: Extract<Attempted, { ok: false }>): Amount {
  if (failure.spent === 'nothing') return { tokens: 0, nano: 0n };
  const usage = lostUsage(json, failure.spent === 'prompt' ? '' : text + reasoning);
  return { tokens: usage.input + usage.output, nano: costOf(candidate.price, usage) };
}

/** No model is left to ask. Those that refused for good end the agent run; an outage does so when it has lasted long enough. */
async function giveUp(parts: CallParts, call: Call, { out }: Course): Promise<Outcome> {
  const said = [...out].map(([name, failure]) => `${name}: ${failure.message}`).join('; ');
  if (out.size === 0) return failRun(parts, call, REASONS.refused, `there is no Model ${call.models.map((name) => JSON.stringify(name)).join(', ')} in namespace ${call.namespace}`);
  if ([...out.values()].every(({ passing }) => !passing)) return failRun(parts, call, REASONS.refused, said);
  const since = await firstAsked(parts.db, call.agentRun, call.step, call.purpose);
  if (since !== undefined && parts.clock.now() - since >= parts.outageMs) return failRun(parts, call, REASONS.unavailable, said);
  return { ok: false, refusal: new Refusal('Unavailable', said) };
}

async function failRun(parts: CallParts, { agentRun }: Call, reason: string, message: string): Promise<Outcome> {
  const ended = await endRun(parts, agentRun, { phase: 'Failed', reason, message: message.slice(0, 2_000) });
  return { ok: false, refusal: ended === undefined ? new Refusal('Unavailable', message) : new Refusal('Ended', message, { ended }) };
}
