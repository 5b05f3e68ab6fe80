import { systemClock } from '../../../platform/clock/index.ts';
import { execution, removeScratch } from '../../core/test-kit.ts';
import type { Outcome } from '../../core/types.ts';
import { agentExecutor } from '../agent.ts';
import { FakeGateway, type Mishap, type Turn } from './test-kit.ts';

const started: FakeGateway[] = [];
afterEach(async () => {
  for (const gateway of started.splice(0)) await gateway.stop();
  removeScratch();
});

const WITH = { agentRef: { name: 'helper' }, input: 'hello' };

async function world(turns: readonly Turn[]) {
  const gateway = new FakeGateway(turns);
  started.push(gateway);
  const url = await gateway.start();
  // Waits between two tries are real and short: jitter 0 halves them.
  const executor = agentExecutor(systemClock, () => 0, 'runner-1');
  const attempt = (): ReturnType<typeof execution> => execution({ type: 'agent', with: WITH, agent: { url, token: 'the-token' } });
  const run = (at = attempt()): Promise<Outcome> => executor(at);
  return { gateway, run, attempt };
}

const REFUND: Turn = { tools: [{ tool: 'shop__refund', arguments: '{"order": 7}' }] };

describe('the loop', () => {
  test('opens, asks, calls tools, asks again and hands in the answer', async () => {
    const { gateway, run, attempt } = await world([REFUND, { text: 'Refunded.' }]);
    const at = attempt();
    expect(await run(at)).toEqual({ ok: true, output: '"Refunded."' });
    expect(gateway.kinds()).toEqual(['RunStarted', 'ModelCompleted', 'ToolCompleted', 'ModelCompleted', 'RunCompleted']);
    expect(gateway.calls('agent/open')[0]?.body).toEqual({ with: WITH, runner: 'runner-1' });
    expect(gateway.requests.every(({ headers }) => headers.authorization === 'Bearer the-token')).toBe(true);
    expect(gateway.calls('agent/tool')[0]?.body).toEqual({ step: 1, callId: 's1c0' });
    expect(at.logged.join('')).toMatch(/of helper, revision aaaaaaaaaaaa: begins\nstep 1: 10 \+ 5 tokens, \d+ ms: shop\/refund\nstep 1: shop\/refund done, \d+ ms\nstep 2: 10 \+ 5 tokens, \d+ ms: an answer\n/);
  });

  test('a step names itself and the tools; what was said the gateway knows, and nothing of the pool is in it', async () => {
    const { gateway, run } = await world([REFUND, { text: 'ok' }]);
    await run();
    const [, second] = gateway.calls('chat/completions');
    expect(second?.headers).toMatchObject({ 'x-rambo-step': '2', 'x-rambo-purpose': 'step' });
    expect(second?.body).toMatchObject({
      model: 'small', stream: true, stream_options: { include_usage: true }, max_tokens: 512,
      messages: [{ role: 'user', content: 'Go on.' }],
      tools: [{ type: 'function', function: { name: 'shop__refund', description: 'Pays back', parameters: { type: 'object' } } }, { function: { name: 'shop__look' } }],
    });
    expect(JSON.stringify(gateway.requests.map(({ body }) => body))).not.toContain('of the pool');
  });

  test('arguments that are no JSON, and tools that nobody offered, are the gateway\'s to judge', async () => {
    const { gateway, run } = await world([{ tools: [{ tool: 'shop__refund', arguments: '{"order":' }, { tool: 'rm_rf' }] }, { text: 'sorry' }]);
    expect(await run()).toMatchObject({ ok: true });
    expect(gateway.effects.sort()).toEqual(['s1c0', 's1c1']);
  });

  test('tools of one answer run at once, at most parallelTools', async () => {
    const { gateway, run } = await world([{ tools: [{ tool: 'shop__look' }, { tool: 'shop__look' }, { tool: 'shop__look' }, { tool: 'shop__look' }] }, { text: 'ok' }]);
    const slow = Promise.withResolvers<undefined>();
    gateway.tools.set('s1c0', { hold: () => slow.promise });
    gateway.tools.set('s1c3', { hold: () => {
      slow.resolve(undefined);
      return Promise.resolve();
    } });
    await run();
    expect(gateway.mostAtOnce).toBe(2);
    expect(gateway.effects[0]).not.toBe('s1c0');
    expect([...gateway.effects].sort()).toEqual(['s1c0', 's1c1', 's1c2', 's1c3']);
  });

  test('a slow tool is asked for again until it is done', async () => {
    const { gateway, run } = await world([REFUND, { text: 'ok' }]);
    gateway.tools.set('s1c0', { running: 2 });
    expect(await run()).toMatchObject({ ok: true });
    expect(gateway.calls('agent/tool')).toHaveLength(3);
    expect(gateway.effects).toEqual(['s1c0']);
  });

  test('an answer that does not fit is asked for again with what is wrong', async () => {
    const { gateway, run } = await world([{ text: 'seven' }, { text: '7' }]);
    gateway.rejected.set('seven', 'a number, please');
    expect(await run()).toEqual({ ok: true, output: '"7"' });
    expect(gateway.calls('agent/finish').map(({ body }) => body['text'])).toEqual(['seven', '7']);
  });

  test('a context that grew too long is summarised once, the last messages stay, results stay with their calls', async () => {
    const { gateway, run } = await world([{ ...REFUND, usage: [50, 5] }, { ...REFUND, usage: [200, 5] }, { text: 'done', usage: [60, 5] }]);
    gateway.spec = { ...gateway.spec, compaction: { atTokens: 100, keepLast: 1 } };
    expect(await run()).toMatchObject({ ok: true });
    expect(gateway.kinds()).toEqual(['RunStarted', 'ModelCompleted', 'ToolCompleted', 'ModelCompleted', 'ToolCompleted', 'ContextCompacted', 'ModelCompleted', 'RunCompleted']);
    const [, , compaction] = gateway.calls('chat/completions');
    expect(compaction?.headers).toMatchObject({ 'x-rambo-step': '3', 'x-rambo-purpose': 'compaction', 'x-rambo-messages': '3' });
    expect(compaction?.body).toMatchObject({ tool_choice: 'none', messages: [
      { role: 'system', content: 'Be brief.' }, { role: 'user', content: JSON.stringify(WITH) },
      { role: 'assistant', tool_calls: [{ id: 's1c0', function: { name: 'shop__refund', arguments: '{"order":7}' } }] }, { role: 'tool', tool_call_id: 's1c0', content: 'result of s1c0' },
      { role: 'user', content: expect.stringContaining('Summarise') as string },
    ] });
    expect(gateway.calls('agent/open')).toHaveLength(2);
  });
});

