import { approvalHash } from '../../crds/agent-call.ts';
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
import { LEASE_MS } from './leases.ts';
import { performMemory } from './memory.ts';
import type { Outcome } from './outcome.ts';
import { sendOnce, type Callable } from './send.ts';
import { traced } from './telemetry.ts';
import type { KnownServer } from './servers.ts';

/** Tries of one dispatch where trying again can do no harm. */
const MOST_TRIES = 3;
const BACK_OFF_MS = [200, 1_000] as const;
/** How long a call waits for its turn before it looks again. */
const TURN_MS = 200;
const AGAIN_CLASSES: ReadonlySet<string> = new Set(['ReadOnly', 'Idempotent', 'KeyedIdempotent']);

/** A call that may be sent, and the attempt that asks for it. */
export interface Sending extends OpenCall {
  readonly attempt: number;
  /** W3C traceparent of whoever asked. */
  readonly traceparent?: string | undefined;
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
    if (!await claim(tools, sending, 'Requested')) return sleep(tools.parts.clock, TURN_MS);
    return tools.leases.during(call, () => performMemory(tools, sending, tool));
  }
  const target = await tools.book.target(sending.run.namespace, tool);
  if ('refused' in target) return refuse(tools, sending, target.refused);
  const cached = cacheKey(target.server, tool, call);
  const answer = cached === undefined ? undefined : tools.cache.get(cached);
  if (answer !== undefined) {
    await completeCall(tools, sending, { ...answer, isError: false, ms: 0 });
    return;
  }
  if (!await claim(tools, sending, 'Requested')) return sleep(tools.parts.clock, TURN_MS);
  await tools.leases.during(sending.call, () => perform(tools, sending, target.server, tool, args));
}

/**
 * A call whose holder is gone: it may have been sent or not. What happens is the tool's class: again with the same key, a look
 * by its probe, or a doubt that a person settles.
 */
