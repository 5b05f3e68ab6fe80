import { randomUUID } from 'node:crypto';
import { append, Notices, question, tenant, type Tenant } from './agents.ts';
import { type Entry, type Person, type Reply, Site } from './site.ts';

/** What tools ask people and what they answer, over REST with a real Postgres: forged, altered, doubled, late and foreign answers among it. */

let site: Site;
let mine: Tenant;
let input: string;
const HASH = 'a'.repeat(64);
const FOUR = { seats: { action: 'accept', content: { seats: 4 } } };
const notices = new Notices();
beforeAll(async () => { site = await Site.start(() => ({ agentNotices: notices })); });
afterAll(() => site.stop());
beforeEach(async () => {
  mine = await tenant(site);
  input = await question(site, mine, 's1c0');
  site.world.commands.length = 0;
  notices.told.length = 0;
});

const answer = (who: Person, over: object = {}, headers: Record<string, string> = {}, id = input): Promise<Reply> => site.rest(who, 'POST', `/agent-inputs/${id}/answer`, { hash: HASH, answers: FOUR, ...over }, headers);
const steps = async (): Promise<readonly Entry[]> => (await site.rest(mine.owner, 'GET', `/agent-runs/${mine.agentRun}/steps?first=100`)).body.items;
const kinds = async (): Promise<readonly string[]> => (await steps()).map((item: Entry) => item.kind);
const wakes = (): readonly unknown[] => site.world.commands.filter((command) => command.verb === 'wake');

test('is listed with its form, answered once, told of, and its node is woken', async () => {
  const { body: { items } } = await site.rest(mine.owner, 'GET', `/agent-inputs?namespace=${mine.namespace}&state=Pending`);
  expect(items).toMatchObject([{ id: input, tool: 'tables/book', round: 1, hash: HASH, questions: [{ key: 'seats', message: 'For how many?', schema: { required: ['seats'] } }], answers: null, answeredBy: null }]);
  expect((await answer(mine.owner)).body).toMatchObject({ state: 'Answered', answeredBy: `user:${mine.owner.userId}`, answers: FOUR });
  expect((await steps()).at(-1)).toMatchObject({ kind: 'InputAnswered', callId: 's1c0', payload: { how: 'Answered', answers: FOUR } });
  expect(notices.told).toMatchObject([{ agentRun: mine.agentRun, seq: 2 }]);
  expect(wakes()).toMatchObject([{ verb: 'wake', runId: mine.runId, node: 'agent', item: -1 }]);
  const call = await site.gateway.read((db) => db.agentCall.findUnique({ where: { agentRun_callId: { agentRun: mine.agentRun, callId: 's1c0' } } }));
  expect(call?.state).toBe('Requested');
});

test('over GraphQL it is the same', async () => {
  const { body } = await site.gql(mine.owner, 'mutation ($input: AnswerAgentInputInput!) { answerAgentInput(input: $input) { __typename ... on AnswerAgentInputPayload { agentInput { state answers } } ... on ConflictError { message } } }', { input: { id: input, hash: HASH, answers: FOUR } });
  expect(body.data?.['answerAgentInput']).toMatchObject({ __typename: 'AnswerAgentInputPayload', agentInput: { state: 'Answered', answers: FOUR } });
});

