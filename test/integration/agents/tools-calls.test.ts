import { INJECTION } from '../../../hack/tool-servers/mcp-tools.ts';
import { FIXTURE_CLIENT, FIXTURE_KEY } from '../../../hack/tool-servers/tool-servers.ts';
import { appendToAgentRun } from '../../../prisma/store/index.ts';
import { until } from '../prisma/fixture.ts';
import { SECRETS, textOf, toolsWorld, type Gateway, type ToolsWorld } from './tools-kit.ts';

let world: ToolsWorld;
let gateway: Gateway;
beforeAll(async () => {
  world = await toolsWorld();
  gateway = world.gateway();
  await world.mirror('box', {
    mcp: { url: world.servers.mcp },
    tools: [
      { name: 'add', effect: 'ReadOnly', cacheTTL: '60s' }, { name: 'count', effect: 'KeyedIdempotent', idempotency: { meta: 'idempotencyKey' } }, { name: 'slow', effect: 'ReadOnly', timeout: '300ms' },
      { name: 'charge', effect: 'AtMostOnce', risk: 'Normal', timeout: '700ms' }, { name: 'big', effect: 'ReadOnly' }, { name: 'weather', effect: 'ReadOnly' }, { name: 'fail', effect: 'ReadOnly' },
      { name: 'structured', effect: 'ReadOnly' }, { name: 'create', effect: 'Reconcilable', timeout: '700ms', reconcile: { tool: 'lookup', arguments: { order: '${{ arguments.order }}' } } }, { name: 'lookup', effect: 'ReadOnly' },
      { name: 'changing', effect: 'ReadOnly' },
    ],
  });
});
afterAll(async () => { await world.close(); });
beforeEach(() => { world.servers.reset(); });

const BOX = { tools: [{ toolServerRef: { name: 'box' } }] };

