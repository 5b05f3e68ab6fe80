import { agentSpecSchema } from '../../crds/agent.ts';
import type { KnownTool } from '../../crds/agent-revision.ts';
import { toolServerSpecSchema } from '../../crds/tool-server.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import type { AgentAnswer } from '../../platform/messages/agent-ask.ts';
import { agentStatus } from './agents.ts';
import { AGAIN_MS, Asks, type Answer } from './asks.ts';
import { conditionsOf, type Trouble } from './conditions.ts';
import { sameStatus, statusPatch, type AgentObject, type ToolServerObject } from './definition.ts';
import { egressProblem, stdioManifests, templateHash } from './stdio.ts';
import { toolServerStatus } from './tool-server-status.ts';
import type { Discovery } from './tool-servers.ts';
import { UsageRollUp, type UsageParts } from './usage.ts';

const OBJECT = { namespace: 'team-a', name: 'x', uid: 'u', generation: 1 };
const OK: AgentAnswer = { v: 1, ok: true, tools: [] };

describe('asking the gateway', () => {
  function asks(...answers: Answer[]): { readonly asks: Asks; readonly clock: ManualClock; readonly asked: () => number; look(question?: string): ReturnType<Asks['look']> } {
    const clock = new ManualClock(1_000);
    let asked = 0;
    const made = new Asks(clock, 'discover', async () => {
      asked++;
      return answers.shift() ?? { kind: 'Answered', answer: OK };
    });
    return { asks: made, clock, asked: () => asked, look: (question = 'q') => made.look('k', OBJECT, question, async () => undefined) };
  }
  const failed = (code: 'Unreachable' | 'NotMirrored'): Answer => ({ kind: 'Answered', answer: { v: 1, ok: false, error: { code, message: code } } });

  test('however often something wakes it, a question is asked once in ten minutes', async () => {
    const t = asks();
    expect(await t.look()).toMatchObject({ answer: { ok: true }, fresh: true, waitMs: AGAIN_MS });
    for (let i = 0; i < 100; i++) expect(await t.look()).toMatchObject({ answer: { ok: true }, fresh: false });
    expect(t.asked()).toBe(1);
    t.clock.advance(AGAIN_MS);
    await t.look();
    expect(t.asked()).toBe(2);
  });

  test('another question is asked at once and knows no answer of the one before', async () => {
    const t = asks({ kind: 'Answered', answer: OK }, { kind: 'NoGateway' });
    await t.look('a');
    expect(await t.look('b')).toEqual({ silent: true, fresh: false, waitMs: 5_000 });
  });

  test('a failure is asked again after 5, 10, 20 … 60 s; an answer that stood stays while nobody answers', async () => {
    const t = asks({ kind: 'Answered', answer: OK }, ...Array.from({ length: 6 }, (): Answer => ({ kind: 'NoGateway' })));
    await t.look();
    t.clock.advance(AGAIN_MS);
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      const { waitMs, answer, silent } = await t.look();
      expect([answer?.ok, silent]).toEqual([true, true]);
      waits.push(waitMs);
      t.clock.advance(waitMs);
    }
    expect(waits).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });

  test('a gateway that has not seen the mirror yet is asked again soon, and says nothing of the object', async () => {
    const t = asks(failed('NotMirrored'));
    expect(await t.look()).toEqual({ silent: false, fresh: false, waitMs: 1_000 });
    expect((await asks(failed('Unreachable')).look()).answer).toMatchObject({ ok: false, error: { code: 'Unreachable' } });
  });
});

