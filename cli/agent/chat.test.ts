import type { ServerResponse } from 'node:http';
import { systemClock } from '../../platform/clock/index.ts';
import { AnsweringApi, event, json } from '../api/test-kit.ts';
import type { Input } from '../io/io.ts';
import { run } from '../program.ts';

/* `rambo agent chat`, `runs`, `show` and `steps` against an API that answers as a test says. */

let api: AnsweringApi;
beforeAll(async () => { api = await AnsweringApi.start(); });
afterAll(() => api.stop());
beforeEach(() => { api.seen.length = 0; });

/** Somebody who says these lines; a function is called where a line is asked for. */
class Person implements Input {
  readonly interactive: boolean;
  readonly prompts: string[] = [];
  closed = false;
  #handler: (() => void) | undefined;
  readonly #lines: (string | (() => string | undefined | Promise<string | undefined>))[];

  constructor(interactive: boolean, lines: Person['lines']) {
    this.interactive = interactive;
    this.#lines = [...lines];
  }

  get lines(): readonly (string | (() => string | undefined | Promise<string | undefined>))[] { return this.#lines; }

  async line(prompt: string): Promise<string | undefined> {
    this.prompts.push(prompt);
    const next = this.#lines.shift();
    return typeof next === 'function' ? next() : next;
  }

  interrupted(handler: (() => void) | undefined): void { this.#handler = handler; }
  interrupt(): void { this.#handler?.(); }
  close(): void { this.closed = true; }
}

interface Result { readonly out: string; readonly said: string; readonly code: number }

async function rambo(person: Person | undefined, ...args: readonly string[]): Promise<Result> {
  const [out, said]: [string[], string[]] = [[], []];
  let code = 0;
  const io = { clock: systemClock, print: (text: string) => { out.push(text); }, say: (line: string) => { said.push(line); }, exit: (given: number) => { code = given; }, ...(person === undefined ? {} : { open: () => person }) };
  await run(io, { version: '0', unique: 'u' }, [...args, '--url', api.url, '--token', 't']);
  return { out: out.join(''), said: said.join('\n'), code };
}

function chat(person: Person, ...more: readonly string[]): Promise<Result> {
  return rambo(person, 'agent', 'chat', 'triage', '-n', 'support', ...more);
}

const delta = (step: number, n: number, text: string): string => `event: delta\ndata: ${JSON.stringify({ step, n, text })}\n\n`;
const end = (payload: object): string => `${event(99, 'RunCompleted', payload)}event: end\ndata: {}\n\n`;
const completed = (step: number, text: string): string => event(step * 3, 'ModelCompleted', { step, purpose: 'step', text, toolCalls: [] });
const TOTALS = { id: 'r', inputTokens: 10, outputTokens: 5, costUsd: '0.0012', modelCalls: 1, toolCalls: 0 };

/** An API on which every turn gives this stream. */
function streams(...texts: readonly string[]): void {
  let turn = 0;
  api.answer = (request, response) => {
    if (request.method === 'POST' && request.url === '/api/v1/agent-runs') json(response, { id: `r${++turn}`, runId: `run${turn}` }, 201);
    else if (request.url?.endsWith('/events') === true) response.writeHead(200).end(texts[Math.min(turn, texts.length) - 1] ?? '');
    else json(response, TOTALS);
  };
}

const starts = (): readonly unknown[] => api.seen.filter(({ line }) => line === 'POST /api/v1/agent-runs').map(({ body }) => JSON.parse(body));

describe('without a terminal', () => {
  test('each line is a turn of one conversation, and its answer comes once, whole', async () => {
    streams(`${delta(1, 0, 'He')}${completed(1, 'Hello')}${end({ phase: 'Succeeded', output: 'Hello' })}`, end({ phase: 'Succeeded', output: { ok: true } }));
    const person = new Person(false, ['Hi', '', '/quit']);
    const { out, code } = await chat(person, '-c', 'monday');
    expect([out, code, person.closed]).toEqual(['Hello\n{\n  "ok": true\n}\n', 0, true]);
    expect(starts()).toEqual([{ namespace: 'support', agent: 'triage', input: 'Hi', conversation: 'monday' }, { namespace: 'support', agent: 'triage', input: '/quit', conversation: 'monday' }]);
  });

  test('as JSON, one line for each turn', async () => {
    streams(end({ phase: 'Succeeded', output: 'a\nb' }));
    const { out } = await chat(new Person(false, ['x', 'y']), '-o', 'json');
    const lines = out.trim().split('\n').map((line) => JSON.parse(line));
    expect(lines).toMatchObject([{ agentRunId: 'r1', runId: 'run1', phase: 'Succeeded', output: 'a\nb', costUsd: '0.0012', inputTokens: 10 }, { agentRunId: 'r2' }]);
    expect([lines[0].conversation, typeof lines[0].conversation]).toEqual([lines[1].conversation, 'string']);
  });

  test('the first turn that fails ends it', async () => {
    streams(end({ phase: 'Failed', reason: 'StepLimit', message: 'too many' }));
    expect(await chat(new Person(false, ['x', 'y']))).toMatchObject({ code: 1, out: '', said: expect.stringContaining('Failed (StepLimit): too many') as string });
    expect(starts()).toHaveLength(1);
  });

  test('a call that waits is told with the command that decides it, and nobody is asked', async () => {
    streams(`${event(1, 'ApprovalRequested', { tool: 'tickets/close', approval: 'p' })}${end({ phase: 'Succeeded', output: 'x' })}`);
    const person = new Person(false, ['x']);
    expect((await chat(person)).said).toContain('rambo approve p');
    expect(api.seen.some(({ line }) => line.includes('agent-approvals'))).toBe(false);
  });

  test('refused is told with its code', async () => {
    api.answer = (_, response) => { json(response, { code: 'FORBIDDEN', detail: 'not you' }, 403); };
    expect(await chat(new Person(false, ['x']))).toMatchObject({ code: 1, said: expect.stringContaining('FORBIDDEN: not you') as string });
  });
});

describe('in a terminal', () => {
  test('pieces come as they are given, and what was committed takes their place', async () => {
    streams(`${delta(1, 0, 'Hel')}${delta(1, 1, 'lo \u001b[2J')}${completed(1, 'Hello \u001b[2J!')}${delta(1, 2, '!')}${end({ phase: 'Succeeded', output: 'Hello \u001b[2J!' })}`);
    const { out, said } = await chat(new Person(true, ['Hi']), '-c', 'monday');
    expect(out).toBe('Hello \\u001b[2J!\n');
    expect(said).toContain('0.0012 USD');
    expect(said).toContain('rambo agent chat -n support triage -c monday');
  });

  test('a piece that was lost, and an answer that began anew', async () => {
    streams(`${delta(1, 0, 'A')}${delta(1, 2, 'C')}${completed(1, 'ABC')}${delta(2, 0, 'wro')}${delta(2, 0, 'rig')}${completed(2, 'right')}${end({ phase: 'Succeeded', output: 'right' })}`);
    expect((await chat(new Person(true, ['Hi']))).out).toBe('ABC\nwro\nright\n');
  });

  test('lines that end with a backslash go on; /help and /quit are not said', async () => {
    streams(end({ phase: 'Succeeded', output: 'x' }));
    const { said } = await chat(new Person(true, ['/help', 'one\\', 'two', '/quit', 'never']));
    expect([starts(), said.includes('/quit    leave')]).toEqual([[expect.objectContaining({ input: 'one\ntwo' })], true]);
  });

  test('a failure is told, and one can go on', async () => {
    streams(end({ phase: 'Failed', reason: 'ModelUnavailable' }), end({ phase: 'Succeeded', output: 'x' }));
    expect(await chat(new Person(true, ['a', 'b']))).toMatchObject({ code: 0, out: 'x\n' });
    api.answer = (_, response) => { json(response, { code: 'CONFLICT', detail: 'a turn is under way' }, 409); };
    expect(await chat(new Person(true, ['a']))).toMatchObject({ code: 0, said: expect.stringContaining('CONFLICT') as string });
  });

  describe('a call that waits', () => {
    const HASH = 'ab'.repeat(32);
    const approval = { id: 'p', agentRunId: 'r1', namespace: 'support', tool: 'tickets/close', hash: HASH, arguments: { id: 7 }, why: 'it closes', approvers: [], state: 'Pending', expiresAt: 'later', decidedBy: null };
    function waits(over: object = {}, refuse?: object): void {
      streams(`${event(1, 'ApprovalRequested', { tool: 'tickets/close', approval: 'p' })}${end({ phase: 'Succeeded', output: 'x' })}`);
      const rest = api.answer;
      api.answer = (request, response, body) => {
        if (request.url?.startsWith('/api/v1/agent-approvals/p') !== true) rest(request, response, body);
        else if (request.method === 'POST' && refuse !== undefined) json(response, refuse, 403);
        else json(response, { ...approval, ...over });
      };
    }
    const decisions = (): readonly unknown[] => api.seen.filter(({ line }) => line.endsWith('/decision')).map(({ body }) => JSON.parse(body));

    test.each([['y', 'Approve'], ['YES', 'Approve'], ['n', 'Reject']])('is shown, and %s decides exactly that', async (said, decision) => {
      waits();
      const person = new Person(true, ['close it', said]);
      const told = await chat(person);
      expect(decisions()).toEqual([{ hash: HASH, decision }]);
      expect([told.said.includes('"id": 7'), told.said.includes(HASH), person.prompts[1]?.includes('make this call?')]).toEqual([true, true, true]);
    });
    test.each([['later'], [''], [() => undefined]])('%s decides nothing', async (said) => {
      waits();
      await chat(new Person(true, ['close it', said]));
      expect(decisions()).toEqual([]);
    });
    test('that somebody decided meanwhile is not asked about', async () => {
      waits({ state: 'Approved', decidedBy: 'user:ada' });
      const person = new Person(true, ['close it', () => undefined]);
      await chat(person);
      expect(person.prompts.some((prompt) => prompt.includes('make this call?'))).toBe(false);
    });
    test('that is not one\'s own to decide: told, and the turn goes on', async () => {
      waits({}, { code: 'FORBIDDEN', detail: 'this call is decided by user:ada' });
      expect(await chat(new Person(true, ['close it', 'y']))).toMatchObject({ code: 0, out: 'x\n', said: expect.stringContaining('decided by user:ada') as string });
    });
  });

  describe('Ctrl-C', () => {
    test('stops the turn under way, and something else can be said', async () => {
      const person = new Person(true, ['a', 'b']);
      let turn = 0;
      const open: { response?: ServerResponse } = {};
      api.answer = (request, response) => {
        if (request.url === '/api/v1/agent-runs') json(response, { id: `r${++turn}`, runId: `run${turn}` }, 201);
        else if (request.url === '/api/v1/agent-runs/r1/events') {
          response.writeHead(200).write(event(1, 'RunStarted', {}), () => { person.interrupt(); });
          open.response = response;
        } else if (request.url === '/api/v1/runs/run1/cancel') {
          json(response, {});
          open.response?.end(end({ phase: 'Cancelled', reason: 'RunGone' }));
        } else if (request.url?.endsWith('/events') === true) response.writeHead(200).end(end({ phase: 'Succeeded', output: 'B' }));
        else json(response, TOTALS);
      };
      expect(await chat(person)).toMatchObject({ code: 0, out: 'B\n', said: expect.stringContaining('Cancelled (RunGone)') as string });
    });

    test('twice leaves at once, whatever the run does; the code says so', async () => {
      const person = new Person(true, ['a', 'never']);
      api.answer = (request, response) => {
        if (request.url === '/api/v1/agent-runs') json(response, { id: 'r1', runId: 'run1' }, 201);
        else if (request.url?.endsWith('/events') === true) response.writeHead(200).write(event(1, 'RunStarted', {}), () => { person.interrupt(); person.interrupt(); });
        else json(response, TOTALS);
      };
      expect(await chat(person)).toMatchObject({ code: 130, said: expect.stringContaining('left; agent run r1') as string });
      expect(starts()).toHaveLength(1);
    });

    test('at the prompt leaves', async () => {
      const person: Person = new Person(true, [() => new Promise<string>(() => { setImmediate(() => { person.interrupt(); }); })]);
      expect(await chat(person)).toMatchObject({ code: 130 });
      expect(starts()).toEqual([]);
    });

    test('without a terminal stops the turn and ends', async () => {
      const person = new Person(false, ['a', 'never']);
      const open: { response?: ServerResponse } = {};
      api.answer = (request, response) => {
        if (request.url === '/api/v1/agent-runs') json(response, { id: 'r1', runId: 'run1' }, 201);
        else if (request.url?.endsWith('/events') === true) {
          response.writeHead(200).write(event(1, 'RunStarted', {}), () => { person.interrupt(); });
          open.response = response;
        } else if (request.url?.endsWith('/cancel') === true) {
          json(response, {});
          open.response?.end(end({ phase: 'Cancelled' }));
        } else json(response, TOTALS);
      };
      expect(await chat(person)).toMatchObject({ code: 130 });
      expect(starts()).toHaveLength(1);
    });
  });
});

describe('looking', () => {
  const item = (seq: number, kind: string, payload: object, over: object = {}): object => ({
    agentRunId: 'r', seq, at: `2026-01-01T00:00:0${seq}.500Z`, kind, step: 1, callId: null, tool: null, inputTokens: null, outputTokens: null, costUsd: null, ms: null, payload, ...over,
  });

  test('steps: every page, with tokens, cost and time; a terminal obeys nothing of it', async () => {
    api.answer = (request, response) => {
      const first = { items: [item(1, 'RunStarted', { input: 'Where is it?' }), item(2, 'ModelCompleted', { text: 'x\u001b[2J' }, { inputTokens: 120, outputTokens: 30, costUsd: '0.0004', ms: 1_234 })], nextCursor: 'c' };
      json(response, request.url?.includes('after=c') === true ? { items: [item(3, 'RunCompleted', { phase: 'Succeeded', output: { ok: true } })], nextCursor: null } : first);
    };
    const { out, code } = await rambo(undefined, 'agent', 'steps', 'r');
    const lines = out.trimEnd().split('\n');
    expect([lines.length, code]).toEqual([4, 0]);
    expect(lines[0]).toMatch(/^SEQ +AFTER +STEP +KIND +TOOL +TOKENS +USD +TOOK +WHAT$/);
    expect(lines[2]).toMatch(/^2 +1\.0 s +1 +ModelCompleted +- +120 \+ 30 +0\.0004 +1\.2 s +x \[2J$/);
    expect(lines[3]).toContain('Succeeded {"ok":true}');
    const { out: raw } = await rambo(undefined, 'agent', 'steps', 'r', '-o', 'json');
    expect(JSON.parse(raw)).toHaveLength(3);
  });

  const run = {
    id: 'r', agent: 'triage', phase: 'WaitingApproval', step: 2, turn: 1, inputTokens: 10, outputTokens: 5, costUsd: '0.01', toolCalls: 1, pendingApprovals: 1, createdAt: '2026-01-01T10:00:00.000Z', reason: null, namespace: 'support', runId: 'run',
    node: 'agent', revision: 'abc', message: null, output: null, conversationId: 'c', finishedAt: null, modelCalls: 2, cachedTokens: 0, reasoningTokens: 0, usageUnknown: true, principal: 'user:ada',
    budgets: [{ level: 'AgentRun', limitTokens: 100, limitUsd: null, spentTokens: 15, spentUsd: '0.01', reservedTokens: 0, reservedUsd: '0' }],
  };
  test('runs: a table, with filters', async () => {
    api.answer = (_, response) => { json(response, { items: [run], nextCursor: null }); };
    const { out } = await rambo(undefined, 'agent', 'runs', 'triage', '-n', 'support', '--phase', 'WaitingApproval');
    expect(api.seen[0]?.line).toBe('GET /api/v1/agent-runs?namespace=support&first=20&agent=triage&phase=WaitingApproval');
    expect(out).toMatch(/r +triage +WaitingApproval +2 +1 +10 \+ 5 +0\.01 +2026-01-01 10:00:00 +-/);
    expect((await rambo(undefined, 'agent', 'runs', '-n', 'support', '--first', '0')).code).toBe(2);
  });
  test('show: what it stands at, what waits, what may be spent', async () => {
    api.answer = (_, response) => { json(response, run); };
    const { out } = await rambo(undefined, 'agent', 'show', 'r');
    for (const part of ['WaitingApproval', 'in part an estimate', 'rambo api agentApprovals --namespace support --agent-run-id r', 'AgentRun', 'no limit']) expect(out).toContain(part);
  });
});
