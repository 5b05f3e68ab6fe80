import type { Log } from '../platform/log/index.ts';
import { chatDoor } from './chat/door.ts';
import { judgeText } from './chat/judge.ts';
import type { CallParts } from './chat/calls.ts';
import { CallRegistry } from './chat/registry.ts';
import { authenticator } from './http/authenticate.ts';
import { Door, type DoorParts } from './http/server.ts';
import type { DefaultLimits } from './run/accounts.ts';
import type { ConfigMapReader } from './run/config-maps.ts';
import { finishDoor } from './run/finish.ts';
import type { GuardText } from './run/guard.ts';
import { Journals } from './run/journals.ts';
import { tellAppended } from './run/notices.ts';
import { openDoor, type OpenParts } from './run/open.ts';
import { parkedDoor } from './run/parked.ts';
import { Revisions } from './run/revisions.ts';
import { SeenRuns } from './run/seen-runs.ts';
import { Sweeper } from './sweep/sweeper.ts';
import { runFacts } from './tools/context.ts';
import { guardText } from './tools/guardrails.ts';
import type { ToolParts } from './tools/parts.ts';
import { registerTools, type ToolsHalf } from './tools/register.ts';
import { validTraceparent } from '../platform/tracing/gen-ai.ts';

/** What a gateway is made of. */
export interface GatewayParts extends Omit<CallParts, 'journals'> {
  readonly log: Log;
  readonly defaults: DefaultLimits;
  readonly configMaps: ConfigMapReader;
  /** Keeps whole results of tools; without it they are cut. */
  readonly objects?: ToolParts['objects'];
  readonly door: Omit<DoorParts, 'clock' | 'log' | 'authenticate'>;
}

/** A gateway, wired and not yet listening. */
export interface GatewayServer {
  readonly door: Door;
  readonly calls: CallRegistry;
  readonly sweeper: Sweeper;
  readonly revisions: Revisions;
  /** Workflow runs whose attempts have spoken to this gateway of late. */
  readonly seen: SeenRuns;
  readonly tools: ToolsHalf;
}

/** Puts a gateway together: its routes on a door, its calls, its sweep. */
export function wireGateway(parts: GatewayParts): GatewayServer {
  const journals = new Journals(parts.db);
  const revisions = new Revisions(parts.db, parts.configMaps);
  const calls = new CallRegistry({ ...parts, journals });
  const seen = new SeenRuns();
  const authenticate = authenticator(parts.db, parts.clock);
  const door = new Door({ ...parts.door, clock: parts.clock, log: parts.log, authenticate: async (token) => {
    const caller = await authenticate(token);
    seen.add(caller.run);
    return caller;
  } });
  const toolParts: ToolParts = {
    ...parts, fetchFor: (namespace) => parts.fetchFor(namespace, undefined), notify: (appended) => { tellAppended(parts.bus, appended); },
    judgeModel: (question) => judgeText(parts.db, calls, revisions, question),
  };
  const guard: GuardText = (stage, guardrails, text, run) => guardText(toolParts, stage, guardrails, text, { namespace: run.namespace, agentRun: run.id, facts: { run: runFacts(run) } });
  const open: OpenParts = { ...parts, revisions, journals, guard };
  door.post('/v1/agent/open', openDoor(open));
  door.post('/v1/agent/finish', finishDoor(open));
  door.post('/v1/agent/parked', parkedDoor(parts));
  door.post('/v1/chat/completions', chatDoor({ clock: parts.clock, enter: (call) => calls.enter(call), revisionOf: ({ agentRun }) => revisions.ofRun(agentRun), conversationOf: ({ agentRun }) => revisions.conversationOf(agentRun) }));
  const tools = registerTools({ post: (path, handler) => { door.post(path, ({ caller, body, signal, header }) => handler(caller, body, signal, validTraceparent(header('traceparent')))); } }, toolParts);
  const sweeper = new Sweeper({ ...parts, sweepTools: () => tools.sweep(), stop: (agentRun) => { calls.stop(agentRun); } });
  return { door, calls, sweeper, revisions, seen, tools };
}
