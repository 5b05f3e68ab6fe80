import type { AgentEvent, AgentEventKind, AgentEventPayload, AgentPhase, ToolCall } from './agent-run.ts';

/** A message as the model sees it. `callId`s tie results to calls. */
export type AgentMessage =
  | { readonly role: 'system' | 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly text: string; readonly toolCalls: readonly ToolCall[] }
  | { readonly role: 'tool'; readonly callId: string; readonly tool: string; readonly text: string; readonly isError: boolean };

/** Where a tool call stands. */
export type CallState = 'Requested' | 'WaitingApproval' | 'Dispatched' | 'WaitingInput' | 'Child' | 'InDoubt';

/** A call of the last answer that has no result yet; `state` undefined: nothing was journaled of it. */
export interface PendingCall extends ToolCall {
  readonly step: number;
  readonly state?: CallState;
}

/** What an agent run is at: the fold of its journal, nothing else. */
export interface FoldedState {
  readonly phase: AgentPhase;
  /** Model calls for purpose `step` that were answered. */
  readonly step: number;
  readonly messages: readonly AgentMessage[];
  /** In the order the model asked. */
  readonly pending: readonly PendingCall[];
  /** Output repairs asked for so far. */
  readonly repairs: number;
  /** Tokens of the prompt of the last answer, for compaction. */
  readonly contextTokens: number;
  readonly lastSeq: number;
  readonly end?: AgentEventPayload<'RunCompleted'>;
}

interface Building {
  phase: AgentPhase;
  step: number;
  messages: AgentMessage[];
  pending: PendingCall[];
  repairs: number;
  contextTokens: number;
  lastSeq: number;
  end?: AgentEventPayload<'RunCompleted'>;
}

/** A fold that goes on event by event, in order of seq, from the first. */
export class AgentFold {
  readonly #state: Building = { phase: 'Pending', step: 0, messages: [], pending: [], repairs: 0, contextTokens: 0, lastSeq: 0 };

