import type { Msg, NatsConnection, SubscriptionOptions } from '@nats-io/transport-node';
import fc from 'fast-check';
import { ManualClock } from '../clock/manual.ts';
import { Requests } from './requests.ts';

interface Published { readonly subject: string; readonly reply: string; readonly id: string | undefined }

/** Requests over a connection that the test answers by hand. */
function world(publish: (sent: Published) => void = () => undefined) {
  const clock = new ManualClock();
  const sent: Published[] = [];
  const inboxes: string[] = [];
  let hear: NonNullable<SubscriptionOptions['callback']> = () => undefined;
  const connection = {
    publish: (subject: string, _: Uint8Array, options: { reply: string; headers?: { get(name: string): string } }) => {
      const one = { subject, reply: options.reply, id: options.headers?.get('Nats-Msg-Id') };
      publish(one);
      sent.push(one);
    },
    subscribe: (subject: string, options: SubscriptionOptions) => {
      inboxes.push(subject);
      hear = options.callback ?? hear;
    },
  } as unknown as NatsConnection;
  const requests = new Requests(connection, clock, '_INBOX_test');
  const answer = (reply: string, text: string, code?: number): void => {
    void hear(null, { subject: reply, data: Buffer.from(text), ...(code === undefined ? {} : { headers: { code } }) } as unknown as Msg);
  };
  const ask = async (subject: string, timeoutMs = 1_000, id?: string): Promise<string> => {
    try {
      return Buffer.from(await requests.send(subject, Buffer.from('x'), timeoutMs, id)).toString();
    } catch (error) {
      const { message, cause } = error as Error;
      return `${message}: ${cause instanceof Error ? `Error: ${cause.message}` : ''}`;
    }
  };
  return { clock, sent, inboxes, requests, answer, ask };
}

test('each answer finds its question, in whatever order they come, over one inbox', async () => {
  const { sent, inboxes, answer, ask } = world();
  const answers = Promise.all([ask('a'), ask('b'), ask('c')]);
  expect(new Set(sent.map(({ reply }) => reply)).size).toBe(3);
  expect(inboxes).toEqual([expect.stringMatching(/^_INBOX_test\..+\.\*$/)]);
  for (const { reply, subject } of [...sent].reverse()) answer(reply, `to ${subject}`);
  expect(await answers).toEqual(['to a', 'to b', 'to c']);
});

test('an empty answer is an answer; nobody there is an error at once', async () => {
  const { sent, answer, ask } = world();
  const [one, two] = [ask('a'), ask('b')];
  answer(sent[0]?.reply ?? '', '');
  answer(sent[1]?.reply ?? '', '', 503);
  expect(await one).toBe('');
  expect(await two).toBe('a listener on b is not available: ');
});

test('without an answer in time it fails, each by its own time, and what comes then is for nobody', async () => {
  const { clock, sent, answer, ask } = world();
  const over: string[] = [];
  const told = [ask('slow', 2_000), ask('fast', 500)].map((each, i) => each.then((text) => { over.push(`${i} ${text}`); }));
  clock.advance(600);
  await told[1];
  expect(over).toEqual(['1 an answer on fast is not available: Error: no answer in time']);
  answer(sent[1]?.reply ?? '', 'late');
  clock.advance(1_500);
  await told[0];
  expect(over).toHaveLength(2);
});

test('while nothing waits no timer runs', async () => {
  const { clock, sent, answer, ask } = world();
  const asked = ask('a');
  expect(clock.pending).toBe(1);
  answer(sent[0]?.reply ?? '', 'x');
  await asked;
  clock.advance(100);
  expect(clock.pending).toBe(0);
});

test('a message id goes along as a header', () => {
  const { sent, ask } = world();
  void ask('a', 1_000, 'run/1');
  void ask('b');
  expect(sent.map(({ id }) => id)).toEqual(['run/1', undefined]);
});

test('what the client refuses is an error of that question alone', async () => {
  const { sent, answer, ask } = world(({ subject }) => { if (subject === 'big') throw new Error('max_payload size exceeded'); });
  const [big, small] = [ask('big'), ask('small')];
  expect(await big).toBe('an answer on big is not available: Error: max_payload size exceeded');
  answer(sent[0]?.reply ?? '', 'fine');
  expect(await small).toBe('fine');
});

test('once it is closed nobody waits any more', async () => {
  const { clock, requests, ask } = world();
  const asked = [ask('a'), ask('b')];
  requests.close();
  expect(await Promise.all(asked)).toEqual(['an answer on a is not available: Error: the connection is closed', 'an answer on b is not available: Error: the connection is closed']);
  expect(clock.pending).toBe(0);
});

test('whatever is answered, late, twice or never: each question ends exactly once, with its own answer or its own time', async () => {
  const step = fc.record({ timeout: fc.integer({ min: 1, max: 500 }), answers: fc.array(fc.nat(800), { maxLength: 2 }) });
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
    const { clock, sent, answer, ask } = world();
    const asked = steps.map(({ timeout }, i) => ask(`${i}`, timeout));
    for (const [i, { answers }] of steps.entries()) for (const at of answers) clock.after(at, () => { answer(sent[i]?.reply ?? '', `to ${i}`); });
    clock.advance(2_000);
    for (const [i, text] of (await Promise.all(asked)).entries()) {
      const first = Math.min(...steps[i]?.answers ?? [], Infinity);
      // Deadlines are looked at every 100 ms: an answer may come until then.
      const kept = Math.ceil((steps[i]?.timeout ?? 0) / 100) * 100;
      expect(text).toBe(first < kept ? `to ${i}` : first === kept ? text : `an answer on ${i} is not available: Error: no answer in time`);
    }
    expect(clock.pending).toBe(0);
  }), { numRuns: 60 });
});
