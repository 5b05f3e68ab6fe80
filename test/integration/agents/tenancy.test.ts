import { randomUUID } from 'node:crypto';
import { revisionSpecSchema } from '../../../crds/agent-revision.ts';
import { listTalks, putRevision, upsertAgent } from '../../../prisma/store/index.ts';
import { type Attempt, AgentSite, NS, type Reply, type RunningGateway } from './site.ts';

/*
 * Two tenants at the model gateway. Whoever holds the token of one attempt acts for that attempt: nothing in a body, a header or a path names
 * another one. What belongs to somebody else is not there. (Over the API: gateway/agent-*.test.ts and matrix.test.ts; over the command line and kubectl: cli.test.ts.)
 */

const OTHER = 'team-b';

let site: AgentSite;
let gateway: RunningGateway;
beforeAll(async () => {
  site = await AgentSite.start();
  for (const namespace of [NS, OTHER]) await site.addModel('main', {}, namespace);
  await site.addModel('theirs', {}, OTHER);
  gateway = await site.gateway();
  for (const namespace of [NS, OTHER]) await agent(namespace, 'talker');
  await agent(OTHER, 'hidden');
});
afterAll(() => site.stop());

/** An Agent with a revision that says what it was told. */
async function agent(namespace: string, name: string): Promise<void> {
  const hash = `${namespace}-${name}`;
  const revision = revisionSpecSchema.parse({
    v: 1, namespace, agent: name, instructions: 'Repeat.', models: ['main'], parameters: { maxOutputTokens: 100 }, policy: [], budget: { onExceeded: 'Stop' }, dailyBudget: {}, guardrails: [], memory: {}, tools: [],
    limits: { maxSteps: 10, timeoutMs: 60_000, parallelTools: 1, maxDepth: 1, repeatWindow: 3, outputRepairs: 1 }, trust: { untrustedInput: false, sensitiveData: false, outsideChange: false },
  });
  await putRevision(site.db, hash, namespace, name, Buffer.from(JSON.stringify(revision)), Date.now());
  await upsertAgent(site.db, {
    namespace, name, uid: randomUUID(), generation: 1, resourceVersion: '1', spec: Buffer.from('{}'), labels: null, phase: 'Ready', reason: 'Ready', message: '', desiredRevision: hash, stableRevision: hash, updatedAt: Date.now(),
  });
}

/** A turn from its begin to its end, as a runner goes through it. */
async function turn(namespace: string, conversation: string, input: string): Promise<Attempt> {
  const one = await site.attempt(gateway, { agentRef: { name: 'talker' }, input, conversation }, { namespace });
  expect(await one.open()).toMatchObject({ status: 200 });
  const answer = await one.ask(1);
  expect(answer.status).toBe(200);
  expect(await one.finish(String(answer.body.choices[0].message.content))).toMatchObject({ body: { status: 'done' } });
  return one;
}

