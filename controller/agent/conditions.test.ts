import fc from 'fast-check';
import { REASONS } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/parts.ts';
import { AGENT_ASK_CODES } from '../../platform/messages/agent-ask.ts';
import { conditionsOf, type Trouble } from './conditions.ts';
import { troubleOf } from './troubles.ts';

const GOOD = { reason: REASONS.resolved, message: 'fine' };
const trouble = (about: Trouble['about'], more: Partial<Trouble> = {}): Trouble => ({ about, reason: REASONS.unreachable, message: `${about} is wrong`, ...more });

function of(troubles: readonly Trouble[], before: readonly Condition[] = [], now = 1_000): Readonly<Record<string, string>> {
  return Object.fromEntries(conditionsOf(troubles, GOOD, 3, before, now).map(({ type, status }) => [type, status]));
}

test.each<[string, readonly Trouble[], Readonly<Record<string, string>>]>([
  ['nothing wrong', [], { Accepted: 'True', ResolvedRefs: 'True', Ready: 'True', Reconciling: 'False', Stalled: 'False' }],
  ['a spec that is wrong', [trouble('Accepted')], { Accepted: 'False', ResolvedRefs: 'True', Ready: 'False', Reconciling: 'False', Stalled: 'True' }],
  ['something that is missing', [trouble('ResolvedRefs')], { Accepted: 'True', ResolvedRefs: 'False', Ready: 'False', Reconciling: 'False', Stalled: 'True' }],
  ['something that passes', [trouble('Ready', { passes: true })], { Accepted: 'True', ResolvedRefs: 'True', Ready: 'False', Reconciling: 'True', Stalled: 'False' }],
  ['nobody knows', [trouble('Ready', { passes: true, unknown: true })], { Accepted: 'True', ResolvedRefs: 'True', Ready: 'Unknown', Reconciling: 'True', Stalled: 'False' }],
  ['one that passes and one that does not', [trouble('Ready', { passes: true, unknown: true }), trouble('ResolvedRefs')], { Accepted: 'True', ResolvedRefs: 'False', Ready: 'False', Reconciling: 'False', Stalled: 'True' }],
])('%s', (_, troubles, expected) => {
  expect(of(troubles)).toEqual(expected);
});

test('five troubles are told as four and one more', () => {
  const ready = conditionsOf(Array.from({ length: 5 }, (_, i) => trouble('ResolvedRefs', { message: `m${i}` })), GOOD, 3, [], 0).find(({ type }) => type === 'Ready');
  expect([ready?.message, ready?.observedGeneration]).toEqual(['m0; m1; m2; m3 (and 1 more)', 3]);
});

test('a look that finds the same changes nothing; a change moves the time of what changed alone', () => {
  const first = conditionsOf([trouble('Ready', { passes: true })], GOOD, 3, [], 1_000);
  expect(conditionsOf([trouble('Ready', { passes: true })], GOOD, 3, first, 99_000)).toEqual(first);
  const moved = conditionsOf([], GOOD, 3, first, 99_000).filter(({ type, lastTransitionTime }) => lastTransitionTime !== first.find((each) => each.type === type)?.lastTransitionTime);
  expect(moved.map(({ type }) => type).sort()).toEqual(['Ready', 'Reconciling']);
});

test('whatever servers say, a message is short, on one line and well formed', () => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary', maxLength: 2_000 }), fc.constant('日'.repeat(900)), fc.constant('😀'.repeat(900)), fc.constant('a\ud83d')), { minLength: 1, maxLength: 5 }), (messages) => {
    for (const { message } of conditionsOf(messages.map((message) => trouble('Ready', { message })), GOOD, 1, [], 0)) {
      expect(Buffer.byteLength(message)).toBeLessThanOrEqual(703);
      expect([message.isWellFormed(), /[\r\n]/.test(message)]).toEqual([true, false]);
    }
  }), { numRuns: 100 });
});

test('what the gateway says becomes a trouble, whatever its code; yes is none', () => {
  const said = AGENT_ASK_CODES.map((code) => troubleOf({ answer: { v: 1, ok: false, error: { code, message: `${code} it is` } }, silent: false } as Parameters<typeof troubleOf>[0]));
  expect(said.map((each) => each?.message)).toEqual(AGENT_ASK_CODES.map((code) => `${code} it is`));
  expect(AGENT_ASK_CODES.filter((_, i) => said[i]?.unknown === true)).toEqual(['NotMirrored', 'Busy']);
  expect(AGENT_ASK_CODES.filter((_, i) => said[i]?.passes === true)).toEqual(['Unreachable', 'NotMirrored', 'Busy']);
  expect(troubleOf({ answer: { v: 1, ok: true }, silent: false } as Parameters<typeof troubleOf>[0])).toBeUndefined();
});
