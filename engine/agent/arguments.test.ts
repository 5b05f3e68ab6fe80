import type { RevisionTool } from '../../crds/agent-revision.ts';
import { argumentProblems, modelArguments, schemaProblems } from './arguments.ts';

const tool: RevisionTool = {
  name: 'bank__pay', display: 'bank/pay', kind: 'mcp', server: 'bank', tool: 'pay', description: '', schemaHash: 'h', effect: 'AtMostOnce', risk: 'Normal', timeoutMs: 1_000, bind: { account: 'A-1' },
  inputSchema: { type: 'object', properties: { amount: { type: 'integer', minimum: 1 }, note: { type: 'string', pattern: '^[a-z ]*$' } }, required: ['amount'], additionalProperties: false },
};

test.each<readonly [string, RegExp | object]>([
  ['{"amount": 3}', { amount: 3, account: 'A-1' }], ['  {"amount": 3, "note": "for tea"}', { amount: 3, note: 'for tea', account: 'A-1' }], ['', /required/], ['{}', /required/], ['[]', /type: "object"/], ['null', /type: "object"/], ['{"amount": 0}', /minimum/],
  ['{"amount": 1.5}', /integer/], ['{"amount": 1, "account": "B-2"}', /additionalProperties/], ['{"amount": 1, "note": "A"}', /pattern/], ['{"amount": 1', /no JSON/], ['{"amount": 1, "__proto__": {"x": 1}}', /additionalProperties/], ['{"amount": 1, "constructor": 1}', /additionalProperties/],
])('a model writes %s', async (text, expected) => {
  const parsed = await modelArguments(tool, text);
  if (expected instanceof RegExp) expect(parsed).toMatchObject({ ok: false, problems: [expect.stringMatching(expected)] });
  else expect(parsed).toEqual({ ok: true, value: expected });
});

test('arguments nested without end, and those too large, are refused', async () => {
  const open: RevisionTool = { ...tool, inputSchema: { type: 'object' } };
  expect(await modelArguments(open, `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`)).toMatchObject({ ok: false, problems: [expect.stringMatching(/nested/)] });
  expect(await modelArguments(open, JSON.stringify({ a: 'x'.repeat(300_000) }))).toMatchObject({ ok: false, problems: [expect.stringMatching(/at most 262144/)] });
});

test.each(['[]', '"x"', '3', 'null'])('a schema that takes anything does not make arguments of %s', async (text) => {
  expect(await modelArguments({ ...tool, inputSchema: {} }, text)).toEqual({ ok: false, problems: ['the arguments are no JSON object'] });
});

test('a person edits all but what is preset', async () => {
  expect(await argumentProblems(tool, { amount: 2, account: 'A-1' })).toEqual([]);
  expect(await argumentProblems(tool, { amount: 2, account: 'B-2' })).toEqual(['arguments.account is preset by the agent and cannot be changed']);
  expect(await argumentProblems(tool, { amount: 2 })).toEqual(['arguments.account is preset by the agent and cannot be changed']);
  expect(await argumentProblems(tool, { amount: 'x', account: 'A-1' })).toEqual([expect.stringMatching(/arguments.amount is "x"/)]);
  for (const args of [null, [], 'x', 3]) expect(await argumentProblems(tool, args)).toHaveLength(1);
});

test('a broken schema is a problem, not an exception', async () => {
  expect(await schemaProblems({ type: 'strin' }, 1, 'result')).toEqual([expect.stringMatching(/schema of result is broken/)]);
  expect(await schemaProblems({ $ref: 'https://example.com/x' }, 1, 'result')).toEqual([expect.stringMatching(/leads nowhere/)]);
});
