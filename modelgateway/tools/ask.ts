import { inputHash } from '../../crds/agent-call.ts';
import { AGENT_DEFAULTS, AGENT_LIMITS } from '../../crds/agent-parts.ts';
import type { InputQuestion, NewAgentEvent } from '../../crds/agent-run.ts';
import type { RevisionTool } from '../../crds/agent-revision.ts';
import { answerProblems, takeInQuestion } from '../../engine/index.ts';
import { addInput, answersOf, appendToAgentRun, approvalOfCall, changeAgentCall, eventOfCall, getAgentCall, inputOfCall, questionsOf } from '../../prisma/store/index.ts';
import { completeCall, type OpenCall } from './complete.ts';
import { storedArguments, type Tools } from './context.ts';
import type { Resume } from './mcp.ts';
import type { RawQuestion } from './outcome.ts';

/*
 * A tool that asks a person in the middle of a call (`input_required` of MCP): what it asks and its own state are journaled, the call
 * waits without a runner and without a gateway, and goes on with what was answered.
 */

/** What a person said, and the round of the call they said it in. */
export interface Asked extends Resume {
  readonly round: number;
}

/** A question as it came. */
interface Asking {
  readonly questions: readonly RawQuestion[];
  readonly state?: string;
  readonly round: number;
}

/**
 * What the next request of a call brings along: nothing before its tool has asked. A text says why it may not be sent: what was answered is
 * not what was asked, or does not fit it.
 */
export async function resumeOf(tools: Tools, { run, call }: OpenCall, tool: RevisionTool): Promise<Asked | undefined | string> {
  const input = await inputOfCall(tools.parts.db, run.id, call.callId);
  if (input === undefined) return undefined;
  const event = await eventOfCall(tools.parts.db, run.id, 'InputRequested', call.callId);
  const answers = answersOf(input);
  if (answers === undefined || event?.kind !== 'InputRequested' || event.payload.input !== input.id) return 'what its tool asked was not answered';
  const { state } = event.payload;
  const questions = questionsOf(input);
  const hash = inputHash({ revision: run.revision, tool: tool.display, schemaHash: tool.schemaHash, arguments: storedArguments(call), callId: call.callId, round: input.round, questions, state });
  if (hash !== input.hash) return 'what was answered is not what its tool asked';
  const problems = await answerProblems(questions, answers);
  return problems.length > 0 ? `what was answered does not fit: ${problems.join('; ')}` : { answers, round: input.round, ...(state === undefined ? {} : { state }) };
}

/** Journals what a tool asks and lets the call wait. One that asks too much, too often or what cannot be answered is an error for the model. */
export async function askPerson(tools: Tools, open: OpenCall, tool: RevisionTool, asking: Asking): Promise<void> {
  const { run, call } = open;
  const taken = takeIn(asking);
  if ('problem' in taken) {
    await completeCall(tools, open, { text: `The tool asks for a person, and cannot be answered: ${taken.problem}. Whether it did anything is its own affair.`, isError: true, ms: 0, ours: true });
    return;
  }
  const { questions } = taken;
  const { round, state } = asking;
  const at = tools.parts.clock.now();
  const id = tools.parts.ids.uuid();
  const expiresAt = at + AGENT_DEFAULTS.inputTimeoutMs;
  const hash = inputHash({ revision: run.revision, tool: tool.display, schemaHash: tool.schemaHash, arguments: storedArguments(call), callId: call.callId, round, questions, state });
  const appended = await appendToAgentRun(tools.parts.db, run.id, at, async (row, tx) => {
    const now = await getAgentCall(tx, run.id, call.callId);
    // Whoever lost its lease comes too late: another asks, or has an answer.
    if (now === undefined || now.state !== 'Dispatched' || now.holder !== tools.parts.holder || row.finishedAt !== null) return { events: [], result: undefined };
    // Who may decide about the call answers for it.
    const answerers = [...(await approvalOfCall(tx, run.id, call.callId))?.approvers ?? []];
    await addInput(tx, { id, agentRun: run.id, callId: call.callId, namespace: run.namespace, tool: tool.display, round, hash, questions: Buffer.from(JSON.stringify(questions)), answerers, expiresAt, createdAt: at });
    await changeAgentCall(tx, run.id, call.callId, { state: 'WaitingInput' });
    const requested: NewAgentEvent = { kind: 'InputRequested', payload: {
      step: call.step, callId: call.callId, tool: call.tool, input: id, round, hash, expiresAt, questions, answerers, ...(state === undefined ? {} : { state }),
    } };
    return { events: [requested], set: { awaited: row.awaited + 1 }, result: undefined };
  });
  if (appended !== undefined) tools.parts.notify(appended);
}

function takeIn({ questions, state, round }: Asking): { readonly questions: readonly InputQuestion[] } | { readonly problem: string } {
  if (round > AGENT_LIMITS.inputRounds) return { problem: `it asked ${AGENT_LIMITS.inputRounds} times in one call` };
  if (questions.length === 0) return { problem: 'it says no question' };
  if (questions.length > AGENT_LIMITS.questions) return { problem: `it asks ${questions.length} questions at once, at most ${AGENT_LIMITS.questions} are taken in` };
  if (state !== undefined && Buffer.byteLength(state) > AGENT_LIMITS.inputState) return { problem: `its state has ${Buffer.byteLength(state)} bytes, at most ${AGENT_LIMITS.inputState} are kept` };
  const taken: InputQuestion[] = [];
  for (const { key, message, schema } of questions) {
    const one = takeInQuestion(key, message, schema);
    if ('problem' in one) return one;
    taken.push(one.question);
  }
  const bytes = Buffer.byteLength(JSON.stringify(taken));
  return bytes > AGENT_LIMITS.inputBytes ? { problem: `its questions have ${bytes} bytes, at most ${AGENT_LIMITS.inputBytes} are taken in` } : { questions: taken };
}
