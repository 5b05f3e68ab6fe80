import { systemClock } from '../../platform/clock/index.ts';
import { AnsweringApi, event, json } from '../api/test-kit.ts';
import { run } from '../program.ts';

/* `rambo agent` and `rambo approve` against an API that answers as a test says. */

let api: AnsweringApi;
beforeAll(async () => { api = await AnsweringApi.start(); });
afterAll(() => api.stop());
beforeEach(() => { api.seen.length = 0; });

async function rambo(...args: readonly string[]): Promise<{ readonly out: string; readonly said: string; readonly code: number }> {
  const [out, said]: [string[], string[]] = [[], []];
  let code = 0;
  await run({ clock: systemClock, print: (text) => { out.push(text); }, say: (line) => { said.push(line); }, exit: (given) => { code = given; } }, { version: '0', unique: 'u' }, [...args, '--url', api.url, '--token', 't']);
  return { out: out.join(''), said: said.join('\n'), code };
}


describe('approve', () => {
  const HASH = 'abcdef0123456789'.repeat(4);
  const approval = {
    id: 'p', agentRunId: 'r', namespace: 'support', tool: 'tickets/close', hash: HASH, arguments: { note: 'fine\u001b[2J\u202e' }, why: 'it closes', approvers: [], state: 'Pending', expiresAt: '2026-01-01T00:00:00.000Z', decidedBy: null,
  };
  beforeEach(() => { api.answer = (request, response) => { json(response, request.method === 'GET' ? approval : { ...approval, state: 'Approved' }); }; });

  test('without a hash shows what waits, and decides nothing; a terminal obeys nothing of it', async () => {
    const { said, code } = await rambo('approve', 'p');
    expect([api.seen.map(({ line }) => line), code]).toEqual([['GET /api/v1/agent-approvals/p'], 0]);
    expect(said).toContain(HASH);
    expect(said).toContain('rambo approve p --hash abcdef012345');
    expect(said).not.toMatch(/[\u001b\u202e]/);
  });
  test('with the hash, or its beginning, sends the whole hash', async () => {
    await rambo('approve', 'p', '--hash', 'abcdef01', '--reject', '--reason', 'later');
    expect(api.seen[1]).toMatchObject({ line: 'POST /api/v1/agent-approvals/p/decision', body: JSON.stringify({ hash: HASH, decision: 'Reject', reason: 'later' }) });
  });
  test.each([['another hash', ['--hash', 'abcdef02']], ['one that is too short', ['--hash', 'abc']], ['arguments that are no JSON', ['--hash', 'abcdef01', '--arguments', '{']]])('%s decides nothing', async (_, args) => {
    const { code } = await rambo('approve', 'p', ...args);
    expect([api.seen.map(({ line }) => line), code > 0]).toEqual([['GET /api/v1/agent-approvals/p'], true]);
  });
});

describe('answer', () => {
  const HASH = 'abcdef0123456789'.repeat(4);
  const input = {
    id: 'i', agentRunId: 'r', namespace: 'support', tool: 'tables/book', round: 1, hash: HASH, questions: [{ key: 'seats', message: 'How many\u001b[2J\u202e?', schema: { type: 'object', properties: { seats: { type: 'integer' } } } }],
    answerers: ['ops'], state: 'Pending', expiresAt: '2026-01-01T00:00:00.000Z', answeredBy: null,
  };
  beforeEach(() => { api.answer = (request, response) => { json(response, request.method === 'GET' ? input : { ...input, state: 'Answered' }); }; });

  test('without a hash shows what is asked, and answers nothing; a terminal obeys nothing of it', async () => {
    const { said, code } = await rambo('answer', 'i');
    expect([api.seen.map(({ line }) => line), code]).toEqual([['GET /api/v1/agent-inputs/i'], 0]);
    expect(said).toContain(HASH);
    expect(said).toContain('"seats"');
    expect(said).toContain('rambo answer i --hash abcdef012345');
    expect(said).not.toMatch(/[\u001b\u202e]/);
  });
  test.each<[string, readonly string[], object]>([
    ['content', ['--content', '{"seats": 4}'], { seats: { action: 'accept', content: { seats: 4 } } }], ['no', ['--decline'], { seats: { action: 'decline' } }], ['nothing', ['--cancel'], { seats: { action: 'cancel' } }],
    ['answers by their keys', ['--answers', '{"seats":{"action":"accept","content":{"seats":2}}}'], { seats: { action: 'accept', content: { seats: 2 } } }],
  ])('says %s, bound to the whole hash', async (_, args, answers) => {
    await rambo('answer', 'i', '--hash', 'abcdef01', ...args);
    expect(api.seen[1]).toMatchObject({ line: 'POST /api/v1/agent-inputs/i/answer', body: JSON.stringify({ hash: HASH, answers }) });
  });
  test.each([['another hash', ['--hash', 'abcdef02', '--decline']], ['a short one', ['--hash', 'abc', '--decline']], ['no answer', ['--hash', 'abcdef01']], ['content that is no JSON', ['--hash', 'abcdef01', '--content', '{']]])('%s answers nothing', async (_, args) => {
    const { code } = await rambo('answer', 'i', ...args);
    expect([api.seen.map(({ line }) => line), code > 0]).toEqual([['GET /api/v1/agent-inputs/i'], true]);
  });
});