  /** As it stands after the last event: changes with the next. */
  get state(): FoldedState { return this.#state; }

  add(event: AgentEvent): void {
    apply(this.#state, event);
    this.#state.lastSeq = event.seq;
  }
}

/** Folds a journal, in order of seq, from its first event. */
export function foldAgentRun(events: Iterable<AgentEvent>): FoldedState {
  const fold = new AgentFold();
  for (const event of events) fold.add(event);
  return fold.state;
}

/** What the input of a run is as a message: a text as it is, everything else as JSON. */
export function inputText(input: unknown): string {
  return typeof input === 'string' ? input : JSON.stringify(input ?? null);
}

function apply(state: Building, event: AgentEvent): void {
  switch (event.kind) {
    case 'RunStarted': return begin(state, event.payload);
    case 'GuardrailDecided': return guard(state, event.payload);
    case 'ModelCompleted': return answer(state, event.payload);
    case 'ToolRequested': return moveCall(state, event.payload.callId, event.payload.decision === 'RequireApproval' ? 'WaitingApproval' : 'Requested');
    case 'ToolDispatched': return moveCall(state, event.payload.callId, event.payload.childRun === undefined ? 'Dispatched' : 'Child');
    case 'ApprovalDecided': return decided(state, event.payload);
    case 'ToolCompleted': return complete(state, event.payload);
    case 'OutputRejected': return reject(state, event.payload);
    case 'ContextCompacted': return compact(state, event.payload);
    case 'Parked': case 'Woken': case 'RunCompleted': return movePhase(state, event);
    // What was asked of a model, refused or spent changes nothing that the model sees.
    default: return moveByKind(state, event);
  }
}

/** Events that say of their call where it stands, and nothing else. */
const STANDS: Readonly<Partial<Record<AgentEventKind, CallState>>> = { ToolInDoubt: 'InDoubt', InputRequested: 'WaitingInput', InputAnswered: 'Requested', DoubtSettled: 'Requested' };

function moveByKind(state: Building, { kind, payload }: AgentEvent): void {
  const to = STANDS[kind];
  if (to !== undefined && 'callId' in payload && payload.callId !== undefined) moveCall(state, payload.callId, to);
}

function movePhase(state: Building, event: Extract<AgentEvent, { kind: 'Parked' | 'Woken' | 'RunCompleted' }>): void {
  if (event.kind === 'RunCompleted') state.end = event.payload;
  state.phase = event.kind === 'Parked' ? phaseOfWaiting(state.pending.map((call) => call.state)) : event.kind === 'Woken' ? 'Running' : event.payload.phase;
}

function reject(state: Building, { message }: AgentEventPayload<'OutputRejected'>): void {
  state.repairs += 1;
  state.messages.push({ role: 'user', text: message });
}

function begin(state: Building, { instructions, history, input }: AgentEventPayload<'RunStarted'>): void {
  state.phase = 'Running';
  if (instructions !== '') state.messages.push({ role: 'system', text: instructions });
  for (const { role, text } of history) state.messages.push(role === 'user' ? { role, text } : { role, text, toolCalls: [] });
  state.messages.push({ role: 'user', text: inputText(input) });
}

/** A guardrail of the input may give another text in its place. */
function guard(state: Building, { stage, replacement }: AgentEventPayload<'GuardrailDecided'>): void {
  const last = state.messages.at(-1);
  if (stage === 'Input' && replacement !== undefined && last?.role === 'user') state.messages[state.messages.length - 1] = { role: 'user', text: replacement };
}

function answer(state: Building, { purpose, step, text, toolCalls, usage }: AgentEventPayload<'ModelCompleted'>): void {
  if (purpose !== 'step') return;
  state.step = step;
  state.contextTokens = usage.input + usage.output;
  state.messages.push({ role: 'assistant', text, toolCalls });
  state.pending = toolCalls.map((call) => ({ ...call, step }));
}

function moveCall(state: Building, callId: string, to: CallState): void {
  state.pending = state.pending.map((call) => (call.callId === callId ? { ...call, state: to } : call));
}

/** An approval may change the arguments; a rejection is followed by the call's ToolCompleted. */
function decided(state: Building, { callId, decision, arguments: edited }: AgentEventPayload<'ApprovalDecided'>): void {
  if (decision !== 'Approved') return;
  moveCall(state, callId, 'Requested');
  if (edited !== undefined) state.pending = state.pending.map((call) => (call.callId === callId ? { ...call, arguments: edited } : call));
}

function complete(state: Building, { callId, tool, text, isError }: AgentEventPayload<'ToolCompleted'>): void {
  state.pending = state.pending.filter((call) => call.callId !== callId);
  state.messages.splice(placeOf(state.messages, callId), 0, { role: 'tool', callId, tool, text, isError });
}

/** Results stand in the order in which the model asked, whichever came first: parallel tools give one prompt. */
function placeOf(messages: readonly AgentMessage[], callId: string): number {
  const at = messages.findLastIndex(({ role }) => role === 'assistant');
  const asked = messages[at];
  if (asked?.role !== 'assistant') return messages.length;
  const order = asked.toolCalls.map((call) => call.callId);
  const later = messages.findIndex((message, i) => i > at && message.role === 'tool' && order.indexOf(message.callId) > order.indexOf(callId));
  return later < 0 ? messages.length : later;
}

function compact(state: Building, { messages, summary }: AgentEventPayload<'ContextCompacted'>): void {
  const system = state.messages[0]?.role === 'system' ? state.messages.slice(0, 1) : [];
  const kept = state.messages.slice(system.length + messages);
  state.messages = [...system, { role: 'user', text: summary }, ...kept];
}

/** The phase of an agent run that waits, by the states of the calls that have no result: what a person has to do comes first. */
export function phaseOfWaiting(calls: readonly (CallState | undefined)[]): AgentPhase {
  if (calls.includes('InDoubt')) return 'InDoubt';
  if (calls.includes('WaitingApproval')) return 'WaitingApproval';
  if (calls.includes('WaitingInput')) return 'WaitingInput';
  return calls.includes('Child') ? 'Suspended' : 'WaitingInput';
}
