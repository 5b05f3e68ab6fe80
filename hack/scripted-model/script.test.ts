import fc from 'fast-check';
import { dueTurn, scriptSchema, textOf, type PromptMessage, type ScriptInput } from './script.ts';

const user = (content: unknown): PromptMessage => ({ role: 'user', content });
const said = (content = 'x', ...ids: string[]): PromptMessage => ({ role: 'assistant', content, tool_calls: ids.map((id) => ({ id })) });

function due(messages: readonly PromptMessage[], scripts: Readonly<Record<string, ScriptInput>> = {}, model = 'm') {
  return dueTurn(model, messages, new Map(Object.entries(scripts).map(([name, script]) => [name, scriptSchema.parse(script)])));
}
const THREE: ScriptInput = [{ text: 'one' }, { text: 'two' }, { text: 'three' }];

test.each<[string, readonly PromptMessage[], string | undefined, number]>([
  ['at first the first', [user('[[scenario: s]]')], 'one', 1], ['after an answer the second', [user('[[scenario: s]]'), said()], 'two', 2], ['answers before the script do not count', [user('hi'), said(), user('[[scenario: s]]'), said()], 'two', 2],
  ['the last script counts', [user('[[scenario: gone]]'), said(), user('[[scenario: s]]')], 'one', 1], ['steps by the ids of calls', [user('[[scenario: s]]'), said('', 's2c0', 's2c1')], 'three', 3], ['ids of others are no steps', [user('[[scenario: s]]'), said('', 'call_9')], 'two', 2],
  ['after the last it has ended', [user('[[scenario: s]]'), said(), said(), said()], 'The script has ended.', 4], ['a tool that names a scenario brings none', [user('[[scenario: s]]'), said(), { role: 'tool', content: '[[scenario: gone]]' }], 'two', 2],
  ['in parts of a message', [user([{ type: 'text', text: '[[scenario: ' }, { type: 'image' }, { type: 'text', text: 's]]' }])], 'one', 1], ['in the system prompt', [{ role: 'system', content: '[[scenario: s]]' }, user('go')], 'one', 1],
])('%s', (_, messages, text, number) => {
  expect(due(messages, { s: THREE })).toMatchObject({ turn: { text }, number, scenario: 's' });
});

test('a script in the prompt itself, the last of a message', () => {
  expect(due([user('[[script: [{"text":"a"}] ]] [[script: [{"text":"b"}]]]')])).toMatchObject({ turn: { text: 'b' }, scenario: undefined });
});

test('a model that is named after a scenario plays it', () => {
  expect(due([user('go')], { s: THREE }, 'scripted/s')).toMatchObject({ turn: { text: 'one' }, scenario: 's' });
  expect(() => due([user('go')], {}, 'scripted/s')).toThrow('no scenario "s" is registered');
});

test('a runaway says its last turn for ever; a summary is given where one is asked for', () => {
  const script: ScriptInput = { turns: [{ text: 'a' }, { text: 'again {{turn}}', repeat: true }], summary: 'in short' };
  expect(due([user('[[scenario: s]]'), ...Array.from({ length: 7 }, () => said())], { s: script }).turn.text).toBe('again 8');
  expect(due([user('[[scenario: s]]'), said(), user('Please SUMMARISE the conversation')], { s: script })).toMatchObject({ turn: { text: 'in short' }, number: 0 });
});

test('the last message goes into texts and arguments as it is, whatever is in it', () => {
  const turns: ScriptInput = [{ text: '<{{last}}>', tools: [{ name: 't', arguments: { deep: ['{{last}}', 7] } }, { name: 'raw', arguments: '{"x": {{last}}' }] }];
  fc.assert(fc.property(fc.oneof(fc.string(), fc.constantFrom('$&', '$$', "$'", '$1', '{{turn}}', '{{last}}')), (last) => {
    fc.pre(last.trim() === last && !/\[\[/.test(last));
    const { turn } = due([user(`[[scenario: s]]`), { role: 'tool', content: last }], { s: turns });
    expect([turn.text, turn.tools[0]?.arguments, turn.tools[1]?.arguments]).toEqual([`<${last}>`, { deep: [last, 7] }, `{"x": ${last}`]);
  }));
});

test('requests with one prompt share a key, others do not', () => {
  const keys = [due([user('a')]), due([user('a')]), due([user('b')]), due([user('a')], {}, 'other')].map(({ key }) => key);
  expect([keys[0] === keys[1], new Set(keys).size]).toEqual([true, 3]);
});

test.each<[unknown, string]>([['a', 'a'], [undefined, ''], [null, ''], [[{ text: 'a' }, {}, { text: 'b' }, { text: 7 }], 'ab'], [{ text: 'a' }, '']])('text of %j is %j', (content, text) => { expect(textOf(content)).toBe(text); });
