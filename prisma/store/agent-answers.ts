import type { InputAnswers, NewAgentEvent } from '../../crds/agent-run.ts';
import { changeAgentCall, getAgentCall, stillWaiting } from './agent-calls.ts';
import { refuse, wakeOf, type Decided, type Refusal } from './agent-decisions.ts';
import { closeInput, inputById, questionsOf, type InputRow } from './agent-inputs.ts';
import { appendToAgentRun, type Appended, type Appending } from './agent-journal.ts';
import type { AgentRunRow } from './agent-types.ts';
import type { Db, Executor } from './db.ts';

/*
 * Answers to what tools ask people in the middle of a call (`input_required` of MCP). Each is one transaction under the agent run's row; the
 * API calls these and publishes afterwards.
 */

/** What a person answers. */
export interface InputVerdict {
  readonly namespace: string;
  readonly input: string;
  /** As whoever answers was shown it: an answer to something else than what is asked is refused. */
  readonly hash: string;
  /** One for each question, which the caller has checked by `answerProblems`; the gateway does again. */
  readonly answers: InputAnswers;
  readonly by: string;
  /** Who answers, as user and groups, against those named. */
  readonly names: readonly string[];
  readonly at: number;
}

/** Answers a tool. One conditional update: of two answers at once one is `AlreadyDecided`. */
export async function answerInput(db: Db, verdict: InputVerdict): Promise<Decided> {
  const found = await inputById(db, verdict.input);
  if (found?.namespace !== verdict.namespace) return refuse('NotFound', 'there is no such question');
  const appended = await closeUnderLock(db, found, verdict.at, (run, input) => refusalOf(run, input, verdict), { state: 'Answered', by: verdict.by, answers: verdict.answers });
  if (appended === undefined) return refuse('NotFound', 'there is no such question');
  return appended.result ?? { ok: true, wake: wakeOf(appended.run) };
}

/** Says `cancel` to a tool that nobody answered in time; what it wrote. Undefined: somebody answered, or the run ended. */
export async function expireInput(db: Db, input: InputRow, at: number): Promise<Appended<unknown> | undefined> {
  const open = (run: AgentRunRow, now: InputRow): Refusal | undefined => (run.finishedAt !== null || now.state !== 'Pending' ? refuse('AlreadyDecided', 'answered') : undefined);
  const answers: InputAnswers = Object.fromEntries(questionsOf(input).map(({ key }) => [key, { action: 'cancel' as const }]));
  const appended = await closeUnderLock(db, input, at, open, { state: 'Expired', by: 'rambo', answers });
  return appended?.result === undefined ? appended : undefined;
}

interface Closing {
  readonly state: 'Answered' | 'Expired';
  readonly by: string;
  readonly answers: InputAnswers;
}

async function closeUnderLock(db: Db, found: InputRow, at: number, refused: (run: AgentRunRow, input: InputRow) => Refusal | undefined, closing: Closing): Promise<Appended<Refusal | undefined> | undefined> {
  return appendToAgentRun<Refusal | undefined>(db, found.agentRun, at, async (run, tx) => {
    const input = await inputById(tx, found.id);
    const refusal = input === undefined ? refuse('NotFound', 'there is no such question') : refused(run, input);
    if (input === undefined || refusal !== undefined) return { events: [], result: refusal };
    return { ...await writeAnswers(tx, run, input, closing, at), result: undefined };
  });
}

function refusalOf(run: AgentRunRow, input: InputRow, { hash, names, at }: InputVerdict): Refusal | undefined {
  if (input.state === 'Expired') return refuse('Expired', 'the time to answer is over');
  if (input.state !== 'Pending') return { ...refuse('AlreadyDecided', `it was answered before: ${input.state} by ${input.decidedBy ?? 'nobody'}`), decided: { state: input.state, by: input.decidedBy, at: input.decidedAt } };
  if (run.finishedAt !== null) return refuse('RunEnded', `the agent run has ended: ${run.phase}`);
  if (input.expiresAt <= at) return refuse('Expired', 'the time to answer is over');
  if (input.hash !== hash) return refuse('HashMismatch', 'what was answered is not what is asked: look at it again');
  if (input.answerers.length > 0 && !input.answerers.some((name) => names.includes(name))) return refuse('NotAnApprover', `this is answered by ${input.answerers.join(', ')}`);
  return undefined;
}

/** The call may be sent again, with the answer: nothing of it is under way. */
async function writeAnswers(tx: Executor, run: AgentRunRow, input: InputRow, { state, by, answers }: Closing, at: number): Promise<Omit<Appending<unknown>, 'result'>> {
  const call = await getAgentCall(tx, input.agentRun, input.callId);
  if (call === undefined) throw new Error('a question without its call');
  await closeInput(tx, input.id, { state, by, at, answers: Buffer.from(JSON.stringify(answers)) });
  await changeAgentCall(tx, call.agentRun, call.callId, { state: 'Requested' });
  const answered: NewAgentEvent = { kind: 'InputAnswered', payload: { step: call.step, callId: call.callId, input: input.id, how: state, by, answers } };
  return { events: [answered], set: await stillWaiting(tx, run, 1) };
}
