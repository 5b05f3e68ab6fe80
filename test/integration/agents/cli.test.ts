import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from '../../../hack/stack/stack.ts';
import { CliSite, type Environment, Running } from './cli-site.ts';

/** `rambo` and `kubectl rambo` as they are built, against a whole stack: start, follow, talk, approve, look; and whoever may not. */

let site: CliSite;
let dir: string;
let stranger: Environment;
let reader: Environment;
let approver: Environment;
beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'rambo-cli-'));
  site = await CliSite.start(dir);
  const group = 'rambo.dev';
  const see = { apiGroups: [group], resources: ['agentruns', 'agentapprovals', 'workflowruns', 'agents'], verbs: ['get', 'list', 'watch'] };
  await site.account('stranger', []);
  await site.account('reader', [see]);
  await site.account('approver', [see, { apiGroups: [group], resources: ['agentapprovals'], verbs: ['patch'] }]);
  [stranger, reader, approver] = [await site.kubeconfigOf('stranger'), await site.kubeconfigOf('reader'), await site.kubeconfigOf('approver')];
}, 1_200_000);
afterAll(async () => {
  await site.s.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A call starts a process: a busy machine takes seconds for it. */
const PATIENCE_MS = 180_000;
const NS = ['-n', 'default'];
const until = <T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> => site.s.t.until(what, probe, 60_000);

/** Starts a refund, and waits until somebody is asked. */
async function waiting(): Promise<{ readonly agentRun: string; readonly approval: string; readonly hash: string }> {
  const started = await site.rambo(['agent', 'run', ...NS, 'refund-desk', '--detach', '--json', '{"order":"A-1042"}']);
  const agentRun: string = JSON.parse(started.out).id;
  const asked = await until('the approval', async () => (await site.s.t.sql<{ id: string; hash: string }>("select id, hash from agent_approval where agent_run = $1::uuid and state = 'Pending'", [agentRun]))[0]);
  return { agentRun, approval: asked.id, hash: asked.hash };
}

test('agent run gives the output on standard output, alone; steps and show say what it cost; events are its journal', async () => {
  const { code, out, said } = await site.rambo(['agent', 'run', ...NS, 'greeter', 'Hello!']);
  expect([code, out.trim().length > 0, out.split('\n').length]).toEqual([0, true, 2]);
  const id = /agent run (\S+)/.exec(said)?.[1] ?? '';
  const events = (await site.rambo(['agent', 'events', id])).out.trim().split('\n').map((line) => JSON.parse(line));
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  expect(events.map(({ kind }) => kind)).toEqual(['RunStarted', 'ModelRequested', 'ModelCompleted', 'RunCompleted']);
  const steps = (await site.rambo(['agent', 'steps', id])).out;
  expect(steps).toMatch(/^3 +\S+ m?s +1 +ModelCompleted +- +\d+ \+ \d+ +0\.\d+ +\S+ m?s +\S+/m);
  expect((await site.rambo(['agent', 'show', id])).out).toMatch(/phase: +Succeeded\n[^]*BUDGET/);
  expect((await site.rambo(['agent', 'runs', ...NS, 'greeter'])).out).toContain(id);
}, PATIENCE_MS);

test('chat in a pipe: a line is a turn, and tomorrow it goes on', async () => {
  const one = await site.rambo(['agent', 'chat', ...NS, 'greeter', '-c', 'monday', '-o', 'json'], site.demo, 'Hello!\nHello again!\n');
  expect(one).toMatchObject({ code: 0 });
  const turns = one.out.trim().split('\n').map((line) => JSON.parse(line));
  expect(turns).toMatchObject([{ phase: 'Succeeded', conversation: 'monday' }, { phase: 'Succeeded' }]);
  const next = await site.rambo(['agent', 'chat', ...NS, 'greeter', '-c', 'monday'], site.demo, 'And now?');
  expect([next.code, next.out.trim().length > 0]).toEqual([0, true]);
  // The model was shown what was said before.
  const rows = await site.s.t.sql<{ turn: number; n: number }>("select turn, (select jsonb_array_length(convert_from(payload, 'UTF8')::jsonb->'history') from agent_event where agent_run = a.id and kind = 'RunStarted') n from agent_run a where conversation_id = (select conversation_id from agent_run where id = $1::uuid) order by turn", [turns[0].agentRunId]);
  expect(rows).toEqual([{ turn: 1, n: 0 }, { turn: 2, n: 2 }, { turn: 3, n: 4 }]);
}, PATIENCE_MS);

test('Ctrl-C in the middle of a turn cancels its run and ends with 130', async () => {
  await site.s.script('slow', [{ text: 'never said', delayMs: 120_000 }]);
  await site.s.agent('slow', { modelRef: { name: 'slow' } });
  const running = site.begin(['agent', 'chat', ...NS, 'slow']);
  running.finish('Think\n');
  const row = await until('the model to be asked', async () => (await site.s.t.sql<{ id: string; run_id: string }>("select a.id, a.run_id from agent_run a join agent_event e on e.agent_run = a.id where a.agent = 'slow' and e.kind = 'ModelRequested'"))[0]);
  running.signal('SIGINT');
  expect((await running.ended).code).toBe(130);
  expect((await site.s.t.sql<{ phase: string }>('select phase from agent_run where id = $1::uuid', [row.id]))[0]?.phase).toBe('Cancelled');
}, PATIENCE_MS);

describe('in a terminal', () => {
  test('what waits is shown with its arguments; y makes the call, and the turn goes on', async () => {
    await site.s.script('teller', [{ tools: [{ name: 'shop__charge', arguments: { amount: 7 } }] }, { text: 'It is {{last}}.', chunkMs: 20 }]);
    await site.s.agent('teller', { modelRef: { name: 'teller' }, tools: [{ toolServerRef: { name: 'shop', include: ['charge'] } }] });
    const chat = site.terminal(['agent', 'chat', ...NS, 'teller', '-c', 'evening']);
    await until('the prompt', () => Promise.resolve(chat.out.includes('> ')));
    chat.type('Pay 7\n');
    await until('the question', () => Promise.resolve(chat.out.includes('make this call?')));
    expect(chat.out).toContain('"amount": 7');
    chat.type('y\n');
    await until('the answer', () => Promise.resolve(/It is charged 7[^]*USD/.test(chat.out)));
    chat.type('/quit\n');
    const { code, out } = await chat.ended;
    expect([code, out.includes('-c evening'), /\u001b\[2J/.test(out)]).toEqual([0, true, false]);
  }, PATIENCE_MS);

  test('Ctrl-C stops the turn, not the conversation', async () => {
    const chat = site.terminal(['agent', 'chat', ...NS, 'slow']);
    await until('the prompt', () => Promise.resolve(chat.out.includes('> ')));
    chat.type('Think again\n');
    const asked = async (): Promise<number> => (await site.s.t.sql("select 1 from agent_run a join agent_event e on e.agent_run = a.id where a.agent = 'slow' and a.finished_at is null and e.kind = 'ModelRequested'")).length;
    await until('the model to be asked', async () => await asked() === 1);
    chat.type('\u0003');
    await until('the end of the turn', () => Promise.resolve(chat.out.includes('Cancelled')));
    chat.type('\u0004');
    expect((await chat.ended).code).toBe(0);
  }, PATIENCE_MS);
});

describe('kubectl rambo approve, with nothing but a kubeconfig', () => {
  test('whoever may not is refused, whoever may decides exactly what was shown', async () => {
    const { agentRun, approval, hash } = await waiting();
    const decide = ['approve', approval, '--hash', hash.slice(0, 12)];
    // No right at all: not there. The right to look: seen, not decided.
    expect(await site.kubectlRambo(decide, stranger)).toMatchObject({ code: 1, said: expect.stringContaining('NOT_FOUND') as string });
    const seen = await site.kubectlRambo(['approve', approval], reader);
    expect([seen.code, seen.said.includes('shop/charge'), seen.said.includes(hash)]).toEqual([0, true, true]);
    expect(await site.kubectlRambo(decide, reader)).toMatchObject({ code: 1, said: expect.stringContaining('FORBIDDEN') as string });
    expect(await site.kubectlRambo(['approve', approval, '--hash', 'f'.repeat(12)], approver)).toMatchObject({ code: 1, said: expect.stringContaining('nothing was decided') as string });
    expect((await site.s.t.sql<{ state: string }>('select state from agent_approval where id = $1::uuid', [approval]))[0]?.state).toBe('Pending');
    const decided = await site.kubectlRambo([...decide, '--reason', 'checked'], approver);
    expect([decided.code, JSON.parse(decided.out)]).toMatchObject([0, { state: 'Approved', decidedBy: 'system:serviceaccount:default:approver', reason: 'checked' }]);
    await until('the run to succeed', async () => (await site.s.t.sql("select 1 from agent_run where id = $1::uuid and phase = 'Succeeded'", [agentRun])).length === 1);
    const steps = (await site.kubectlRambo(['agent', 'steps', agentRun], reader)).out;
    expect(steps).toMatch(/ApprovalDecided.*Approved by system:serviceaccount:defaul/);
    const audit = await site.s.t.sql<{ outcome: string; principal: string }>("select outcome, principal from audit where operation = 'decideAgentApproval' order by seq");
    expect(audit.map(({ outcome }) => outcome)).toEqual(expect.arrayContaining(['REFUSED', 'DONE']));
  }, PATIENCE_MS);

  test('a kubeconfig of a person names the account to call as; one that may not have its token is told so', async () => {
    const { approval } = await waiting();
    const admin = { RAMBO_API_URL: site.s.t.addresses.apiUrl, KUBECONFIG: site.s.t.addresses.kubeconfig };
    expect(await site.kubectlRambo(['approve', approval], admin)).toMatchObject({ code: 2, said: expect.stringContaining('--service-account') as string });
    expect(await site.kubectlRambo(['approve', approval, '--service-account', 'default/reader'], admin)).toMatchObject({ code: 0 });
    expect(await site.kubectlRambo(['approve', approval, '--service-account', 'default/approver'], reader)).toMatchObject({ code: 1, said: expect.stringContaining('create serviceaccounts/token') as string });
  }, PATIENCE_MS);
});

describe('whoever has no right', () => {
  test.each([
    ['starts nothing', ['agent', 'run', ...NS, 'greeter', 'x'], 'FORBIDDEN'], ['talks to nobody', ['agent', 'chat', ...NS, 'greeter'], 'FORBIDDEN'], ['lists nothing', ['agent', 'runs', ...NS], 'FORBIDDEN'],
  ])('%s', async (_, args, code) => {
    expect(await site.rambo(args, stranger, 'Hi\n')).toMatchObject({ code: 1, out: '', said: expect.stringContaining(code) as string });
    expect(await site.rambo(args, { ...site.demo, RAMBO_TOKEN: `${site.demo['RAMBO_TOKEN'] ?? ''}x` }, 'Hi\n')).toMatchObject({ code: 1, said: expect.stringContaining('UNAUTHENTICATED') as string });
  }, PATIENCE_MS);

  test('a run of others is not there for them, as one that never was', async () => {
    const [row] = await site.s.t.sql<{ id: string }>("select id from agent_run where agent = 'greeter' limit 1");
    const missing = '00000000-0000-4000-8000-000000000000';
    for (const verb of ['events', 'show', 'steps']) {
      const [theirs, absent] = [await site.rambo(['agent', verb, row?.id ?? ''], stranger), await site.rambo(['agent', verb, missing], stranger)];
      expect([theirs.code, theirs.out, theirs.said.replaceAll(row?.id ?? '', 'ID')]).toEqual([1, '', absent.said.replaceAll(missing, 'ID')]);
      expect(theirs.said).toContain('NOT_FOUND');
    }
  }, PATIENCE_MS);
});

test('the example of docs/agents-api.md does what it says, line by line', async () => {
  const page = readFileSync(path.join(ROOT, 'docs/agents-api.md'), 'utf8');
  const block = [...page.matchAll(/^```sh\n(# From start to bill[\s\S]*?)^```$/gm)][0]?.[1];
  if (block === undefined) throw new Error('the example is not there');
  const shell = new Running('bash', ['--norc', '-euo', 'pipefail', '-c', block], site.demo);
  shell.finish();
  const { code, out, said } = await shell.ended;
  expect({ code, said }).toEqual({ code: 0, said: '' });
  for (const part of ['"tool": "shop/charge"', 'event: end', '"phase": "Succeeded"', '"refunded": true', 'ModelCompleted', '"diverged": false', '"limitUsd": "0.1"', '"turns": 2']) expect(out).toContain(part);
}, PATIENCE_MS);
