import { approvalHash } from '../../crds/agent-call.ts';
import { AGENT_LIMITS } from '../../crds/agent-parts.ts';
import type { NewAgentEvent } from '../../crds/agent-run.ts';
import type { RevisionTool } from '../../crds/agent-revision.ts';
import { argumentProblems, parseProbe, probeArguments } from '../../engine/index.ts';
import { sleep } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { appendToAgentRun, approvedExactly, changeAgentCall, getAgentCall, lastAgentCalls, type AgentCallRow, type Executor } from '../../prisma/store/index.ts';
import { standing } from '../run/standing.ts';
import { startChild } from './children.ts';
import { completeCall, type OpenCall } from './complete.ts';
import { objectOf, runFacts, shownTool, storedArguments, type CallArguments, type Tools } from './context.ts';
import { performMemory } from './memory.ts';
import { askPerson, resumeOf, type Asked } from './ask.ts';
import type { NoAnswer } from './outcome.ts';
import { sendOnce, type Callable } from './send.ts';
import { traced } from './telemetry.ts';
import type { KnownServer } from './servers.ts';

/** Tries of one dispatch where trying again can do no harm. */
const MOST_TRIES = 3;
const BACK_OFF_MS = [200, 1_000] as const;
/** How long a call waits for its turn before it looks again. */
const TURN_MS = 200;
/** A tool that wants to be asked again, without a question for a person. */
const NOT_NOW_MS = 1_000;
const AGAIN_CLASSES: ReadonlySet<string> = new Set(['ReadOnly', 'Idempotent', 'KeyedIdempotent']);

/** A call that may be sent, and the attempt that asks for it. */
export interface Sending extends OpenCall {
  readonly attempt: number;
  /** W3C traceparent of whoever asked. */
  readonly traceparent?: string | undefined;
}

/** A call that is being made. `over` aborts once its agent run has ended. */
interface Making extends Sending {
  readonly over: AbortSignal;
}

/** Sends a call of state `Requested`: what was approved must be exactly this, the server must still say the same. Ends when the call has another state. */
export async function dispatchCall(tools: Tools, sending: Sending): Promise<void> {
  const { tool, call } = sending;
  if (tool === undefined) return refuse(tools, sending, 'its tool is not in the revision of this run');
  const args = storedArguments(call);
  const problems = await argumentProblems(tool, args);
  if (problems.length > 0) return refuse(tools, sending, `its arguments are wrong: ${problems.join('; ')}`);
  if (!await approved(tools, sending, tool, args)) return refuse(tools, sending, 'what was approved is not what would be sent');
  if (tool.kind === 'workflow' || tool.kind === 'agent') return startChild(tools, sending, tool);
  if (tool.kind === 'memory') {
    const since = await claim(tools, sending, 'Requested');
    if (since === undefined) return sleep(tools.parts.clock, TURN_MS);
    return tools.leases.during(call, since, () => performMemory(tools, sending, tool));
  }
  const target = await tools.book.target(sending.run.namespace, tool);
  if ('refused' in target) return refuse(tools, sending, target.refused);
  const cached = cacheKey(target.server, tool, call);
  const resume = await resumeOf(tools, sending, tool);
  if (typeof resume === 'string') return refuse(tools, sending, resume);
  const answer = cached === undefined || resume !== undefined ? undefined : tools.cache.get(cached);
  if (answer !== undefined) {
    await completeCall(tools, sending, { ...answer, isError: false, ms: 0 });
    return;
  }
  const since = await claim(tools, sending, 'Requested');
  if (since === undefined) return sleep(tools.parts.clock, TURN_MS);
  await tools.leases.during(sending.call, since, (over) => perform(tools, { ...sending, over }, { server: target.server, tool, args, resume }));
}

/**
 * A call whose holder is gone: it may have been sent or not. What happens is the tool's class: again with the same key, a look
 * by its probe, or a doubt that a person settles.
 */
