import fc from 'fast-check';
import {
  AGENT_ASK_SUBJECT, agentDeltaSubject, agentEventSubject, apiPermissions, cancelSubject, changedSubject, commandSubject, DEMAND_SUBJECT, dispatchConsumer, dispatchSubject, DISPATCH_SUBJECTS, gatewayPermissions, logsSubject,
  ownerSubject, poolInboxPrefix, poolPermissions, projectChangedSubject, REPLICAS_SUBJECT, RUN_SHARDS, runnerSubject, shardOf, type RunnerVerb,
} from './subjects.ts';

/** Whether NATS matches a subject by a pattern: `*` is one token, `>` all that follow. */
function matches(pattern: string, subject: string): boolean {
  const [wanted, given] = [pattern.split(' ')[0]?.split('.') ?? [], subject.split('.')];
  for (const [i, token] of wanted.entries()) {
    if (token === '>') return given.length > i;
    if (given[i] === undefined || (token !== '*' && token !== given[i])) return false;
  }
  return wanted.length === given.length;
}
const allows = (patterns: readonly string[], subject: string): boolean => patterns.some((pattern) => matches(pattern, subject));

const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,12}[a-z0-9])?$/);
const VERBS: readonly RunnerVerb[] = ['result', 'beat', 'log', 'fetch'];

test('a pool may say and hear what is its own, and nothing of any other pool', () => {
  fc.assert(fc.property(label, label, label, label, fc.nat(RUN_SHARDS - 1), (namespace, pool, otherNamespace, otherPool, shard) => {
    const { publish, subscribe } = poolPermissions(namespace, pool);
    for (const verb of VERBS) expect(allows(publish, runnerSubject(verb, namespace, pool, shard))).toBe(true);
    expect(allows(publish, `$JS.API.CONSUMER.MSG.NEXT.RAMBO_DISPATCH.${dispatchConsumer(namespace, pool)}`)).toBe(true);
    expect([allows(subscribe, cancelSubject(namespace, pool)), allows(subscribe, `${poolInboxPrefix(namespace, pool)}.x`)]).toEqual([true, true]);
    if (namespace === otherNamespace && pool === otherPool) return;
    for (const verb of VERBS) expect(allows(publish, runnerSubject(verb, otherNamespace, otherPool, shard))).toBe(false);
    expect(allows(publish, `$JS.API.CONSUMER.MSG.NEXT.RAMBO_DISPATCH.${dispatchConsumer(otherNamespace, otherPool)}`)).toBe(false);
    expect([allows(subscribe, cancelSubject(otherNamespace, otherPool)), allows(subscribe, `${poolInboxPrefix(otherNamespace, otherPool)}.x`)]).toEqual([false, false]);
  }), { numRuns: 300 });
});

test('two pools never share a consumer', () => {
  fc.assert(fc.property(label, label, label, label, (a, b, c, d) => { expect(dispatchConsumer(a, b) === dispatchConsumer(c, d)).toBe(a === c && b === d); }));
});

const RUN = '01890000-0000-7000-8000-000000000001';
const EVERYTHING: readonly (readonly [string, string])[] = [
  ['a command', commandSubject(7)], ['a read of a log', logsSubject(7)], ['a change of a run', changedSubject('ns', RUN)], ['a change of a project', projectChangedSubject(RUN)], ['a word among replicas', REPLICAS_SUBJECT], ['demand', DEMAND_SUBJECT],
  ['a question to the gateway', AGENT_ASK_SUBJECT], ['an event of an agent', agentEventSubject('ns', RUN)], ['a piece of an answer', agentDeltaSubject('ns', RUN)], ['a dispatch', dispatchSubject('ns', 'p')], ['a cancel', cancelSubject('ns', 'p')], ['a result', runnerSubject('result', 'ns', 'p', 7)],
  ['what the server itself answers', '$JS.API.STREAM.DELETE.RAMBO_DISPATCH'], ['a purge', '$JS.API.STREAM.PURGE.RAMBO_DISPATCH'], ['another consumer', '$JS.API.CONSUMER.CREATE.RAMBO_DISPATCH.x'], ['the system', '$SYS.REQ.SERVER.PING'], ['an inbox of the API', '_INBOX_api.x'], ['an inbox of the gateway', '_INBOX_modelgateway.x'], ['an inbox of a pool', `${poolInboxPrefix('ns', 'p')}.x`],
];
const sayable = (publish: readonly string[]): readonly string[] => EVERYTHING.filter(([, subject]) => allows(publish, subject)).map(([name]) => name);

test('who may say what', () => {
  expect({ api: sayable(apiPermissions().publish), gateway: sayable(gatewayPermissions().publish), pool: sayable(poolPermissions('ns', 'p').publish), otherPool: sayable(poolPermissions('ns', 'q').publish) }).toEqual({
    api: ['a command', 'a read of a log', 'a change of a project', 'an event of an agent'], gateway: ['a command', 'an event of an agent', 'a piece of an answer'], pool: ['a result'], otherPool: [],
  });
});

test('who may hear what', () => {
  expect({ api: sayable(apiPermissions().subscribe), gateway: sayable(gatewayPermissions().subscribe), pool: sayable(poolPermissions('ns', 'p').subscribe), otherPool: sayable(poolPermissions('ns', 'q').subscribe) }).toEqual({
    api: ['a change of a run', 'a change of a project', 'an event of an agent', 'a piece of an answer', 'an inbox of the API'], gateway: ['a change of a run', 'a question to the gateway', 'an event of an agent', 'an inbox of the gateway'],
    pool: ['a cancel', 'an inbox of a pool'], otherPool: [],
  });
});

test('an owner hears every runner of its shard, and of no other', () => {
  for (const verb of VERBS) {
    expect(matches(ownerSubject(verb, 7), runnerSubject(verb, 'ns', 'p', 7))).toBe(true);
    expect(matches(ownerSubject(verb, 7), runnerSubject(verb, 'ns', 'p', 17))).toBe(false);
    expect(matches(ownerSubject(verb, '*'), runnerSubject(verb, 'ns', 'p', 17))).toBe(true);
  }
  expect(matches(DISPATCH_SUBJECTS, dispatchSubject('ns', 'p'))).toBe(true);
});

test('a run has one shard for ever, and runs spread over all', () => {
  expect(['', 'a', RUN].map(shardOf)).toEqual([0xc5, 0x2c, shardOf(RUN)]);
  const counts = new Array<number>(RUN_SHARDS).fill(0);
  for (let i = 0; i < 25_600; i++) {
    const shard = shardOf(`01890000-0000-7000-8000-${i.toString(16).padStart(12, '0')}`);
    counts[shard] = (counts[shard] ?? 0) + 1;
  }
  expect([Math.min(...counts) > 40, Math.max(...counts) < 200]).toEqual([true, true]);
});
