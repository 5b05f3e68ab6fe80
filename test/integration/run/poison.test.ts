import { readFileSync } from 'node:fs';
import { connectBus, type Bus } from '../../../platform/nats/bus.ts';
import { chain, TestStack } from '../../harness/test-stack.ts';

let t: TestStack;
let bus: Bus;
/** What our own client would not send. */
const refused: object[] = [];
beforeAll(async () => {
  t = await TestStack.start();
  await t.pool();
  const note = (facts: object): void => { refused.push(facts); };
  const log = { info: () => undefined, warn: note, error: note };
  bus = await connectBus({ url: t.addresses.natsUrl, name: 'hostile', creds: () => readFileSync(t.addresses.natsCreds, 'utf8').trim(), log });
}, 120_000);
afterAll(async () => {
  await bus.close();
  await t.stop();
});

const SECRET = 'f'.repeat(32);
const RESULT = { v: 1, run: '019a0000-0000-7000-8000-000000000000', node: 'n', item: -1, attempt: 1, secret: SECRET, startedAt: 1, finishedAt: 2, outcome: { ok: true, output: '1' } };

test.each<[string, string, Uint8Array]>([
  ['no JSON', 'rambo.result.default.default.3', Buffer.from('{')],
  ['invalid UTF-8', 'rambo.result.default.default.3', Buffer.from([0xff, 0xfe])],
  ['an unknown version', 'rambo.result.default.default.3', Buffer.from(JSON.stringify({ ...RESULT, v: 9 }))],
  ['a forged secret', 'rambo.result.default.default.3', Buffer.from(JSON.stringify(RESULT))],
  ['a beat that is a list', 'rambo.beat.default.default.3', Buffer.from('[]')],
  ['a log without an offset', 'rambo.log.default.default.3', Buffer.from('{"v":1}')],
  ['a command of nobody', 'rambo.cmd.3', Buffer.from('{"v":1,"verb":"destroy"}')],
])('a message with %s is put aside and counted, and the consumer goes on', async (_, subject, payload) => {
  const before = await t.metric('rambo_messages_dead_lettered_total');
  if (/result|cmd/.test(subject)) await bus.request(subject, payload, 2_000);
  else bus.publish(subject, payload);
  await t.until('the dead letter to be counted', async () => await t.metric('rambo_messages_dead_lettered_total') === before + 1);
  const rows = await t.until('the dead letter to be kept', async () => {
    const found = await t.sql<{ subject: string }>('select subject from dead_letter where subject = $1 and payload = $2', [subject, Buffer.from(payload)]);
    return found.length > 0 ? found : undefined;
  });
  expect(rows[0]).toEqual({ subject });
  const { metadata } = await t.startInline(chain(2, true));
  expect((await t.finished(metadata.name)).status?.phase).toBe('Succeeded');
});

test('a message over the size NATS takes never gets to us, and takes nothing else of its sender with it', async () => {
  const subject = 'rambo.result.default.default.3';
  const before = await t.metric('rambo_messages_dead_lettered_total');
  bus.publish(subject, Buffer.alloc(2_000_000));
  await bus.request(subject, Buffer.from('{'), 2_000);
  await t.until('the message after it to be counted', async () => await t.metric('rambo_messages_dead_lettered_total') === before + 1);
  expect(refused).toContainEqual(expect.objectContaining({ subject }));
});