export async function recoverCall(tools: Tools, sending: Sending): Promise<void> {
  const { tool, call, run } = sending;
  if (tool === undefined || call.effect === 'AtMostOnce') return doubt(tools, sending, 'the process that made the call is gone; whether it happened is not known', 'abandoned');
  if (tool.kind === 'memory') {
    const since = await claim(tools, sending, 'abandoned');
    if (since === undefined) return sleep(tools.parts.clock, TURN_MS);
    return tools.leases.during(call, since, () => performMemory(tools, sending, tool));
  }
  const target = await tools.book.target(run.namespace, tool);
  if ('refused' in target) return doubt(tools, sending, `the process that made the call is gone, and it cannot be asked about: ${target.refused}`, 'abandoned');
  const resume = await resumeOf(tools, sending, tool);
  if (typeof resume === 'string') return doubt(tools, sending, `the process that made the call is gone, and ${resume}`, 'abandoned');
  const since = await claim(tools, sending, 'abandoned');
  if (since === undefined) return sleep(tools.parts.clock, TURN_MS);
  await tools.leases.during(call, since, (over) => (call.effect === 'Reconcilable'
    ? probe(tools, { ...sending, over }, target.server, tool, 'the process that made the call is gone')
    : perform(tools, { ...sending, over }, { server: target.server, tool, args: storedArguments(call), resume })));
}

async function approved(tools: Tools, { run, call }: Sending, tool: RevisionTool, args: CallArguments): Promise<boolean> {
  const hash = approvalHash({ revision: run.revision, tool: tool.display, schemaHash: tool.schemaHash, arguments: args });
  return await approvedExactly(tools.parts.db, run.id, call.callId, hash) ?? true;
}

async function refuse(tools: Tools, open: OpenCall, why: string): Promise<void> {
  await completeCall(tools, open, { text: `The call was not made: ${why}`, isError: true, ms: 0, ours: true });
}

function cacheKey(server: KnownServer, tool: RevisionTool, call: AgentCallRow): string | undefined {
  return tool.effect === 'ReadOnly' && tool.cacheMs !== undefined && tool.cacheMs > 0 ? `${server.uid}/${server.generation}/${tool.tool}/${tool.schemaHash}/${call.argsHash}` : undefined;
}

/** Takes the lease and journals that the call is sent now; gives when (monotonic) it began to. Undefined: it is no longer in that state, or others have their turn. */
async function claim(tools: Tools, { run, call, spec, attempt }: Sending, from: 'Requested' | 'abandoned'): Promise<number | undefined> {
  const since = tools.parts.clock.monotonic();
  const appended = await appendToAgentRun(tools.parts.db, run.id, tools.parts.clock.now(), async (row, tx) => {
    const refusal = standing(row, attempt);
    if (refusal !== undefined) throw refusal;
    const now = await getAgentCall(tx, run.id, call.callId);
    if (now === undefined || !isFree(now, from) || (from === 'Requested' && await underWay(tx, run.id) >= spec.limits.parallelTools)) return { events: [], result: false };
    // A look by the probe sends nothing: the call keeps its number of tries.
    const sends = from === 'Requested' || now.effect !== 'Reconcilable';
    await changeAgentCall(tx, run.id, call.callId, { state: 'Dispatched', lease: { holder: tools.parts.holder, ms: tools.parts.leaseMs }, tried: sends });
    return { events: sends ? [dispatched(now, now.tries + 1)] : [], result: true };
  });
  if (appended === undefined) return undefined;
  tools.parts.notify(appended);
  return appended.result ? since : undefined;
}

/** Whether this process may still send a call: it was not stopped for so long that others had to decide about it. */
async function stillMine(tools: Tools, sending: Sending): Promise<boolean> {
  return tools.leases.fresh(sending.call) || retake(tools, sending, false);
}

/** Takes the lease of a call that this process makes anew; `tried` journals that it is sent once more. False: it is not its to make any more. */
async function retake(tools: Tools, { run, call }: Sending, tried: boolean): Promise<boolean> {
  const since = tools.parts.clock.monotonic();
  const appended = await appendToAgentRun(tools.parts.db, run.id, tools.parts.clock.now(), async (row, tx) => {
    const now = await getAgentCall(tx, run.id, call.callId);
    if (now === undefined || !isMine(tools, now) || row.finishedAt !== null) return { events: [], result: false };
    await changeAgentCall(tx, run.id, call.callId, { state: 'Dispatched', lease: { holder: tools.parts.holder, ms: tools.parts.leaseMs }, tried });
    return { events: tried ? [dispatched(now, now.tries + 1)] : [], result: true };
  });
  if (appended?.result !== true) return false;
  tools.leases.taken(call, since);
  tools.parts.notify(appended);
  return true;
}

