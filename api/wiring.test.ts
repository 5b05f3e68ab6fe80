import { Buffer } from 'node:buffer';
import type { Clock } from '../platform/clock/index.ts';
import { ManualClock } from '../platform/clock/manual.ts';
import { UnavailableError } from '../platform/errors/index.ts';
import { KubeError } from '../platform/kube/errors.ts';
import type { RunCommand } from '../platform/messages/payloads.ts';
import { commandSubject, logsSubject, shardOf } from '../platform/messages/subjects.ts';
import { uuid } from './testing/rows.ts';
import { busCommands, busLogs, BusNotices, kubeAuthenticator, kubeAuthorizer } from './wiring.ts';

const RUN = uuid(1);
const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

function log() {
  const lines: unknown[] = [];
  const at = (fields: unknown, message: string): void => { lines.push([fields, message]); };
  return { lines, info: at, warn: at, error: at };
}

describe('busCommands', () => {
  const command: RunCommand = { v: 1, verb: 'suspend', runId: RUN, principal: 'alice' };

  /** Answers in turn, the last one again and again. Time passes as the requests and the pauses take it. */
  function bus(...answers: readonly ((timeoutMs: number) => Promise<Uint8Array>)[]) {
    const sent: { subject: string; payload: string; timeoutMs: number }[] = [];
    const time = new ManualClock();
    const clock: Clock = { now: () => time.now(), monotonic: () => time.monotonic(), after: (ms, fn) => {
      const handle = time.after(ms, fn);
      queueMicrotask(() => { time.advance(ms); });
      return handle;
    } };
    return { sent, clock, time, request: (subject: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> => {
      sent.push({ subject, payload: Buffer.from(payload).toString(), timeoutMs });
      return answers[Math.min(sent.length, answers.length) - 1]?.(timeoutMs) ?? Promise.reject(new Error('asked too often'));
    } };
  }
  /** Nobody listens: NATS says so at once. */
  const nobody = (): Promise<Uint8Array> => Promise.reject(new UnavailableError('an answer'));
  const moved = (): Promise<Uint8Array> => Promise.resolve(encode({ v: 1, ok: false, code: 'NotOwner', message: 'moved' }));
  const fine = (): Promise<Uint8Array> => Promise.resolve(encode({ v: 1, ok: true, runId: RUN, version: 2 }));

  test('goes to the owner of the shard', async () => {
    const stub = bus(fine);
    expect(await busCommands(stub, stub.clock).send(command)).toEqual({ v: 1, ok: true, runId: RUN, version: 2 });
    expect(stub.sent).toEqual([{ subject: commandSubject(shardOf(RUN)), payload: JSON.stringify(command), timeoutMs: 4_500 }]);
  });
  test('repeats the same bytes while the shard moves: nobody listens, then somebody who is the owner no more, then the owner', async () => {
    const stub = bus(nobody, nobody, moved, fine);
    expect(await busCommands(stub, stub.clock).send(command)).toMatchObject({ ok: true });
    expect(stub.sent).toHaveLength(4);
    expect(new Set(stub.sent.map(({ payload }) => payload)).size).toBe(1);
  });
  test.each([['nobody listens', nobody], ['the owner is always another one', moved]])('gives up within the time of an operation, but not before a dead owner\'s lease has ended: %s', async (_, answer) => {
    const stub = bus(answer);
    const before = stub.time.monotonic();
    await expect(busCommands(stub, stub.clock).send(command)).rejects.toBeInstanceOf(UnavailableError);
    const took = stub.time.monotonic() - before;
    expect(took).toBeGreaterThan(6_000);
    expect(took).toBeLessThanOrEqual(9_000);
    expect(stub.sent.length).toBeLessThan(60);
  });
  test('an owner that does not answer is asked twice', async () => {
    const stub = bus((timeoutMs) => {
      stub.time.advance(timeoutMs);
      return nobody();
    });
    await expect(busCommands(stub, stub.clock).send(command)).rejects.toBeInstanceOf(UnavailableError);
    expect(stub.sent.map(({ timeoutMs }) => timeoutMs)).toEqual([4_500, 4_450]);
  });
  test('what is no matter of availability is not repeated', async () => {
    const stub = bus(() => Promise.resolve(encode({ v: 1, ok: false, code: 'Conflict', message: 'another body' })));
    expect(await busCommands(stub, stub.clock).send(command)).toMatchObject({ code: 'Conflict' });
    expect(stub.sent).toHaveLength(1);
  });
  test.each([['no JSON'], ['{}'], ['{"v":2,"ok":true}'], ['{"v":1,"ok":false,"code":"Whatever"}']])('an answer that cannot be read is an error of ours: %s', async (text) => {
    await expect(busCommands(bus(() => Promise.resolve(Buffer.from(text)))).send(command)).rejects.toMatchObject({ code: 'BadReply' });
  });
  test('logs are asked of the owner too', async () => {
    const stub = bus(() => Promise.resolve(encode({ v: 1, text: 'x', next: 1, end: false })));
    expect(await busLogs(stub).read({ v: 1, run: RUN, node: 'a', item: -1, attempt: 1, offset: 0, limit: 10 })).toMatchObject({ text: 'x' });
    expect(stub.sent[0]?.subject).toBe(logsSubject(shardOf(RUN)));
  });
});

describe('BusNotices', () => {
  function setUp(flush: () => Promise<void> = () => Promise.resolve()) {
    const state = { listening: [] as string[], stopped: 0, order: [] as string[] };
    const notices = new BusNotices({
      listen: (subject) => {
        state.order.push('listen');
        state.listening.push(subject);
        return { stop: () => { state.stopped += 1; } };
      },
      flush: () => {
        state.order.push('flush');
        return flush();
      },
    });
    return { state, notices };
  }
  test('is sure to hear before it says so', async () => {
    const { state, notices } = setUp();
    await notices.watch(RUN, () => undefined);
    expect(state).toMatchObject({ listening: [`rambo.changed.*.${RUN}`], order: ['listen', 'flush'] });
  });
  test('wakes everybody after a reconnection, but not who left', async () => {
    const { state, notices } = setUp();
    const woken: string[] = [];
    const first = await notices.watch(RUN, () => { woken.push('first'); });
    await notices.watch(RUN, () => { woken.push('second'); });
    notices.reconnected();
    first.close();
    notices.reconnected();
    expect(woken).toEqual(['first', 'second', 'second']);
    expect(state.stopped).toBe(1);
  });
  test('leaves nothing behind when NATS is away', async () => {
    const { state, notices } = setUp(() => Promise.reject(new Error('closed')));
    await expect(notices.watch(RUN, () => { throw new Error('woken'); })).rejects.toBeInstanceOf(UnavailableError);
    notices.reconnected();
    expect(state.stopped).toBe(1);
  });
});

describe('reviews', () => {
  interface Asked { readonly path: string; readonly body?: unknown }
  function kube(answer: () => Promise<unknown>) {
    const asked: Asked[] = [];
    return { asked, json: (request: Asked): Promise<unknown> => {
      asked.push(request);
      return answer();
    } };
  }
  const user = { username: 'system:serviceaccount:a:ci', uid: 'u', groups: ['g'], extra: { k: ['v'] } };
  const status = (over: object): (() => Promise<unknown>) => () => Promise.resolve({ status: { authenticated: true, audiences: ['rambo'], user, ...over } });

  test('a token of our audience', async () => {
    const stub = kube(status({}));
    expect(await kubeAuthenticator(stub, 'rambo', log()).authenticate('t')).toEqual({ kind: 'kubernetes', name: user.username, uid: 'u', groups: ['g'], extra: { k: ['v'] } });
    expect(stub.asked[0]).toMatchObject({ path: '/apis/authentication.k8s.io/v1/tokenreviews', body: { spec: { token: 't', audiences: ['rambo'] } } });
  });
  test.each([
    ['not authenticated', { authenticated: false }], ['not said', { authenticated: undefined }], ['another audience', { audiences: ['https://kubernetes.default.svc'] }],
    ['no audience', { audiences: undefined }], ['nobody', { user: undefined }], ['no name', { user: { ...user, username: '' } }], ['no name at all', { user: {} }], ['a name as ours are', { user: { ...user, username: 'user:00000000-0000-7000-8000-000000000001' } }],
  ])('%s: nobody', async (_, over) => { expect(await kubeAuthenticator(kube(status(over)), 'rambo', log()).authenticate('t')).toBeUndefined(); });

  test('access is asked for the group of RamBo, with everything known of the caller', async () => {
    const stub = kube(() => Promise.resolve({ status: { allowed: true } }));
    expect(await kubeAuthorizer(stub, log()).allowed({ kind: 'kubernetes', name: 'alice', groups: ['g'], uid: 'u' }, 'patch', { resource: 'workflowruns', namespace: 'a' })).toBe(true);
    expect(stub.asked[0]).toMatchObject({ body: { spec: { user: 'alice', uid: 'u', groups: ['g'], resourceAttributes: { group: 'rambo.dev', resource: 'workflowruns', namespace: 'a', verb: 'patch' } } } });
  });
  test.each([[{ allowed: false }, false], [{ allowed: true, denied: true }, false], [{ allowed: true, denied: false }, true]])('%j is %p', async (answer, allowed) => {
    expect(await kubeAuthorizer(kube(() => Promise.resolve({ status: answer })), log()).allowed({ kind: 'kubernetes', name: 'a', groups: [] }, 'get', { resource: 'workflows', namespace: 'a' })).toBe(allowed);
  });

  test.each([[0], [401], [403], [429], [500]])('an API server that answers %d tells nothing: closed, and no token in the log', async (code) => {
    const lines = log();
    const stub = kube(() => Promise.reject(new KubeError(code, '', 'token canary')));
    await expect(kubeAuthenticator(stub, 'rambo', lines).authenticate('canary')).rejects.toBeInstanceOf(UnavailableError);
    await expect(kubeAuthorizer(stub, lines).allowed({ kind: 'kubernetes', name: 'a', groups: [] }, 'get', { resource: 'workflows', namespace: 'a' })).rejects.toBeInstanceOf(UnavailableError);
    expect(JSON.stringify(lines.lines)).not.toMatch(/canary/);
  });
});