describe('conditions', () => {
  const good = { reason: 'Resolved', message: 'fine' } as const;
  const of = (...troubles: Trouble[]): readonly string[] => conditionsOf(troubles, good, 2, [], 0).map(({ type, status, reason }) => `${type} ${status} ${reason}`);

  test.each<[string, Trouble[], string[]]>([
    ['nothing', [], ['Accepted True Valid', 'ResolvedRefs True Resolved', 'Ready True Resolved', 'Reconciling False Resolved', 'Stalled False Resolved']],
    ['the spec', [{ about: 'Accepted', reason: 'Invalid', message: 'm' }], ['Accepted False Invalid', 'ResolvedRefs True Resolved', 'Ready False Invalid', 'Reconciling False Invalid', 'Stalled True Invalid']],
    ['what passes by itself', [{ about: 'Ready', reason: 'Unreachable', message: 'm', passes: true }], ['Accepted True Valid', 'ResolvedRefs True Resolved', 'Ready False Unreachable', 'Reconciling True Unreachable', 'Stalled False Unreachable']],
    ['nothing known', [{ about: 'Ready', reason: 'GatewayUnavailable', message: 'm', passes: true, unknown: true }], ['Accepted True Valid', 'ResolvedRefs True Resolved', 'Ready Unknown GatewayUnavailable', 'Reconciling True GatewayUnavailable', 'Stalled False GatewayUnavailable']],
    ['one that passes and one that does not', [{ about: 'Ready', reason: 'Unreachable', message: 'm', passes: true }, { about: 'ResolvedRefs', reason: 'ModelNotFound', message: 'n' }], ['Accepted True Valid', 'ResolvedRefs False ModelNotFound', 'Ready False Unreachable', 'Reconciling False Unreachable', 'Stalled True Unreachable']],
  ])('%s', (_what, troubles, expected) => {
    expect(of(...troubles)).toEqual(expected);
  });

  test('messages of strangers are cleaned and bounded, in bytes too', () => {
    const [, , ready] = conditionsOf([{ about: 'Ready', reason: 'Unreachable', message: `<b>\u001b[31m${'名'.repeat(5_000)}` }], good, 1, [], 0);
    expect(ready?.message.startsWith('名')).toBe(true);
    expect(Buffer.byteLength(ready?.message ?? '')).toBeLessThan(710);
  });

  test('a status that differs by its clocks alone is the same; what it lost is taken away', () => {
    const before: { readonly observedGeneration: number; readonly conditions: readonly never[]; readonly lastProbe: string } = { observedGeneration: 1, conditions: [], lastProbe: 'a' };
    const later: typeof before = { conditions: [], observedGeneration: 1, lastProbe: 'b' };
    expect(sameStatus(before, later, ['lastProbe'])).toBe(true);
    expect(sameStatus(before, { ...before, observedGeneration: 2 }, ['lastProbe'])).toBe(false);
    expect(statusPatch(before, { observedGeneration: 2 })).toEqual({ observedGeneration: 2, conditions: null, lastProbe: null });
  });
});