function isMine(tools: Tools, call: AgentCallRow): boolean {
  return call.state === 'Dispatched' && call.holder === tools.parts.holder;
}

function isFree(call: AgentCallRow, from: 'Requested' | 'abandoned'): boolean {
  return from === 'Requested' ? call.state === 'Requested' : call.state === 'Dispatched' && !call.held;
}

async function underWay(tx: Executor, agentRun: string): Promise<number> {
  return (await lastAgentCalls(tx, agentRun, 256)).filter(({ state, held }) => state === 'Dispatched' && held).length;
}

function dispatched({ step, callId }: AgentCallRow, tries: number): NewAgentEvent {
  return { kind: 'ToolDispatched', payload: { step, callId, tries } };
}

/** What is sent where. `resume`: what a person said to what the tool asked. */
interface Parcel {
  readonly server: KnownServer;
  readonly tool: RevisionTool;
  readonly args: CallArguments;
  readonly resume: Asked | undefined;
}

/** Sends until there is an answer or a question, as often as the class allows. */
async function perform(tools: Tools, sending: Making, { server, tool, args, resume }: Parcel): Promise<void> {
  const { clock } = tools.parts;
  const started = clock.monotonic();
  let said = resume;
  for (let tries = 1; ; tries += 1) {
    const parcel = { tool, args, ...(said === undefined ? {} : { resume: said }) };
    const outcome = await traced(tools, sending, tool, (traceparent) => sendOnce(tools, server, parcel, { ...sending.call, traceparent }, { may: () => stillMine(tools, sending), over: sending.over }));
    // Nobody waits for it any more; what it came to is for no journal.
    if (sending.over.aborted) return refuse(tools, sending, 'its agent run has ended');
    if (outcome.kind === 'lost') return;
    if (outcome.kind === 'asks') {
      const round = (said?.round ?? 0) + 1;
      if (outcome.questions.length > 0 || outcome.state === undefined || round > AGENT_LIMITS.inputRounds) return askPerson(tools, sending, tool, { ...outcome, round });
      // It asks nobody: it wants the same again in a moment, with its state.
      said = { answers: {}, state: outcome.state, round };
      await sleep(clock, NOT_NOW_MS);
      if (!await retake(tools, sending, true)) return;
      continue;
    }
    if (outcome.kind === 'answered') {
      // What a person said is for this call alone.
      const cached = said === undefined ? cacheKey(server, tool, sending.call) : undefined;
      if (cached !== undefined && !outcome.isError) tools.cache.put(cached, { text: outcome.text, ...(outcome.structured === undefined ? {} : { structured: outcome.structured }) }, tool.cacheMs ?? 0);
      await completeCall(tools, sending, { ...outcome, ms: clock.monotonic() - started });
      return;
    }
    const again = mayTryAgain(tools, sending, server, outcome, tries);
    if (!again) return giveUp(tools, sending, server, tool, outcome, clock.monotonic() - started);
    await sleep(clock, BACK_OFF_MS[tries - 1] ?? 1_000);
    if (!await retake(tools, sending, true)) return;
  }
}

function mayTryAgain(tools: Tools, { call }: Sending, server: KnownServer, outcome: NoAnswer, tries: number): boolean {
  if (outcome.kind === 'unknown') return AGAIN_CLASSES.has(call.effect) && tries < MOST_TRIES;
  if (outcome.reason === 'AuthFailed' && server.spec.auth?.clientCredentials !== undefined) {
    // The token may have been withdrawn before its time: one new one is asked for.
    tools.credentials.forget(server);
    return tries === 1;
  }
  return outcome.again && tries < MOST_TRIES;
}

async function giveUp(tools: Tools, sending: Making, server: KnownServer, tool: RevisionTool, outcome: NoAnswer, ms: number): Promise<void> {
  const { effect } = sending.call;
  if (outcome.kind === 'notSent') {
    await completeCall(tools, sending, { text: `The call was not made: ${outcome.message}`, isError: true, ms, ours: true, by: tools.parts.holder });
    return;
  }
  if (AGAIN_CLASSES.has(effect)) {
    const hint = effect === 'KeyedIdempotent' ? 'It may have happened; look before you ask for the same again.' : 'It may be called again.';
    await completeCall(tools, sending, { text: `The tool gave no answer (${outcome.message}). ${hint}`, isError: true, ms, ours: true, by: tools.parts.holder });
    return;
  }
  if (effect === 'Reconcilable') return probe(tools, sending, server, tool, outcome.message);
  return doubt(tools, sending, outcome.message, 'mine');
}