describe('the token of another run', () => {
  /** One that waits for its tool, in another namespace. */
  async function victim(): Promise<{ readonly theirs: Attempt; readonly before: readonly string[] }> {
    const theirs = await site.agent(gateway, [{ text: 'secret answer' }], { namespace: OTHER, input: 'secret question' });
    await theirs.open();
    await theirs.ask(1);
    return { theirs, before: await site.kinds(theirs.agentRun) };
  }

  test('acts for its own run, whatever a body or a header names', async () => {
    const { theirs, before } = await victim();
    const mine = await site.agent(gateway, [{ text: 'mine' }]);
    const named = { agentRun: theirs.agentRun, run: theirs.run, id: theirs.agentRun, ns: OTHER, namespace: OTHER, node: 'ask', item: -1 };
    const headers = { 'x-rambo-agent-run': theirs.agentRun, 'x-rambo-run': theirs.run, 'x-rambo-namespace': OTHER };
    const opened = await mine.post('/v1/agent/open', { with: mine.given, runner: 'p', ...named }, headers);
    // What a body has too much is refused or passed over; it never leads to the other run.
    expect([200, 400]).toContain(opened.status);
    expect(JSON.stringify(opened.body)).not.toContain('secret');
    await mine.open();
    for (const [path, body] of [['/v1/agent/tool', { step: 1, callId: 's1c0' }], ['/v1/agent/finish', { text: 'stolen' }], ['/v1/agent/parked', {}]] as const) {
      const reply = await mine.post(path, { ...body, ...named }, headers);
      expect(JSON.stringify(reply.body)).not.toContain('secret');
    }
    const answer = await mine.ask(1, { body: { ...named, user: theirs.agentRun }, headers });
    expect(JSON.stringify(answer.body)).not.toContain('secret');
    expect(await site.kinds(theirs.agentRun)).toEqual(before);
    expect((await site.row(theirs.agentRun)).phase).toBe('Running');
  });

  test('a call of another run is no call of one\'s own', async () => {
    const mine = await site.agent(gateway, [{ text: 'mine' }]);
    await mine.open();
    await site.sql("INSERT INTO agent_call (agent_run, call_id, namespace, step, tool, effect, key, args_hash, arguments, state, created_at, updated_at) VALUES ($1, 's1c0', $2, 1, 't', 'ReadOnly', 'k', 'h', '{}', 'Completed', now(), now())", [randomUUID(), OTHER]);
    const reply = await mine.post('/v1/agent/tool', { step: 1, callId: 's1c0' });
    expect([reply.status >= 400, JSON.stringify(reply.body).includes('completed')]).toEqual([true, false]);
  });

  test('a token whose claims were changed is none', async () => {
    const { theirs, before } = await victim();
    const mine = await site.agent(gateway, [{ text: 'mine' }]);
    await mine.open();
    // The signature is that of the other attempt: with it every claim stands and falls.
    const token = site.tokens(mine.agentRun)[0] ?? '';
    const [head = '', , signature = ''] = token.split('.');
    const claims: Record<string, unknown> = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    for (const over of [{ run: theirs.run, ns: OTHER }, { ns: OTHER }, { attempt: 2 }, { node: 'other' }]) {
      const forged = [head, Buffer.from(JSON.stringify({ ...claims, ...over })).toString('base64url'), signature].join('.');
      for (const path of ['/v1/agent/open', '/v1/agent/finish', '/v1/agent/tool', '/v1/chat/completions']) {
        const { status } = await fetch(`${gateway.url}${path}`, { method: 'POST', headers: { authorization: `Bearer ${forged}`, 'content-type': 'application/json' }, body: '{}' });
        expect(status).toBe(401);
      }
    }
    expect(await site.kinds(theirs.agentRun)).toEqual(before);
  });

  test('a run that is not of the namespace of the token is not there', async () => {
    const { theirs } = await victim();
    // Signed by the controller's key, as no controller would: the row of the run decides.
    const crossed = await site.attempt(gateway, theirs.given, { run: theirs.run, node: 'second', namespace: NS });
    expect(await crossed.open()).toMatchObject({ status: 503, body: { error: { code: 'Unavailable' } } });
    expect(await site.sql('SELECT 1 FROM agent_run WHERE id = $1', [crossed.agentRun])).toEqual([]);
  });
});

describe('what is somebody else\'s', () => {
  test.each<[string, object, string]>([
    ['an Agent of another namespace', { agentRef: { name: 'hidden' } }, 'AgentNotFound'], ['a Model of another namespace', { inline: { modelRef: { name: 'theirs' } } }, 'ModelNotFound'],
  ])('%s is not there, as one that is nowhere', async (_, given, why) => {
    const ask = async (text: string): Promise<Reply> => (await site.attempt(gateway, JSON.parse(text))).open();
    const text = JSON.stringify(given);
    const [theirs, nowhere] = [await ask(text), await ask(text.replace(/hidden|theirs/, 'nowhere'))];
    expect(theirs).toMatchObject({ status: 400, body: { error: { type: why } } });
    expect(JSON.stringify(theirs.body).replaceAll(/hidden|theirs/g, 'X')).toBe(JSON.stringify(nowhere.body).replaceAll('nowhere', 'X'));
  });

  test('a conversation goes on for whoever it is of, by its name and by its id; for others that id is one that nobody has', async () => {
    const first = await turn(OTHER, 'monday', 'secret question');
    const { conversationId } = await site.row(first.agentRun);
    const id = conversationId ?? '';
    const again = await turn(OTHER, id, 'by its id');
    expect(await site.row(again.agentRun)).toMatchObject({ conversationId: id, turn: 2 });
    const [guessed, absent] = [await turn(NS, id, 'what was said?'), await turn(NS, randomUUID(), 'what was said?')];
    for (const mine of [guessed, absent]) {
      const row = await site.row(mine.agentRun);
      expect([row.turn, row.conversationId === id, row.phase]).toEqual([1, false, 'Succeeded']);
      expect(JSON.stringify(await site.journal(mine.agentRun))).not.toContain('secret');
    }
    // Saying it again goes on with one's own.
    expect(await site.row((await turn(NS, id, 'and again?')).agentRun)).toMatchObject({ turn: 2, conversationId: (await site.row(guessed.agentRun)).conversationId });
    const talks = async (namespace: string): Promise<readonly number[]> => (await listTalks(site.db, { namespace, agent: 'talker', principal: 'alice' }, undefined, 10)).rows.map(({ turns }) => turns).sort();
    expect([await talks(OTHER), await talks(NS)]).toEqual([[2], [1, 2]]);
  });
});
