import type { RevisionGuardrail, RevisionTool } from '../../crds/agent-revision.ts';
import { guardText, type GuardContext, type Stage } from './guardrails.ts';
import type { ToolParts } from './parts.ts';

const tool: RevisionTool = {
  name: 'mail__send', display: 'mail/send', kind: 'mcp', server: 'mail', tool: 'send', description: '', inputSchema: { type: 'object' }, schemaHash: 'h', effect: 'AtMostOnce', risk: 'Normal', timeoutMs: 1, bind: {},
};
const context: GuardContext = { namespace: 'team-a', agentRun: 'r', callId: 's1c1', facts: { tool, arguments: { to: 'ada' }, run: { id: 'r', namespace: 'team-a', agent: 'helper', principal: 'p' } } };

function parts(answer?: (request: Record<string, unknown>, headers: Headers) => Response | Promise<Response>, judgeModel?: ToolParts['judgeModel']): Parameters<typeof guardText>[0] {
  return {
    fetchFor: () => async (_url, init) => answer === undefined ? Promise.reject(new Error('nobody')) : answer(JSON.parse(init?.body as string), new Headers(init?.headers)),
    secrets: { read: async () => 'the-key' }, judgeModel, log: { info: () => undefined, warn: () => undefined },
  };
}
const rail = (over: Partial<RevisionGuardrail>): RevisionGuardrail => ({ name: 'g', stage: 'ToolCall', action: 'Deny', ...over });
const json = (body: object, status = 200): Response => new Response(JSON.stringify(body), { status });
const guard = (stage: Stage, rails: readonly RevisionGuardrail[], text: string, given = parts()): ReturnType<typeof guardText> => guardText(given, stage, rails, text, context);

test.each<readonly [string, Partial<RevisionGuardrail>, object]>([
  ['a text that is fine', { cel: "text.contains('bad')" }, { ok: true, text: 'good', decisions: [] }],
  ['another stage', { cel: 'true', stage: 'ToolResult' }, { ok: true, decisions: [] }],
  ['another tool', { cel: 'true', tools: ['mail/read'] }, { ok: true, decisions: [] }],
  ['this tool', { cel: 'true', tools: ['mail/send'], message: 'no mail' }, { ok: false, message: 'guardrail g: no mail' }],
  ['an expression over arguments', { cel: "arguments.to == 'ada' && tool.changing" }, { ok: false }],
  ['an expression that cannot be evaluated', { cel: 'arguments.nothing > 1' }, { ok: false, message: expect.stringMatching(/could not be asked/) }],
  ['an approval', { cel: 'true', action: 'RequireApproval', message: 'look' }, { ok: true, ask: 'guardrail g: look' }],
  ['a change', { cel: 'true', action: 'Mutate', replace: { pattern: 'o+', with: '0' } }, { ok: true, text: 'g0d', decisions: [{ kind: 'GuardrailDecided', payload: { action: 'Mutate', replacement: 'g0d', callId: 's1c1' } }] }],
])('CEL: %s', async (_what, over, expected) => { expect(await guard('ToolCall', [rail(over)], 'good')).toMatchObject(expected); });

test('after a change those that follow see the new text, and no end of changes denies', async () => {
  const change = (n: number): RevisionGuardrail => rail({ name: `m${n}`, cel: 'true', action: 'Mutate', replace: { pattern: '$', with: `${n}` } });
  expect(await guard('ToolCall', [change(1), rail({ cel: "text == 'a1'" })], 'a')).toMatchObject({ ok: false });
  expect(await guard('ToolCall', [1, 2, 3].map(change), 'a')).toMatchObject({ ok: true, text: 'a123' });
  expect(await guard('ToolCall', [1, 2, 3, 4].map(change), 'a')).toMatchObject({ ok: false });
});

describe('webhook', () => {
  const hook = (over: Partial<RevisionGuardrail> = {}): RevisionGuardrail => rail({ webhook: { url: 'https://guard.example', timeoutMs: 1_000, credentialsRef: { name: 's', key: 'k' } }, ...over });

  test('sees the text, the tool and the key of the Secret', async () => {
    let seen: object = {};
    await guard('ToolCall', [hook()], 'good', parts((request, headers) => {
      seen = { ...request, authorization: headers.get('authorization') };
      return json({ action: 'Allow' });
    }));
    expect(seen).toMatchObject({ v: 1, stage: 'ToolCall', guardrail: 'g', text: 'good', tool: 'mail/send', arguments: { to: 'ada' }, authorization: 'Bearer the-key' });
  });

  test.each<readonly [string, () => Response, object]>([
    ['allows', () => json({ action: 'Allow' }), { ok: true }], ['denies', () => json({ action: 'Deny', message: 'spam' }), { ok: false, message: 'guardrail g: spam' }], ['changes', () => json({ action: 'Mutate', text: 'better' }), { ok: true, text: 'better' }],
    ['asks', () => json({ action: 'RequireApproval' }), { ok: true, ask: 'guardrail g' }], ['answers 500', () => json({ action: 'Allow' }, 500), { ok: false }], ['redirects', () => new Response(null, { status: 302, headers: { location: '/' } }), { ok: false }],
    ['answers nonsense', () => new Response('yes'), { ok: false }], ['answers another action', () => json({ action: 'Perhaps' }), { ok: false }], ['changes without a text', () => json({ action: 'Mutate' }), { ok: false }],
  ])('that %s', async (_what, answer, expected) => { expect(await guard('ToolCall', [hook()], 'good', parts(answer))).toMatchObject(expected); });

  test('that does not answer denies, and so does one that asks for an approval of a result', async () => {
    expect(await guard('ToolCall', [hook()], 'good')).toMatchObject({ ok: false, message: expect.stringMatching(/could not be asked \(nobody\)/) });
    expect(await guard('ToolResult', [hook({ stage: 'ToolResult' })], 'good', parts(() => json({ action: 'RequireApproval' })))).toMatchObject({ ok: false });
  });
});

test('a model denies what it flags, and denies where it cannot be asked', async () => {
  const rails = [rail({ model: { model: 'judge', instructions: 'Is it rude?' } })];
  expect(await guard('ToolCall', rails, 'good', parts(undefined, async () => ({ flagged: false })))).toMatchObject({ ok: true });
  expect(await guard('ToolCall', rails, 'bad', parts(undefined, async () => ({ flagged: true, message: 'rude' })))).toMatchObject({ ok: false, message: 'guardrail g: rude' });
  expect(await guard('ToolCall', rails, 'bad', parts(undefined, async () => Promise.reject(new Error('no budget'))))).toMatchObject({ ok: false });
  expect(await guard('ToolCall', rails, 'bad')).toMatchObject({ ok: false });
});