describe('an agent that waits', () => {
  test('parks with what it waits for, after what need not wait; the gateway hears of it when that is recorded', async () => {
    const { gateway, run } = await world([{ tools: [{ tool: 'shop__refund' }, { tool: 'shop__look' }] }, { text: 'ok' }]);
    gateway.tools.set('s1c0', { wait: 'approval' });
    const outcome = await run();
    expect(outcome).toMatchObject({ ok: 'parked', why: 'approval' });
    expect(gateway.effects).toEqual(['s1c1']);
    expect(gateway.calls('agent/parked')).toHaveLength(0);
    if (outcome.ok === 'parked') await outcome.recorded?.();
    expect(gateway.calls('agent/parked')).toHaveLength(1);
    gateway.tools.delete('s1c0');
    expect(await run()).toMatchObject({ ok: true, output: '"ok"' });
    expect(gateway.effects).toEqual(['s1c1', 's1c0']);
  });

  test.each([[['child', 'approval'], 'approval'], [['approval', 'inDoubt'], 'inDoubt'], [['child', 'input'], 'input']])('of %j it names %s', async (waits, why) => {
    const { gateway, run } = await world([{ tools: waits.map(() => ({ tool: 'shop__look' })) }]);
    waits.forEach((wait, i) => gateway.tools.set(`s1c${i}`, { wait }));
    expect(await run()).toMatchObject({ ok: 'parked', why });
  });

  test('a model call that has to wait for a budget parks it', async () => {
    const { gateway, run } = await world([]);
    gateway.mishaps.set('chat/completions', [{ status: 409, body: { error: { code: 'Waiting', message: 'the budget is spent' }, why: 'input' } }]);
    expect(await run()).toMatchObject({ ok: 'parked', why: 'input' });
  });
});

describe('whatever happens to a request, it is repeated until it is answered, and nothing happens twice', () => {
  const everywhere = ['agent/open', 'chat/completions', 'agent/tool', 'agent/finish'];
  const mishaps: [string, Mishap][] = [['the connection breaks before', 'refuse'], ['the answer is lost', 'loseAnswer'], ['503 of a proxy', { status: 503, body: '<html>' }], ['Unavailable', { status: 503, body: { error: { code: 'Unavailable', message: 'Postgres is away' } } }], ['Busy', { status: 429, body: { error: { code: 'Busy', message: 'later' } } }]];
  test.each(everywhere.flatMap((path) => mishaps.map(([name, mishap]) => [path, name, mishap] as const)))('%s: %s', async (path, _, mishap) => {
    const { gateway, run } = await world([REFUND, { text: 'ok' }]);
    gateway.mishaps.set(path, [mishap, mishap]);
    expect(await run()).toEqual({ ok: true, output: '"ok"' });
    expect(gateway.effects).toEqual(['s1c0']);
    expect(gateway.kinds().filter((kind) => kind === 'ModelCompleted')).toHaveLength(2);
  });

  test('a stream that breaks off is asked for again with the same step', async () => {
    const { gateway, run } = await world([{ text: 'a long answer' }]);
    gateway.mishaps.set('chat/completions', ['cutStream', 'cutStream']);
    expect(await run()).toEqual({ ok: true, output: '"a long answer"' });
    expect(gateway.calls('chat/completions').map(({ headers }) => headers['x-rambo-step'])).toEqual(['1', '1', '1']);
  });
});

