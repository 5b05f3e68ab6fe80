import type { InputAnswers, InputQuestion } from '../../crds/agent-run.ts';
import { answerProblems, takeInQuestion } from './questions.ts';

const form = (properties: object, more: object = {}): object => ({ type: 'object', properties, ...more });

test('a form is taken in without markup, its names and values as they are', () => {
  expect(takeInQuestion('q', '<b>How</b> many?\u202e', form({ a: { type: 'string', title: '<i>A</i>', enum: ['<x>'] } }, { required: ['a'] }))).toEqual({
    question: { key: 'q', message: 'How many?', schema: { type: 'object', properties: { a: { type: 'string', title: 'A', enum: ['<x>'] } }, required: ['a'] } },
  });
});

test.each<[string, string, unknown, RegExp]>([
  ['no object', 'q', 'text', /asks for no object/], ['a list', 'q', { type: 'array' }, /asks for no object/], ['nothing', 'q', undefined, /asks for no object/],
  ['fields below fields', 'q', form({ a: form({}) }), /not flat: a/], ['a field that is none', 'q', form({ a: true }), /not flat/], ['no fields', 'q', { type: 'object', properties: [] }, /not flat/],
  ['a pattern that backtracks', 'q', form({ a: { type: 'string', pattern: '(a)\\1' } }), /is broken/], ['a remote reference', 'q', form({ a: { type: 'string', $ref: 'https://example.com/x' } }), /is broken/],
  ['too much', 'q', form({ a: { type: 'string', enum: Array.from({ length: 5_000 }, (_, i) => `value-${i}`) } }), /at most 32768/], ['a name without end', 'q'.repeat(200), form({}), /a name of 1 to 128/], ['no name', '', form({}), /a name of/],
])('%s is no form', (_what, key, schema, problem) => { expect(takeInQuestion(key, 'm', schema)).toMatchObject({ problem: expect.stringMatching(problem) }); });

const QUESTIONS: readonly InputQuestion[] = [
  { key: 'seats', message: '', schema: { type: 'object', properties: { n: { type: 'integer', maximum: 8 }, tags: { type: 'array', items: { type: 'string' } } }, required: ['n'] } }, { key: 'sure', message: '', schema: { type: 'object', properties: {} } },
];

test.each<[string, InputAnswers, readonly RegExp[]]>([
  ['all of it', { seats: { action: 'accept', content: { n: 2, tags: ['a'] } }, sure: { action: 'accept', content: {} } }, []], ['no to all of it', { seats: { action: 'decline' }, sure: { action: 'cancel' } }, []],
  ['half of it', { sure: { action: 'cancel' } }, [/answers.seats is missing/]], ['more than was asked', { seats: { action: 'cancel' }, sure: { action: 'cancel' }, __proto: { action: 'cancel' } }, [/answers.__proto: nobody asks that/]],
  ['what breaks the form', { seats: { action: 'accept', content: { n: 9 } }, sure: { action: 'cancel' } }, [/answers.seats.content.n/]], ['what is missing', { seats: { action: 'accept', content: {} }, sure: { action: 'cancel' } }, [/answers.seats.content/]],
  ['another field', { seats: { action: 'accept', content: { n: 1, x: 1 } }, sure: { action: 'cancel' } }, [/content.x: nobody asks that/]], ['content with a refusal', { seats: { action: 'decline', content: { n: 1 } }, sure: { action: 'cancel' } }, [/belongs to accept/]],
  ['no content', { seats: { action: 'accept' }, sure: { action: 'cancel' } }, [/content is missing/]], ['too much', { seats: { action: 'accept', content: { n: 1, tags: ['x'.repeat(70_000)] } }, sure: { action: 'cancel' } }, [/at most 65536 bytes/]],
])('%s', async (_what, answers, problems) => {
  const found = await answerProblems(QUESTIONS, answers);
  expect(found).toHaveLength(problems.length);
  for (const [i, problem] of problems.entries()) expect(found[i]).toMatch(problem);
});

test('a field named like a property of every object is a field like any other', async () => {
  const asked: readonly InputQuestion[] = [{ key: 'q', message: '', schema: { type: 'object', properties: { a: { type: 'string' } } } }];
  expect(await answerProblems(asked, { q: { action: 'accept', content: { constructor: 'x' } } })).toEqual(['answers.q.content.constructor: nobody asks that']);
});