describe('a call', () => {
  test('is journaled before and after, and answered again from the journal', async () => {
    const run = await world.begin(BOX, [['box__add', { a: 2, b: 3 }]]);
    const first = await gateway.ask(run, 's1c1');
    expect(first).toEqual({ status: 200, body: { status: 'completed', result: { text: '5', isError: false, truncated: false } } });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'ToolCompleted']);
    expect(await gateway.ask(run, 's1c1')).toEqual(first);
    expect(await world.gateway().ask(run, 's1c1')).toEqual(first);
    expect(world.servers.hits().calls).toEqual({ add: 1 });
    expect(await world.row(run)).toMatchObject({ toolCalls: 1, awaited: 0 });
  });

  test('asked for many times at once is made once', async () => {
    const run = await world.begin(BOX, [['box__charge', { amount: 1 }]]);
    const other = world.gateway();
    const answers = await Promise.all([gateway, other, gateway, other, gateway].map((one) => one.ask(run, 's1c1')));
    expect(new Set(answers.map(textOf))).toEqual(new Set(['charged 1, charge 1']));
    expect(world.servers.hits().effects).toEqual({ charge: 1 });
    expect((await world.kinds(run)).filter((kind) => kind === 'ToolDispatched')).toHaveLength(1);
  });

  test('of the same arguments is served from memory while its cacheTTL lasts', async () => {
    const [one, two] = [await world.begin(BOX, [['box__add', { a: 20, b: 30 }]]), await world.begin(BOX, [['box__add', { b: 30, a: 20 }]])];
    expect([textOf(await gateway.ask(one, 's1c1')), textOf(await gateway.ask(two, 's1c1'))]).toEqual(['50', '50']);
    expect(world.servers.hits().calls).toEqual({ add: 1 });
    expect(await world.kinds(two)).toEqual(['ToolRequested', 'ToolCompleted']);
  });

  test('in parallel with others goes on beside them, and no more at once than the agent allows', async () => {
    await world.mirror('lazy', { mcp: { url: world.servers.mcp }, tools: [{ name: 'slow', effect: 'ReadOnly' }] });
    const run = await world.begin({ tools: [{ toolServerRef: { name: 'lazy', include: ['slow'] } }], limits: { parallelTools: 2, repeatWindow: 100 } }, Array.from({ length: 4 }, (_, i) => ['lazy__slow', { ms: 300 + i }] as const));
    const begun = performance.now();
    const answers = await Promise.all([1, 2, 3, 4].map((n) => gateway.ask(run, `s1c${n}`)));
    expect(answers.map(textOf)).toEqual(['done', 'done', 'done', 'done']);
    expect(performance.now() - begun).toBeGreaterThan(590);
    let open = 0;
    let most = 0;
    for (const { kind } of await world.journal(run)) {
      if (kind === 'ToolDispatched') open += 1;
      if (kind === 'ToolCompleted') open -= 1;
      most = Math.max(most, open);
    }
    expect(most).toBe(2);
  });

  test('is given up when its run ends, long before its time, and is not sent again', async () => {
    await world.mirror('lazy', { mcp: { url: world.servers.mcp }, tools: [{ name: 'slow', effect: 'ReadOnly' }] });
    const run = await world.begin({ tools: [{ toolServerRef: { name: 'lazy', include: ['slow'] } }] }, [['lazy__slow', { ms: 50_000 }]]);
    const begun = performance.now();
    const asked = gateway.ask(run, 's1c1');
    await until(() => Promise.resolve(world.servers.hits().calls['slow'] === 1), 'the call');
    await appendToAgentRun(world.fixture.db, run.id, Date.now(), async () => ({ events: [{ kind: 'RunCompleted', payload: { phase: 'Cancelled' } }], set: { phase: 'Cancelled' }, result: undefined }));
    expect(await asked).toMatchObject({ body: { error: { code: 'Ended' } } });
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect([gateway.half.busy(), world.servers.hits().calls['slow'], (await world.kinds(run)).at(-1)]).toEqual([0, 1, 'RunCompleted']);
    expect(await world.sql('SELECT state FROM agent_call WHERE agent_run = $1::uuid', [run.id])).toEqual([{ state: 'Completed' }]);
  });

  test('is fenced once a later attempt has the run', async () => {
    const run = await world.begin(BOX, [['box__add', { a: 1, b: 1 }]]);
    await world.sql('UPDATE agent_run SET epoch = 2 WHERE id = $1::uuid', [run.id]);
    expect(await gateway.ask(run, 's1c1')).toMatchObject({ status: 409, body: { error: { code: 'Fenced' } } });
    expect(await gateway.ask(run, 's1c1', { attempt: 2 })).toMatchObject({ status: 200 });
  });

  test('that the model never asked for is refused, whatever the runner says', async () => {
    const run = await world.begin(BOX, [['box__add', { a: 1, b: 1 }]]);
    for (const [callId, step] of [['s1c2', 1], ['s1c1', 2], ['s9c1', 9]] as const) expect(await gateway.ask(run, callId, { step })).toMatchObject({ status: 400, body: { error: { code: 'Invalid' } } });
    expect(await world.kinds(run)).toEqual([]);
  });
});

describe('what a model may get wrong', () => {
  test.each<readonly [string, string, unknown, RegExp]>([
    ['no such tool', 'box__nothing', {}, /There is no tool "box__nothing"/], ['arguments that are no JSON', 'box__add', '{"a": 1,', /no JSON/], ['no object', 'box__add', '[1]', /type: "object"/],
    ['a missing argument', 'box__add', { a: 1 }, /required/], ['one of another type', 'box__add', { a: 1, b: '2' }, /arguments.b is "2"/], ['one too many', 'box__add', { a: 1, b: 2, c: 3 }, /additionalProperties/],
  ])('%s comes back as an error and is never sent', async (_what, tool, args, text) => {
    const run = await world.begin(BOX, [[tool, args]]);
    expect(await gateway.ask(run, 's1c1')).toMatchObject({ status: 200, body: { status: 'completed', result: { isError: true, text: expect.stringMatching(text) } } });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolCompleted']);
    expect(world.servers.hits().calls).toEqual({});
  });

  test('the same call again and again ends the run', async () => {
    const run = await world.begin({ ...BOX, limits: { repeatWindow: 3 } }, [['box__weather', {}]]);
    await gateway.ask(run, 's1c1');
    await world.answer(run, 2, [['box__weather', {}]]);
    await gateway.ask(run, 's2c1');
    await world.answer(run, 3, [['box__weather', {}]]);
    expect(await gateway.ask(run, 's3c1')).toMatchObject({ status: 409, body: { error: { code: 'Ended' }, ended: { phase: 'Failed', reason: 'RepeatedCall' } } });
    expect(world.servers.hits().calls).toEqual({ weather: 2 });
  });
});