describe('agent', () => {
  test('events goes on after the last one that came when the stream is cut, and ends with the run', async () => {
    const parts = [`${event(1, 'RunStarted', {})}${event(2, 'ModelRequested', {})}id: 3\nevent: ev`, `: still there\n\n${event(3, 'ModelCompleted', { text: 'x' })}event: delta\ndata: {"step":2,"text":"y"}\n\n`, `${event(4, 'RunCompleted', { phase: 'Succeeded' })}event: end\ndata: {}\n\n`];
    api.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(parts.shift() ?? '', () => { if (parts.length > 0) response.destroy(); else response.end(); });
    };
    const { out, code } = await rambo('agent', 'events', 'r');
    expect(out.trim().split('\n').map((line) => JSON.parse(line).seq)).toEqual([1, 2, 3, 4]);
    expect([api.seen.map(({ last }) => last), code]).toEqual([['0', '2', '3'], 0]);
  });

  test('run waits until it is there, shows what waits for a person, gives the output', async () => {
    let asked = 0;
    api.answer = (request, response) => {
      if (request.method === 'POST') json(response, { id: 'r', runId: 'run', namespace: 'support', agent: 'triage', conversation: null }, 201);
      else if (request.url === '/api/v1/runs/run') json(response, { phase: 'Running' });
      else if (request.url === '/api/v1/agent-runs/r') json(response, ++asked < 3 ? { code: 'NOT_FOUND', detail: 'not yet' } : { id: 'r' }, asked < 3 ? 404 : 200);
      else response.writeHead(200).end(`${event(1, 'ApprovalRequested', { tool: 'tickets/close', approval: 'p' })}${event(2, 'RunCompleted', { phase: 'Succeeded', output: 'Done.\u0007' })}event: end\ndata: {}\n\n`);
    };
    const { out, said } = await rambo('agent', 'run', 'triage', 'Close it', '-n', 'support', '-c', 'monday');
    expect(out).toBe('Done.\\u0007\n');
    expect(said).toContain('rambo approve p');
    expect(JSON.parse(api.seen[0]?.body ?? '')).toEqual({ namespace: 'support', agent: 'triage', input: 'Close it', conversation: 'monday' });
  });

  test('run with --json gives what it is, and refuses what is none before anything is sent', async () => {
    api.answer = (request, response) => {
      if (request.method === 'POST') json(response, { id: 'r', runId: 'run' }, 201);
      else json(response, {});
    };
    await rambo('agent', 'run', 'desk', '{"order": "A"}', '--json', '--detach', '-n', 'support');
    expect(JSON.parse(api.seen[0]?.body ?? '')).toMatchObject({ input: { order: 'A' } });
    for (const bad of [['{order'], []]) expect(await rambo('agent', 'run', 'desk', ...bad, '--json', '-n', 'support')).toMatchObject({ code: 2 });
    expect(api.seen).toHaveLength(1);
  });

  test('run of what fails ends with code 1 and says why', async () => {
    api.answer = (request, response) => {
      if (request.method === 'POST') json(response, { id: 'r', runId: 'run' }, 201);
      else if (request.url === '/api/v1/agent-runs/r') json(response, { id: 'r' });
      else response.writeHead(200).end(`${event(1, 'RunCompleted', { phase: 'Failed', reason: 'StepLimit', message: 'too many steps' })}event: end\ndata: {}\n\n`);
    };
    expect(await rambo('agent', 'run', 'triage', '-n', 'support')).toMatchObject({ out: '', code: 1, said: expect.stringContaining('Failed (StepLimit): too many steps') as string });
  });

  test('run whose workflow run ends before the agent began says so', async () => {
    api.answer = (request, response) => {
      if (request.method === 'POST') json(response, { id: 'r', runId: 'run' }, 201);
      else if (request.url === '/api/v1/runs/run') json(response, { phase: 'Failed', failures: [{ node: 'agent', reason: 'AgentsNotInstalled', message: 'no gateway' }] });
      else json(response, { code: 'NOT_FOUND', detail: 'not there' }, 404);
    };
    expect(await rambo('agent', 'run', 'triage', '-n', 'support')).toMatchObject({ code: 1, said: expect.stringContaining('AgentsNotInstalled: no gateway') as string });
  });

  test('a right that is gone ends the stream with its code', async () => {
    api.answer = (_, response) => { response.writeHead(200).end(`${event(1, 'RunStarted', {})}event: error\ndata: {"code":"NOT_FOUND","message":"not yours"}\n\n`); };
    expect(await rambo('agent', 'events', 'r')).toMatchObject({ code: 1, said: expect.stringContaining('NOT_FOUND: not yours') as string });
  });
});