describe('the status of a tool server', () => {
  const object: ToolServerObject = { ...OBJECT, resourceVersion: '1', labels: {}, annotations: {}, spec: toolServerSpecSchema.parse({ mcp: { url: 'https://tools.example.com/mcp' } }) };
  const tool = (name: string, more: Partial<KnownTool> = {}): KnownTool => ({ name, description: 'd', inputSchema: {}, schemaHash: 'f'.repeat(64), effect: 'KeyedIdempotent', risk: 'Normal', ...more });
  const discovery = (tools: readonly KnownTool[]): Discovery => ({ uid: 'u', known: { tools, accepted: {} }, discoveryHash: 'd'.repeat(64), acceptedHash: undefined, discoveredAt: 0 });

  test('stays below 8 KiB with 512 tools of the longest names and every message full, and names those that stopped first', () => {
    const tools = Array.from({ length: 512 }, (_, i) => tool(`${String(i).padStart(4, '0')}${'x'.repeat(124)}`, i === 500 ? { refused: { reason: 'ToolChanged', message: 'm' } } : {}));
    const troubles: readonly Trouble[] = [{ about: 'Ready', reason: 'ToolChanged', message: '名'.repeat(2_000) }, { about: 'ResolvedRefs', reason: 'ToolNotFound', message: '名'.repeat(2_000) }, { about: 'Accepted', reason: 'Invalid', message: '名'.repeat(2_000) }];
    const status = toolServerStatus(object, troubles, discovery(tools), undefined, 0);
    expect(Buffer.byteLength(JSON.stringify(status))).toBeLessThan(8_192);
    expect(status.tools?.[0]).toMatchObject({ name: tools[500]?.name, changed: true });
    expect(status).toMatchObject({ toolCount: 511 });
  });

  test('its pods are closed, and its own', () => {
    const manifests = stdioManifests(object, { image: 'i', args: ['a'] }, { bridgeImage: 'b', dns: [] });
    expect(manifests.map(({ kind }) => kind)).toEqual(['Deployment', 'Service', 'NetworkPolicy']);
    for (const manifest of manifests) expect(manifest).toMatchObject({ metadata: { name: 'rambo-tools-x', namespace: 'team-a', ownerReferences: [{ kind: 'ToolServer', uid: 'u', controller: true }] } });
    expect(JSON.stringify(manifests)).not.toContain('privileged');
  });

  const policyOf = (egress: readonly string[] | undefined, gatewayNamespace?: string): unknown => stdioManifests(
    { ...object, spec: toolServerSpecSchema.parse({ mcp: { stdio: { image: 'i', args: ['a'] } }, egress }) }, { image: 'i', args: ['a'] }, { bridgeImage: 'b', dns: [{ ports: [{ port: 53 }] }], gatewayNamespace },
  ).find(({ kind }) => kind === 'NetworkPolicy')?.['spec'];

  test('its pods are called by the model gateway of the installation alone, and reach DNS and what their owner lists', () => {
    expect(policyOf(undefined, 'rambo-system')).toEqual({
      podSelector: { matchLabels: { 'rambo.dev/tool-server': 'x' } }, policyTypes: ['Ingress', 'Egress'], egress: [{ ports: [{ port: 53 }] }],
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'rambo-system' } }, podSelector: { matchLabels: { 'app.kubernetes.io/component': 'modelgateway' } } }], ports: [{ port: 8_080, protocol: 'TCP' }] }],
    });
    expect(policyOf(['203.0.113.7', '10.1.2.3/16', '0.0.0.0/0', '::/0'])).toMatchObject({ egress: [
      { ports: [{ port: 53 }] }, { to: [{ ipBlock: { cidr: '203.0.113.7/32' } }] }, { to: [{ ipBlock: { cidr: '10.1.0.0/16' } }] },
      { to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] } }] }, { to: [{ ipBlock: { cidr: '::/0', except: ['fe80::/10'] } }] },
    ] });
  });

  test('another list is another template', () => {
    const hash = (egress: readonly string[] | undefined): string => templateHash({ ...object, spec: toolServerSpecSchema.parse({ mcp: { stdio: { image: 'i', args: ['a'] } }, egress }) }, { bridgeImage: 'b', dns: [] });
    expect(new Set([hash(undefined), hash(['10.0.0.0/8']), hash(['10.0.0.0/16'])]).size).toBe(3);
  });

  test.each([[['api.example.com']], [['*']], [['169.254.169.254']], [['10.0.0.0/8', 'fe80::1']]])('a NetworkPolicy cannot carry out %j, so it is refused and opens nothing', (egress) => {
    expect(egressProblem(egress)).toMatch(/a NetworkPolicy has no names/);
    expect(JSON.stringify(policyOf(egress))).not.toMatch(/169\.254|fe80|example/);
  });
});

describe('the status of an agent', () => {
  const object: AgentObject = { ...OBJECT, resourceVersion: '1', labels: {}, annotations: {}, spec: agentSpecSchema.parse({ modelRef: { name: 'm' } }) };

  test('says which revision serves on', () => {
    const troubles: readonly Trouble[] = [{ about: 'ResolvedRefs', reason: 'ModelNotFound', message: 'no model' }];
    const status = agentStatus(object, { troubles, resolved: { ok: false, problems: [] }, stable: 'abcdef0123456789', usage: undefined, now: 0 });
    expect(status).toMatchObject({ stableRevision: 'abcdef0123456789', conditions: expect.arrayContaining([expect.objectContaining({ type: 'Ready', message: 'no model (revision abcdef012345 serves on)' })]) as unknown });
    expect(status.desiredRevision).toBeUndefined();
  });
});

