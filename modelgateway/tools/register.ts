import { toolBodySchema } from '../../crds/agent-gateway.ts';
import { errorMessage, RamboError } from '../../platform/errors/index.ts';
import type { AgentAnswer, AgentAsk } from '../../platform/messages/agent-ask.ts';
import { expireApproval, expiredApprovals, expiredInputs, expireInput, openChild, type AgentRunRow, type Appended } from '../../prisma/store/index.ts';
import { Refusal } from '../http/errors.ts';
import { wake } from '../run/notices.ts';
import { SeenRuns } from '../run/seen-runs.ts';
import type { Caller } from '../run/standing.ts';
import { AnswerCache } from './cache.ts';
import { driveCall, type ToolAnswer } from './call.ts';
import { apart, lookAtChild, sweepChildren } from './children.ts';
import type { Tools } from './context.ts';
import { Credentials } from './credentials.ts';
import { discover } from './discover.ts';
import { Leases } from './leases.ts';
import { McpPool } from './mcp.ts';
import { sweepMemories } from './memory.ts';
import type { ToolParts } from './parts.ts';
import { ServerBook } from './servers.ts';

/** An answer of the gateway. */
export interface DoorAnswer {
  readonly status: number;
  readonly body: object;
}

/** Where doors are put. */
export interface Doors {
  post(path: string, handler: (caller: Caller, body: unknown, signal: AbortSignal, traceparent?: string) => Promise<DoorAnswer>): void;
}

/** The tools' half of the gateway, running. */
export interface ToolsHalf {
  /** Looks at children and expired approvals; call it about once a second. Throws what the database does. */
  sweep(): Promise<void>;
  answerDiscover(ask: Extract<AgentAsk, { verb: 'discover' }>): Promise<AgentAnswer>;
  /** A workflow run ended: a call may wait for it. */
  changed(runId: string): Promise<void>;
  /** Number of calls being made now. */
  busy(): number;
  close(): Promise<void>;
}

/** Answers a slow call after so long with `running`; the runner asks again. */
const POLL_MS = 25_000;
const PAGE = 100;

/** Puts `POST /v1/agent/tool` into the gateway and gives what else it has to be told. */
export function registerTools(doors: Doors, parts: ToolParts): ToolsHalf {
  const tools: Tools = {
    parts, book: new ServerBook(parts.db, parts.clock), credentials: new Credentials(parts.secrets, parts.clock), mcp: new McpPool(parts.clock),
    leases: new Leases(parts), cache: new AnswerCache(parts.clock),
    children: new SeenRuns(),
  };
  const forgotten = { at: Number.NEGATIVE_INFINITY };
  const place: { after: string | undefined } = { after: undefined };
  const driven = new Map<string, Promise<ToolAnswer>>();
  doors.post('/v1/agent/tool', (caller, body, signal, traceparent) => answer(tools, driven, { ...caller, traceparent }, body, signal));
  return {
    sweep: async () => {
      await sweepChildren(tools, place);
      await sweepApprovals(tools);
      await sweepInputs(tools);
      await sweepMemories(tools, forgotten);
    },
    answerDiscover: (ask) => discover(tools, ask),
    changed: async (runId) => {
      // Of every run that ends in the installation only these are asked for.
      if (!tools.children.take(runId)) return;
      const child = await openChild(parts.db, runId);
      if (child !== undefined) await lookAtChild(tools, child);
    },
    busy: () => tools.leases.size,
    close: async () => {
      tools.leases.close();
      await tools.mcp.close();
    },
  };
}

/** Whoever asks, and the span below which what is done for them belongs. */
type TracedCaller = Caller & { readonly traceparent: string | undefined };

async function answer(tools: Tools, driven: Map<string, Promise<ToolAnswer>>, caller: TracedCaller, body: unknown, signal: AbortSignal): Promise<DoorAnswer> {
  const parsed = toolBodySchema.safeParse(body);
  if (!parsed.success) return refused(new Refusal('Invalid', `the body is not {step, callId}: ${parsed.error.issues[0]?.message ?? ''}`));
  const { step, callId } = parsed.data;
  const key = `${caller.agentRun}/${caller.attempt}/${callId}`;
  try {
    const work = driven.get(key) ?? begin(tools, driven, key, caller, step, callId);
    return { status: 200, body: await inTime(tools, work, signal) };
  } catch (error) {
    if (error instanceof Refusal) return refused(error);
    if (error instanceof RamboError && error.code === 'Unavailable') return refused(new Refusal('Unavailable', error.message, { cause: error }));
    throw error;
  }
}

/** The work goes on when whoever asked has left: what it comes to is in the journal. */
function begin(tools: Tools, driven: Map<string, Promise<ToolAnswer>>, key: string, caller: TracedCaller, step: number, callId: string): Promise<ToolAnswer> {
  const work = driveCall(tools, caller, step, callId).finally(() => { driven.delete(key); });
  work.catch((error: unknown) => {
    if (!(error instanceof Refusal)) tools.parts.log.warn({ namespace: caller.ns, run: caller.run, node: caller.node, err: errorMessage(error) }, 'a tool call could not be driven on');
  });
  driven.set(key, work);
  return work;
}

function inTime(tools: Tools, work: Promise<ToolAnswer>, signal: AbortSignal): Promise<ToolAnswer> {
  return new Promise((resolve, reject) => {
    const running = (): void => { resolve({ status: 'running' }); };
    const timer = tools.parts.clock.after(POLL_MS, running);
    signal.addEventListener('abort', running, { once: true });
    work.then(resolve, reject).finally(() => {
      timer.cancel();
      signal.removeEventListener('abort', running);
    });
  });
}

function refused(refusal: Refusal): DoorAnswer {
  return { status: refusal.status, body: refusal.body() };
}

async function sweepApprovals(tools: Tools): Promise<void> {
  const { parts } = tools;
  for (const approval of await expiredApprovals(parts.db, parts.clock.now(), PAGE)) {
    await apart(tools, approval.namespace, async () => { await toldExpired(tools, await expireApproval(parts.db, approval, parts.clock.now())); });
  }
}

async function sweepInputs(tools: Tools): Promise<void> {
  const { parts } = tools;
  for (const input of await expiredInputs(parts.db, parts.clock.now(), PAGE)) {
    await apart(tools, input.namespace, async () => { await toldExpired(tools, await expireInput(parts.db, input, parts.clock.now())); });
  }
}

async function toldExpired({ parts }: Tools, expired: (Appended<unknown> & { readonly run: AgentRunRow }) | undefined): Promise<void> {
  if (expired === undefined) return;
  parts.notify(expired);
  if (expired.run.awaited === 0) await wake(parts.bus, expired.run);
}