export async function recoverCall(tools: Tools, sending: Sending): Promise<void> {
  const { tool, call, run } = sending;
  if (tool === undefined || call.effect === 'AtMostOnce') return doubt(tools, sending, 'the process that made the call is gone; whether it happened is not known', 'abandoned');
  if (tool.kind === 'memory') {
    if (!await claim(tools, sending, 'abandoned')) return sleep(tools.parts.clock, TURN_MS);
    return tools.leases.during(call, () => performMemory(tools, sending, tool));
  }
  const target = await tools.book.target(run.namespace, tool);
  if ('refused' in target) return doubt(tools, sending, `the process that made the call is gone, and it cannot be asked about: ${target.refused}`, 'abandoned');
  if (!await claim(tools, sending, 'abandoned')) return sleep(tools.parts.clock, TURN_MS);
  await tools.leases.during(call, () => (call.effect === 'Reconcilable'
    ? probe(tools, sending, target.server, tool, 'the process that made the call is gone')
    : perform(tools, sending, target.server, tool, storedArguments(call))));
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

/** Takes the lease and journals that the call is sent now. False: it is no longer in that state, or others have their turn. */
async function claim(tools: Tools, { run, call, spec, attempt }: Sending, from: 'Requested' | 'abandoned'): Promise<boolean> {
  const appended = await appendToAgentRun(tools.parts.db, run.id, tools.parts.clock.now(), async (row, tx) => {
    const refusal = standing(row, attempt);
    if (refusal !== undefined) throw refusal;
    const now = await getAgentCall(tx, run.id, call.callId);
    if (now === undefined || !isFree(now, from) || (from === 'Requested' && await underWay(tx, run.id) >= spec.limits.parallelTools)) return { events: [], result: false };
    // A look by the probe sends nothing: the call keeps its number of tries.
    const sends = from === 'Requested' || now.effect !== 'Reconcilable';
    await changeAgentCall(tx, run.id, call.callId, { state: 'Dispatched', lease: { holder: tools.parts.holder, ms: LEASE_MS }, tried: sends });
    return { events: sends ? [dispatched(now, now.tries + 1)] : [], result: true };
  });
  if (appended === undefined) return false;
  tools.parts.notify(appended);
  return appended.result;
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

/** Sends until there is an answer, as often as the class allows. */
async function perform(tools: Tools, sending: Sending, server: KnownServer, tool: RevisionTool, args: CallArguments): Promise<void> {
  const { clock } = tools.parts;
  const started = clock.monotonic();
  for (let tries = 1; ; tries += 1) {
    const outcome = await traced(tools, sending, tool, (traceparent) => sendOnce(tools, server, tool, args, { ...sending.call, traceparent }));
    if (outcome.kind === 'answered') {
      const cached = cacheKey(server, tool, sending.call);
      if (cached !== undefined && !outcome.isError) tools.cache.put(cached, { text: outcome.text, ...(outcome.structured === undefined ? {} : { structured: outcome.structured }) }, tool.cacheMs ?? 0);
      await completeCall(tools, sending, { ...outcome, ms: clock.monotonic() - started });
      return;
    }
    const again = mayTryAgain(tools, sending, server, outcome, tries);
    if (!again) return giveUp(tools, sending, server, tool, outcome, clock.monotonic() - started);
    await sleep(clock, BACK_OFF_MS[tries - 1] ?? 1_000);
    await journalTry(tools, sending);
  }
}

function mayTryAgain(tools: Tools, { call }: Sending, server: KnownServer, outcome: Exclude<Outcome, { kind: 'answered' }>, tries: number): boolean {
  if (outcome.kind === 'unknown') return AGAIN_CLASSES.has(call.effect) && tries < MOST_TRIES;
  if (outcome.reason === 'AuthFailed' && server.spec.auth?.clientCredentials !== undefined) {
    // The token may have been withdrawn before its time: one new one is asked for.
    tools.credentials.forget(server);
    return tries === 1;
  }
  return outcome.again && tries < MOST_TRIES;
}

async function journalTry(tools: Tools, { run, call }: Sending): Promise<void> {
  const appended = await appendToAgentRun(tools.parts.db, run.id, tools.parts.clock.now(), async (row, tx) => {
    const now = await getAgentCall(tx, run.id, call.callId);
    if (now === undefined || now.state !== 'Dispatched' || row.finishedAt !== null) return { events: [], result: undefined };
    await changeAgentCall(tx, run.id, call.callId, { state: 'Dispatched', lease: { holder: tools.parts.holder, ms: LEASE_MS }, tried: true });
    return { events: [dispatched(now, now.tries + 1)], result: undefined };
  });
  if (appended !== undefined) tools.parts.notify(appended);
}

async function giveUp(tools: Tools, sending: Sending, server: KnownServer, tool: RevisionTool, outcome: Exclude<Outcome, { kind: 'answered' }>, ms: number): Promise<void> {
  const { effect } = sending.call;
  if (outcome.kind === 'notSent') {
    await completeCall(tools, sending, { text: `The call was not made: ${outcome.message}`, isError: true, ms, ours: true });
    return;
  }
  if (AGAIN_CLASSES.has(effect)) {
    const hint = effect === 'KeyedIdempotent' ? 'It may have happened; look before you ask for the same again.' : 'It may be called again.';
    await completeCall(tools, sending, { text: `The tool gave no answer (${outcome.message}). ${hint}`, isError: true, ms, ours: true });
    return;
  }
  if (effect === 'Reconcilable') return probe(tools, sending, server, tool, outcome.message);
  return doubt(tools, sending, outcome.message, 'mine');
}

/** Finds out by the declared probe whether a call happened, and records what the probe says. No answer is a doubt. */
async function probe(tools: Tools, sending: Sending, server: KnownServer, tool: RevisionTool, why: string): Promise<void> {
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
    const outcome = await traced(tools, sending, looked, (traceparent) => sendOnce(tools, server, looked, args, { key: call.key, effect: 'ReadOnly', traceparent }));
    if (outcome.kind === 'answered' && !outcome.isError) {
      await completeCall(tools, sending, { text: `The answer of the call was lost (${why}). ${looked.tool}, asked what came of it, says: ${outcome.text}`, isError: false, ms: tools.parts.clock.monotonic() - started, ours: true });
      return;
    }
    if (outcome.kind === 'answered') return doubt(tools, sending, `${why}; its probe failed: ${outcome.text.slice(0, 500)}`, 'mine');
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
    if (now === undefined || now.state !== 'Dispatched' || (whose === 'abandoned' && now.held) || row.finishedAt !== null) return { events: [], result: undefined };
    await changeAgentCall(tx, run.id, call.callId, { state: 'InDoubt' });
    const event: NewAgentEvent = { kind: 'ToolInDoubt', payload: { step: call.step, callId: call.callId, tool: call.tool, message: `${shownTool(tool, call.tool)}: ${message}`.slice(0, 2_048) } };
    return { events: [event], set: { awaited: row.awaited + 1 }, result: undefined };
  });
  if (appended !== undefined) tools.parts.notify(appended);
}