describe('what a tool may get wrong', () => {
  test('an error of the tool goes to the model', async () => {
    const run = await world.begin(BOX, [['box__fail', {}]]);
    expect(await gateway.ask(run, 's1c1')).toMatchObject({ body: { result: { isError: true, text: 'the disk is full' } } });
  });

  test('a result that breaks its outputSchema is not handed on', async () => {
    world.servers.set({ lyingOutput: true });
    const run = await world.begin(BOX, [['box__structured', {}]]);
    const answer = await gateway.ask(run, 's1c1');
    expect(answer).toMatchObject({ body: { result: { isError: true } } });
    expect(textOf(answer)).toMatch(/not what the tool promises.*celsius/);
  });

  test('20 MiB are kept whole in the object store, and the model gets 64 KiB', async () => {
    const kept = new Map<string, Buffer>();
    const own = world.gateway({ objects: { put: async (key, body) => { kept.set(key, Buffer.from(body)); } } });
    const run = await world.begin(BOX, [['box__big', { bytes: 20 * 1_048_576 }]]);
    const answer = await own.ask(run, 's1c1');
    expect(answer).toMatchObject({ body: { result: { isError: false, truncated: true } } });
    expect(Buffer.byteLength(textOf(answer))).toBeLessThanOrEqual(65_536);
    const completed = (await world.journal(run)).at(-1);
    expect(completed).toMatchObject({ kind: 'ToolCompleted', payload: { bytes: 20 * 1_048_576, truncated: true, ref: { bytes: 20 * 1_048_576 } } });
    expect([...kept.values()].map(({ length }) => length)).toEqual([20 * 1_048_576]);
    expect(JSON.stringify(completed).length).toBeLessThan(80_000);
  });

  test('without an object store the result is cut, and says so', async () => {
    const run = await world.begin(BOX, [['box__big', { bytes: 100_000 }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/\[cut: 100000 bytes in all; the rest was not kept\]$/);
  });

  test('over 32 MiB is read no further', async () => {
    const run = await world.begin(BOX, [['box__big', { bytes: 67_000_000 }]]);
    const answer = await gateway.ask(run, 's1c1');
    expect(textOf(answer)).toMatch(/cut: 67000000 bytes|over 32 MiB/);
    expect((await world.journal(run)).at(-1)).not.toMatchObject({ payload: { ref: expect.anything() } });
  });

  test('a schema that changed stops the tool until it is accepted', async () => {
    const run = await world.begin(BOX, [['box__changing', { v1: 'x' }], ['box__changing', { v1: 'x' }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toContain('changing was called');
    world.servers.set({ schemaVersion: 2 });
    const spec = { mcp: { url: world.servers.mcp }, tools: [{ name: 'changing', effect: 'ReadOnly' }] };
    expect((await world.mirror('box', spec)).find(({ name }) => name === 'changing')).toMatchObject({ refused: { reason: 'ToolChanged' } });
    expect(textOf(await world.gateway().ask(run, 's1c2'))).toMatch(/ToolChanged/);
    // Accepted, the run of the old revision still does not get the new tool.
    await world.mirror('box', spec, 'any');
    const again = await world.begin({ tools: [{ toolServerRef: { name: 'box', include: ['changing'] } }] }, [['box__changing', { v2: 'x' }]]);
    expect(textOf(await world.gateway().ask(again, 's1c1'))).toContain('changing was called');
    world.servers.reset();
    await restore();
  });

  test('what a result asks for is decided by the policy all the same', async () => {
    const run = await world.begin({ ...BOX, policy: [{ match: "tool.name == 'box/charge'", decision: 'Deny', message: 'no money' }] }, [['box__weather', {}]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe(INJECTION);
    await world.answer(run, 2, [['box__charge', { amount: 1_000_000 }]]);
    expect(textOf(await gateway.ask(run, 's2c1'))).toMatch(/not allowed.*no money/);
    expect(world.servers.hits().effects).toEqual({});
  });
});

async function restore(): Promise<void> {
  await world.mirror('box', {
    mcp: { url: world.servers.mcp },
    tools: [
      { name: 'add', effect: 'ReadOnly', cacheTTL: '60s' }, { name: 'count', effect: 'KeyedIdempotent', idempotency: { meta: 'idempotencyKey' } }, { name: 'slow', effect: 'ReadOnly', timeout: '300ms' },
      { name: 'charge', effect: 'AtMostOnce', risk: 'Normal', timeout: '700ms' }, { name: 'big', effect: 'ReadOnly' }, { name: 'weather', effect: 'ReadOnly' }, { name: 'fail', effect: 'ReadOnly' },
      { name: 'structured', effect: 'ReadOnly' }, { name: 'create', effect: 'Reconcilable', timeout: '700ms', reconcile: { tool: 'lookup', arguments: { order: '${{ arguments.order }}' } } }, { name: 'lookup', effect: 'ReadOnly' },
      { name: 'changing', effect: 'ReadOnly' },
    ],
  }, 'any');
  gateway = world.gateway();
}

describe('effect classes where the answer is lost', () => {
  test('KeyedIdempotent is sent again with the same key: the effect happens once', async () => {
    world.servers.set({ breakAfterCommit: 1 });
    const run = await world.begin(BOX, [['box__count', { note: 'x' }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('count is 1');
    const { calls, effects, keys, seenKeys } = world.servers.hits();
    expect({ calls, effects }).toEqual({ calls: { count: 2 }, effects: { count: 1 } });
    expect(new Set(seenKeys).size).toBe(1);
    expect(Object.keys(keys)).toEqual([(await world.journal(run)).flatMap((event) => (event.kind === 'ToolRequested' ? [event.payload.key] : []))[0]]);
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'ToolDispatched', 'ToolCompleted']);
  });

  test.each(['breakAfterCommit', 'hangAfterCommit'] as const)('AtMostOnce is in doubt after %s, and never sent again', async (what) => {
    world.servers.set({ [what]: 1 });
    const run = await world.begin(BOX, [['box__charge', { amount: 7 }]]);
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(await world.gateway().ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'ToolInDoubt']);
    expect(world.servers.hits().effects).toEqual({ charge: 1 });
    expect(await world.row(run)).toMatchObject({ awaited: 1 });
  });

  test('Reconcilable is looked up by its probe, and what that says is the result', async () => {
    world.servers.set({ hangAfterCommit: 1 });
    const run = await world.begin(BOX, [['box__create', { order: 'o-1' }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/lookup, asked what came of it, says: order o-1 was created 1 time/);
    expect(world.servers.hits().effects).toEqual({ create: 1 });
  });

  test('a ReadOnly tool that never answers in time is an error the model sees', async () => {
    const run = await world.begin(BOX, [['box__slow', { ms: 5_000 }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/no answer in time.*may be called again/);
    expect(world.servers.hits().calls).toEqual({ slow: 3 });
  });
});

describe('effect classes where the gateway dies in the middle of a call', () => {
  /** A gateway that has sent the call and is gone: it neither renews its lease, nor hears the answer, nor writes anything. */
  async function killedIn(run: Awaited<ReturnType<ToolsWorld['begin']>>): Promise<void> {
    const { db } = world.fixture;
    let dead = false;
    const never = <T>(): Promise<T> => new Promise(() => undefined);
    const dying = world.gateway({
      db: { ...db, query: (statement, values) => (dead ? never() : db.query(statement, values)), transaction: (work) => (dead ? never() : db.transaction(work)) },
      fetchFor: () => async (input, init) => {
        const response = await fetch(input, { ...init, signal: null });
        return typeof init?.body === 'string' && init.body.includes('tools/call') ? never<Response>() : response;
      },
    });
    void dying.ask(run, 's1c1').catch(() => undefined);
    // Of this run: on a slow machine a call of the test before may still arrive.
    await until(async () => (await world.kinds(run)).includes('ToolDispatched'), 'the call is dispatched');
    await until(async () => (await world.journal(run)).some((event) => event.kind === 'ToolRequested' && Object.hasOwn(world.servers.hits().calls, event.payload.tool.replace('box__', ''))), 'the server has it');
    dead = true;
    await dying.half.close();
    await world.sql("UPDATE agent_call SET holder_until = now() - interval '1 second' WHERE agent_run = $1::uuid", [run.id]);
  }

  test('a call that somebody holds is waited for, not made again', async () => {
    const run = await world.begin(BOX, [['box__charge', { amount: 3 }]]);
    await killedIn(run);
    await world.sql("UPDATE agent_call SET holder_until = now() + interval '1200 milliseconds' WHERE agent_run = $1::uuid", [run.id]);
    const begun = performance.now();
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(performance.now() - begun).toBeGreaterThan(900);
  });

  test.each<readonly [string, string, object, RegExp]>([
    ['ReadOnly runs again', 'box__weather', {}, /sunny/], ['KeyedIdempotent runs again with its key', 'box__count', { note: 'y' }, /count is 1/],
    ['Reconcilable is looked up', 'box__create', { order: 'o-2' }, /lookup, asked what came of it/],
  ])('%s', async (_what, tool, args, text) => {
    const run = await world.begin(BOX, [[tool, args]]);
    await killedIn(run);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(text);
    for (const times of Object.values(world.servers.hits().effects)) expect(times).toBe(1);
  });

  test('AtMostOnce is in doubt', async () => {
    const run = await world.begin(BOX, [['box__charge', { amount: 3 }]]);
    await killedIn(run);
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(world.servers.hits().effects).toEqual({ charge: 1 });
  });

  test('a holder that was only slow brings its answer after all, and the doubt is over', async () => {
    world.servers.set({ hangAfterCommit: 1 });
    await world.mirror('patient', { mcp: { url: world.servers.mcp }, tools: [{ name: 'charge', effect: 'AtMostOnce', risk: 'Normal', timeout: '30s' }] });
    const run = await world.begin({ tools: [{ toolServerRef: { name: 'patient', include: ['charge'] } }] }, [['patient__charge', { amount: 9 }]]);
    const slow = world.gateway();
    const waiting = slow.ask(run, 's1c1');
    await until(async () => (world.servers.hits().effects['charge'] ?? 0) === 1, 'the server has it');
    await world.sql("UPDATE agent_call SET holder_until = now() - interval '1 second' WHERE agent_run = $1::uuid", [run.id]);
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    world.servers.release();
    expect(textOf(await waiting)).toBe('charged 9, charge 1');
    expect(await world.row(run)).toMatchObject({ awaited: 0 });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'ToolInDoubt', 'ToolCompleted']);
  });
});

describe('servers', () => {
  test('three replicas behind a round robin are one server', async () => {
    await world.mirror('many', { mcp: { url: world.servers.replicatedMcp }, tools: [{ name: 'count', effect: 'KeyedIdempotent', idempotency: { argument: 'idempotencyKey' } }] });
    world.servers.set({ breakAfterCommit: 2 });
    const run = await world.begin({ tools: [{ toolServerRef: { name: 'many', include: ['count'] } }] }, [['many__count', { note: 'a' }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('count is 1');
    expect(world.servers.hits()).toMatchObject({ calls: { count: 3 }, effects: { count: 1 } });
    expect(Object.keys(world.servers.hits().replicas)).toEqual(expect.arrayContaining(['a', 'b', 'c']));
  });

  test('one of 2025 with sessions works, also after it forgot them', async () => {
    await world.mirror('old', { mcp: { url: world.servers.legacyMcp }, tools: [{ name: 'add', effect: 'ReadOnly' }] });
    const agent = { tools: [{ toolServerRef: { name: 'old', include: ['add'] } }] };
    const [one, two] = [await world.begin(agent, [['old__add', { a: 1, b: 2 }]]), await world.begin(agent, [['old__add', { a: 2, b: 2 }]])];
    expect(textOf(await gateway.ask(one, 's1c1'))).toBe('3');
    expect(textOf(await gateway.ask(two, 's1c1'))).toBe('4');
  });

  test.each<readonly [string, () => object, string]>([
    ['that nobody answers at', () => ({ mcp: { url: 'http://127.0.0.1:9/mcp' } }), 'Unreachable'], ['that redirects', () => ({ mcp: { url: world.servers.redirectMcp } }), 'ProtocolError'],
    ['that is no MCP server', () => ({ mcp: { url: `${world.servers.api}/nothing` } }), 'ProtocolError'], ['that lacks its Secret', () => ({ mcp: { url: world.servers.secureMcp }, auth: { secret: { secretRef: { name: 'gone' } } } }), 'SecretNotFound'],
    ['that refuses its credentials', () => ({ mcp: { url: world.servers.secureMcp } }), 'AuthFailed'], ['of a user each', () => ({ mcp: { url: world.servers.secureMcp }, auth: { tokenExchange: { tokenUrl: world.servers.tokenUrl } } }), 'ConfigInvalid'],
    ['at a private address', () => ({ mcp: { url: 'http://10.1.2.3/mcp' } }), 'AddressRefused'], ['at the address of the cloud', () => ({ mcp: { url: 'http://169.254.169.254/mcp' } }), 'AddressRefused'],
    ['outside its own egress', () => ({ mcp: { url: world.servers.mcp }, egress: ['example.com'] }), 'AddressRefused'],
  ])('one %s is a condition with a reason', async (_what, spec, code) => {
    await expect(world.mirror('bad', spec())).rejects.toMatchObject({ code });
  });

  test('one that offers 10,000 tools is refused before all are read', async () => {
    world.servers.set({ manyTools: 10_000 });
    await expect(world.mirror('flood', { mcp: { url: world.servers.mcp } })).rejects.toMatchObject({ code: 'TooManyTools' });
  });

  test('names that collide, carry markup or have no schema are refused one by one', async () => {
    world.servers.set({ brokenSchema: true });
    const tools = await world.mirror('odd', { mcp: { url: world.servers.mcp } });
    expect(tools.filter(({ refused }) => refused !== undefined).map(({ refused }) => (refused as { reason: string }).reason).sort()).toEqual(['NameInvalid', 'NameInvalid', 'NameInvalid', 'SchemaInvalid']);
    expect(tools.length).toBeGreaterThan(10);
  });

  test('credentials go to the server and nowhere else', async () => {
    SECRETS.set('box/apiKey', FIXTURE_KEY);
    SECRETS.set('client/secret', FIXTURE_CLIENT.secret);
    const url = world.servers.secureMcp;
    await world.mirror('keyed', { mcp: { url }, auth: { secret: { secretRef: { name: 'box' } } }, tools: [{ name: 'add', effect: 'ReadOnly' }] });
    await world.mirror('oauth', { mcp: { url }, auth: { clientCredentials: { tokenUrl: world.servers.tokenUrl, clientId: FIXTURE_CLIENT.id, clientSecretRef: { name: 'client', key: 'secret' } } }, tools: [{ name: 'add', effect: 'ReadOnly' }] });
    for (const name of ['keyed', 'oauth']) {
      const run = await world.begin({ tools: [{ toolServerRef: { name, include: ['add'] } }] }, [[`${name}__add`, { a: 1, b: 1 }]]);
      const answer = await gateway.ask(run, 's1c1');
      expect(textOf(answer)).toBe('2');
      expect(JSON.stringify([answer, await world.journal(run)])).not.toMatch(/fixture-(key|secret|token)/);
    }
  });
});

describe('operations over HTTP', () => {
  const operations = [
    { name: 'order', description: 'Orders.', method: 'POST', path: '/orders', inputSchema: { type: 'object', properties: { order: { type: 'string' } }, required: ['order'] } },
    { name: 'look', description: 'Looks.', method: 'GET', path: '/orders/{order}', query: ['verbose'], inputSchema: { type: 'object', properties: { order: { type: 'string' }, verbose: { type: 'boolean' } } } },
    { name: 'away', description: 'Redirects.', method: 'POST', path: '/redirect' }, { name: 'broken', description: 'Breaks.', method: 'POST', path: '/broken' },
  ];
  beforeAll(async () => { await world.mirror('shop', { http: { baseUrl: world.servers.api, operations }, tools: [{ name: 'order', effect: 'KeyedIdempotent' }] }); });
  const SHOP = { tools: [{ toolServerRef: { name: 'shop' } }] };

  test('path, query, body and key go where they belong', async () => {
    const run = await world.begin(SHOP, [['shop__order', { order: 'a/b ../c' }], ['shop__look', { order: 'a/b ../c', verbose: true }]]);
    world.servers.set({ breakAfterCommit: 1 });
    expect(JSON.parse(textOf(await gateway.ask(run, 's1c1')))).toEqual({ order: 'a/b ../c', count: 1 });
    expect(JSON.parse(textOf(await gateway.ask(run, 's1c2')))).toEqual({ order: 'a/b ../c', count: 1, verbose: 'true' });
    expect(world.servers.hits()).toMatchObject({ calls: { 'POST /orders': 2 }, effects: { 'POST /orders': 1 } });
  });

  test('what it answers is told: not found, a redirect, a breakdown', async () => {
    const run = await world.begin(SHOP, [['shop__look', { order: 'nope' }], ['shop__look', { order: '..' }], ['shop__away', {}], ['shop__broken', {}]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/^HTTP 404/);
    expect(textOf(await gateway.ask(run, 's1c2'))).toMatch(/cannot stand in the path/);
    expect(textOf(await gateway.ask(run, 's1c3'))).toMatch(/redirects are not followed/);
    expect(await gateway.ask(run, 's1c4')).toMatchObject({ body: { status: 'waiting', why: 'inDoubt' } });
  });
});

describe('arguments that the agent presets', () => {
  test('win over the model, which does not see them', async () => {
    const agent = { tools: [{ toolServerRef: { name: 'box', include: ['add'] }, bind: { b: 40 } }] };
    const run = await world.begin(agent, [['box__add', { a: 2 }], ['box__add', { a: 2, b: 1 }]]);
    expect(JSON.stringify(run.spec.tools[0]?.inputSchema)).not.toContain('"b"');
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('42');
    expect(textOf(await gateway.ask(run, 's1c2'))).toMatch(/additionalProperties/);
  });
});

describe('guardrails of calls', () => {
  test('a CEL guardrail denies, one changes arguments, one takes secrets out of results', async () => {
    const guardrails = [
      { name: 'no-nines', stage: 'ToolCall', tools: ['box/add'], cel: 'arguments.a == 9', message: 'no nines' },
      { name: 'tens', stage: 'ToolCall', cel: "text.contains('10')", action: 'Mutate', replace: { pattern: '10', with: '11' } },
      { name: 'sunless', stage: 'ToolResult', tools: ['box/weather'], cel: "text.contains('IGNORE')", action: 'Mutate', replace: { pattern: '(?s)IGNORE.*', with: '[removed]' } },
    ];
    const run = await world.begin({ ...BOX, guardrails }, [['box__add', { a: 9, b: 1 }], ['box__add', { a: 10, b: 1 }], ['box__weather', {}]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/not allowed: guardrail no-nines: no nines/);
    expect(textOf(await gateway.ask(run, 's1c2'))).toBe('12');
    expect(textOf(await gateway.ask(run, 's1c3'))).toBe('Weather: sunny.\n\n[removed]');
    expect((await world.kinds(run)).filter((kind) => kind === 'GuardrailDecided')).toHaveLength(3);
  });

  test('a webhook that does not answer denies', async () => {
    const run = await world.begin({ ...BOX, guardrails: [{ name: 'hook', stage: 'ToolCall', webhook: { url: 'http://127.0.0.1:9/', timeout: '1s' } }] }, [['box__add', { a: 1, b: 1 }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/not allowed: guardrail hook: it could not be asked/);
    expect(world.servers.hits().calls).toEqual({});
  });
});