test('of two answers at once one counts; who answered what is in the audit, what was said is not', async () => {
  const other = await site.person();
  await site.member(mine.project, other, 'DEVELOPER');
  const answers = await Promise.all([answer(mine.owner), answer(other, { answers: { seats: { action: 'decline' } } })]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect((await kinds()).filter((kind) => kind === 'InputAnswered')).toHaveLength(1);
  const rows = await site.gateway.read((db) => db.audit.findMany({ where: { operation: 'answerAgentInput', principal: { in: [`user:${mine.owner.userId}`, `user:${other.userId}`] } } }));
  expect(rows.map(({ outcome }) => outcome).sort()).toEqual(['DONE', 'FAILED']);
  const written = JSON.stringify(rows, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  expect(written).toMatch(/accept|decline/);
  expect(written).not.toMatch(/content/);
});

test('repeated by the same person it is the same answer; another answer is none', async () => {
  const key = { 'idempotency-key': randomUUID() };
  const [one, two, three, four] = [await answer(mine.owner, {}, key), await answer(mine.owner, {}, key), await answer(mine.owner), await answer(mine.owner, { answers: { seats: { action: 'cancel' } } })];
  expect([one.status, two.status, three.status, four.status]).toEqual([200, 200, 200, 409]);
  expect((await kinds()).filter((kind) => kind === 'InputAnswered')).toHaveLength(1);
});

test.each<[string, object, number, string]>([
  ['another hash than what is asked', { hash: 'b'.repeat(64) }, 409, 'CONFLICT'], ['no hash', { hash: 'x' }, 400, 'BAD_USER_INPUT'],
  ['content that breaks the form', { answers: { seats: { action: 'accept', content: { seats: 9 } } } }, 400, 'BAD_USER_INPUT'], ['a field nobody asked for', { answers: { seats: { action: 'accept', content: { seats: 1, x: 1 } } } }, 400, 'BAD_USER_INPUT'],
  ['no content', { answers: { seats: { action: 'accept' } } }, 400, 'BAD_USER_INPUT'], ['content with a refusal', { answers: { seats: { action: 'decline', content: { seats: 1 } } } }, 400, 'BAD_USER_INPUT'],
  ['no answer to a question', { answers: {} }, 400, 'BAD_USER_INPUT'], ['an answer to no question', { answers: { ...FOUR, more: { action: 'cancel' } } }, 400, 'BAD_USER_INPUT'],
  ['another word', { answers: { seats: { action: 'maybe' } } }, 400, 'BAD_USER_INPUT'], ['nested content', { answers: { seats: { action: 'accept', content: { seats: { $gt: 0 } } } } }, 400, 'BAD_USER_INPUT'],
  ['somebody of its own making', { by: 'user:x' }, 400, 'BAD_USER_INPUT'], ['a state of its own making', { requestState: 'x' }, 400, 'BAD_USER_INPUT'],
])('%s answers nothing', async (_, over, status, code) => {
  expect(await answer(mine.owner, over)).toMatchObject({ status, body: { code } });
  expect(await kinds()).toEqual(['RunStarted']);
  expect(wakes()).toEqual([]);
});

test('that is late, or whose run has ended, is not answered any more', async () => {
  const late = await question(site, mine, 's1c9', { expiresAt: new Date(Date.now() - 1_000) });
  expect((await answer(mine.owner, {}, {}, late)).status).toBe(409);
  await append(site, mine.agentRun, [{ kind: 'RunCompleted', payload: { phase: 'Cancelled' } }]);
  expect((await answer(mine.owner)).status).toBe(409);
});

test('of named people is theirs alone', async () => {
  const [named, other] = [await site.person(), await site.person()];
  for (const person of [named, other]) await site.member(mine.project, person, 'DEVELOPER');
  const theirs = await question(site, mine, 's1c1', { answerers: [`user:${named.userId}`] });
  expect(await answer(other, {}, {}, theirs)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  expect((await answer(named, {}, {}, theirs)).status).toBe(200);
});

test('of another tenant is not seen, not answered and not guessed', async () => {
  const other = await tenant(site);
  const strip = (reply: Reply, id: string): string => JSON.stringify(reply.body).replaceAll(id, 'ID').replaceAll(/"(requestId|instance)":"[^"]*"/g, '');
  const missing = randomUUID();
  for (const one of [(id: string) => site.rest(other.owner, 'GET', `/agent-inputs/${id}`), (id: string) => answer(other.owner, {}, {}, id)]) {
    const [foreign, nothing] = [await one(input), await one(missing)];
    expect([foreign.status, strip(foreign, input)]).toEqual([404, strip(nothing, missing)]);
  }
  expect((await site.rest(other.owner, 'GET', `/agent-inputs?namespace=${mine.namespace}`)).status).toBe(403);
  expect((await site.rest(other.owner, 'GET', `/agent-inputs?namespace=${other.namespace}`)).body.items).toEqual([]);
});

test('what a tool gave along for itself is shown to nobody', async () => {
  await append(site, mine.agentRun, [{ kind: 'InputRequested', payload: { step: 1, callId: 's1c0', tool: 'tables__book', input, round: 1, hash: HASH, expiresAt: 1, answerers: [], questions: [], state: 'opaque-canary' } }]);
  const shown = JSON.stringify(await steps());
  expect(shown).not.toContain('opaque-canary');
  expect(shown).toContain('"stateBytes":13');
});