describe('usage', () => {
  const DAY = 86_400_000;
  const NOON = Date.UTC(2026, 10, 26, 12);

  function rollUp(): { readonly usage: UsageRollUp; readonly clock: ManualClock; readonly asked: (readonly [string, number])[]; readonly changed: string[]; readonly spans: object[]; spent: string[]; total: number; ended: number } {
    const clock = new ManualClock(NOON);
    const t = { clock, asked: [] as (readonly [string, number])[], changed: [] as string[], spent: [] as string[], spans: [] as object[], total: 1, ended: 0 };
    const none = { runs: 0, input: 0, output: 0, modelCalls: 0, toolCalls: 0, nano: 0n };
    const store: UsageParts['store'] = {
      spentSince: async (_keys, day, since) => { t.asked.push([day, since]); return t.spent; },
      settled: async (_namespace, _name, span) => { t.spans.push(span); return { ...none, runs: t.ended, nano: BigInt(t.ended) }; },
      open: async (_namespace, _name, { from }) => { t.spans.push({ from }); return { ...none, runs: t.total }; },
    };
    return Object.assign(t, { usage: new UsageRollUp({ clock, agents: () => ['team-a/x'], store, changed: (key) => { t.changed.push(key); } }) });
  }

  test('only what was spent since the last look is summed, and only another sum is told', async () => {
    const t = rollUp();
    await t.usage.look();
    expect([t.asked, t.changed]).toEqual([[['2026-11-26', NOON - DAY / 2]], []]);
    t.spent.push('team-a/x');
    for (let i = 0; i < 3; i++) {
      t.clock.advance(60_000);
      await t.usage.look();
    }
    expect(t.changed).toEqual(['team-a/x']);
    expect(t.asked.at(-1)).toEqual(['2026-11-26', NOON + 120_000 - 5_000]);
    t.total = 2;
    await t.usage.look();
    expect([t.changed, t.usage.of('team-a/x')?.runs]).toEqual([['team-a/x', 'team-a/x'], 2]);
  });

  test('runs that ended are read once, those that ended lately each time; a new month begins at nothing', async () => {
    const t = rollUp();
    t.spent.push('team-a/x');
    t.ended = 10;
    const month = Date.UTC(2026, 10, 1);
    await t.usage.look();
    t.clock.advance(60_000);
    await t.usage.look();
    const lag = 120_000;
    expect(t.spans).toEqual([
      { since: month, from: month, to: NOON - lag }, { from: NOON - lag },
      { since: month, from: NOON - lag, to: NOON + 60_000 - lag }, { from: NOON + 60_000 - lag },
    ]);
    expect(t.usage.of('team-a/x')).toMatchObject({ runs: 21, costUsd: '0.00000002' });
    t.spans.length = 0;
    t.clock.advance(5 * DAY);
    await t.usage.look();
    const december = Date.UTC(2026, 11, 1);
    expect([t.spans[0], t.usage.of('team-a/x')?.runs]).toEqual([{ since: december, from: december, to: NOON + 60_000 + 5 * DAY - lag }, 11]);
  });

  test('whoever takes over counts the month anew', async () => {
    const t = rollUp();
    t.spent.push('team-a/x');
    t.ended = 10;
    await t.usage.look();
    t.usage.forget();
    await t.usage.look();
    expect([t.usage.of('team-a/x')?.runs, t.spans[2]]).toEqual([11, t.spans[0]]);
  });

  test('the first look after midnight sees what was booked just before it', async () => {
    const t = rollUp();
    await t.usage.look();
    t.clock.advance(DAY / 2 + 1_000);
    await t.usage.look();
    expect(t.asked.slice(1).map(([day]) => day)).toEqual(['2026-11-26', '2026-11-26', '2026-11-27'].slice(1));
  });
});