/** Finds out by the declared probe whether a call happened, and records what the probe says. No answer is a doubt. */
async function probe(tools: Tools, sending: Making, server: KnownServer, tool: RevisionTool, why: string): Promise<void> {
  const { call, run } = sending;
  const started = tools.parts.clock.monotonic();
  const looked = probeOf(server, tool);
  if (looked === undefined) return doubt(tools, sending, `${why}; its probe ${tool.reconcile?.tool ?? ''} is not a ReadOnly tool of ${server.name}`, 'mine');
  let args: CallArguments;
  try {
    args = objectOf(probeArguments(parseProbe(tool.reconcile?.arguments), { arguments: storedArguments(call) as never, key: call.key, run: runFacts(run) }));
  } catch (error) {
    return doubt(tools, sending, `${why}; the arguments of its probe cannot be computed: ${errorMessage(error)}`, 'mine');
  }
  for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
    const outcome = await traced(tools, sending, looked, (traceparent) => sendOnce(tools, server, { tool: looked, args }, { key: call.key, effect: 'ReadOnly', traceparent }, { may: () => Promise.resolve(true), over: sending.over }));
    if (sending.over.aborted) return refuse(tools, sending, 'its agent run has ended');
    if (outcome.kind === 'answered' && !outcome.isError) {
      await completeCall(tools, sending, { text: `The answer of the call was lost (${why}). ${looked.tool}, asked what came of it, says: ${outcome.text}`, isError: false, ms: tools.parts.clock.monotonic() - started, ours: true });
      return;
    }
    if (outcome.kind === 'answered') return doubt(tools, sending, `${why}; its probe failed: ${outcome.text.slice(0, 500)}`, 'mine');
    if (outcome.kind === 'asks') return doubt(tools, sending, `${why}; its probe asks for a person`, 'mine');
    if (tries < MOST_TRIES) await sleep(tools.parts.clock, BACK_OFF_MS[tries - 1] ?? 1_000);
  }
  return doubt(tools, sending, `${why}; its probe gave no answer`, 'mine');
}

function probeOf(server: KnownServer, tool: RevisionTool): Callable | undefined {
  const name = tool.reconcile?.tool;
  const known = server.known?.tools.find((entry) => entry.name === name);
  if (name === undefined || known === undefined || known.effect !== 'ReadOnly' || known.refused !== undefined) return undefined;
  const operation = server.spec.http?.operations.find((entry) => entry.name === name);
  return {
    kind: tool.kind, tool: name, inputSchema: known.inputSchema, timeoutMs: tool.timeoutMs,
    ...(operation === undefined ? {} : { http: { method: operation.method, path: operation.path, query: operation.query ?? [] } }),
  };
}

/** Puts a call in doubt: a person says what happened. `abandoned`: of a holder that is gone; `mine`: of a call this process made. */
async function doubt(tools: Tools, { run, tool, call }: OpenCall, message: string, whose: 'abandoned' | 'mine'): Promise<void> {
  const appended = await appendToAgentRun(tools.parts.db, run.id, tools.parts.clock.now(), async (row, tx) => {
    const now = await getAgentCall(tx, run.id, call.callId);
    if (now === undefined || now.state !== 'Dispatched' || (whose === 'abandoned' ? now.held : !isMine(tools, now)) || row.finishedAt !== null) return { events: [], result: undefined };
    await changeAgentCall(tx, run.id, call.callId, { state: 'InDoubt' });
    const event: NewAgentEvent = { kind: 'ToolInDoubt', payload: { step: call.step, callId: call.callId, tool: call.tool, message: `${shownTool(tool, call.tool)}: ${message}`.slice(0, 2_048) } };
    return { events: [event], set: { awaited: row.awaited + 1 }, result: undefined };
  });
  if (appended !== undefined) tools.parts.notify(appended);
}