test('a later attempt goes on from the journal, wherever the one before it was killed', async () => {
  const turns: readonly Turn[] = [{ tools: [{ tool: 'shop__look' }, { tool: 'shop__refund' }] }, { text: 'wrong' }, REFUND, { text: 'right' }];
  const whole = await world(turns);
  whole.gateway.rejected.set('wrong', 'try again');
  await whole.run();
  const total = whole.gateway.requests.length;
  expect(total).toBeGreaterThan(9);
  for (let killAt = 1; killAt <= total; killAt++) {
    const { gateway, run, attempt } = await world(turns);
    gateway.rejected.set('wrong', 'try again');
    const first = attempt();
    const push = gateway.requests.push.bind(gateway.requests);
    gateway.requests.push = (...items) => {
      if (gateway.requests.length + 1 === killAt) first.stop.abort();
      return push(...items);
    };
    const outcome = await run(first);
    gateway.requests.push = push;
    // Killed in its last request it may have handed in the answer: the gateway then says that the run has ended.
    if (gateway.kinds().includes('RunCompleted')) gateway.ended = { phase: 'Succeeded', output: 'right' };
    expect([outcome.ok, await run()]).toEqual([false, { ok: true, output: '"right"' }]);
    expect([...gateway.effects].sort()).toEqual(['s1c0', 's1c1', 's3c0']);
  }
}, 60_000);

describe('how it ends', () => {
  test.each<[NonNullable<FakeGateway['ended']>, Outcome]>([
    [{ phase: 'Succeeded', output: { a: 1 } }, { ok: true, output: '{"a":1}' }],
    [{ phase: 'Failed', reason: 'RepeatedCall', message: 'the same call 3 times' }, { ok: false, error: { class: 'User', reason: 'RepeatedCall', message: 'the same call 3 times' } }],
    [{ phase: 'BudgetExhausted', message: 'spent' }, { ok: false, error: { class: 'User', reason: 'BudgetExhausted', message: 'spent' } }],
    [{ phase: 'Cancelled', message: 'stopped' }, { ok: false, error: { class: 'Cancelled', reason: 'Cancelled', message: 'stopped' } }],
  ])('a run that is over (%j) is reported as it ended', async (ended, outcome) => {
    const { gateway, run } = await world([]);
    gateway.ended = ended;
    expect(await run()).toEqual(outcome);
  });

  test('a run that ends at a model call too', async () => {
    const { gateway, run } = await world([REFUND]);
    gateway.mishaps.set('chat/completions', [{ status: 409, body: { error: { code: 'Ended', message: 'over' }, ended: { phase: 'Failed', reason: 'StepLimit', message: '20 steps' } } }]);
    expect(await run()).toMatchObject({ ok: false, error: { class: 'User', reason: 'StepLimit' } });
  });

  test.each<[string, string, string]>([['Fenced', 'Cancelled', 'Fenced'], ['Unauthenticated', 'Infra', 'TokenRefused'], ['Invalid', 'Invalid', 'Invalid'], ['NotFound', 'Invalid', 'NotFound']])('%s ends the attempt as %s', async (code, errorClass, reason) => {
    const { gateway, run } = await world([]);
    gateway.mishaps.set('agent/open', [{ status: 409, body: { error: { code, message: 'no' } } }]);
    expect(await run()).toMatchObject({ ok: false, error: { class: errorClass, reason } });
  });

  test('a journal that never stands where the gateway says ends the attempt, not the patience', async () => {
    const { gateway, run } = await world([{ text: 'x' }]);
    gateway.mishaps.set('chat/completions', Array.from({ length: 9 }, () => ({ status: 409, body: { error: { code: 'StepMismatch', message: 'no' } } })));
    expect(await run()).toMatchObject({ ok: false, error: { class: 'Infra', reason: 'OutOfStep' } });
    expect(gateway.calls('agent/open')).toHaveLength(5);
  });

  test('a dispatch without a gateway says that there is none', async () => {
    const executor = agentExecutor(systemClock, () => 0, 'runner-1');
    expect(await executor(execution({ type: 'agent', with: WITH }))).toMatchObject({ ok: false, error: { class: 'Invalid', reason: 'AgentsNotInstalled' } });
  });

  test('a cancelled attempt stops at once, also while it waits for the gateway', async () => {
    const { gateway, run, attempt } = await world([REFUND]);
    const never = new Promise(() => undefined);
    gateway.tools.set('s1c0', { hold: () => never });
    const at = attempt();
    const outcome = run(at);
    while (gateway.calls('agent/tool').length === 0) await new Promise((resolve) => { setImmediate(resolve); });
    at.stop.abort();
    expect(await outcome).toMatchObject({ ok: false, error: { class: 'Cancelled' } });
  });
});
