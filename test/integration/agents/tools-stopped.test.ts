import { systemClock } from '../../../platform/clock/index.ts';
import { settleDoubt } from '../../../prisma/store/index.ts';
import { until } from '../prisma/fixture.ts';
import { NAMESPACE, textOf, toolsWorld, type Begun, type Gateway, type ToolsWorld } from './tools-kit.ts';

/** A gateway that sleeps while the call it was about to make goes on without it. */

let world: ToolsWorld;
let gateway: Gateway;
beforeAll(async () => {
  world = await toolsWorld();
  gateway = world.gateway();
  await world.mirror('box', { mcp: { url: world.servers.mcp }, tools: [{ name: 'charge', effect: 'AtMostOnce', risk: 'Normal', timeout: '700ms' }] });
});
afterAll(async () => { await world.close(); });
beforeEach(() => { world.servers.reset(); });

const BOX = { tools: [{ toolServerRef: { name: 'box', include: ['charge'] } }] };

/** A gateway that is stopped right after it has journaled that a call is sent, and before anything left: as by SIGSTOP, its timers stand still and time passes. */
function sleeper(): { readonly gateway: Gateway; readonly asleep: Promise<void>; wake(): void } {
  const { db } = world.fixture;
  const [asleep, awake] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  let sleptMs = 0;
  const gate = world.gateway({
    clock: { ...systemClock, monotonic: () => systemClock.monotonic() + sleptMs, after: (ms, fn) => systemClock.after(ms, () => { void awake.promise.then(fn); }) },
    db: { ...db, transaction: async (work) => {
      let dispatches = false;
      const result = await db.transaction((tx) => work({ query: (statement, values) => {
        dispatches ||= statement.text.includes('INTO agent_event') && values.some((value) => value === 'ToolDispatched' || (value instanceof Uint8Array && Buffer.from(value).includes('ToolDispatched')));
        return tx.query(statement, values);
      } }));
      if (dispatches) {
        asleep.resolve(undefined);
        await awake.promise;
      }
      return result;
    } },
  });
  return { gateway: gate, asleep: asleep.promise, wake: () => { sleptMs = 60_000; awake.resolve(undefined); } };
}

describe('a gateway that was stopped before a call left', () => {
  const expire = (run: Begun): Promise<unknown> => world.sql("UPDATE agent_call SET holder_until = now() - interval '1 second' WHERE agent_run = $1::uuid", [run.id]);

  test('sends nothing where somebody has said that it did not happen, and it was made again', async () => {
    const run = await world.begin(BOX, [['box__charge', { amount: 4 }]]);
    const stopped = sleeper();
    const asked = stopped.gateway.ask(run, 's1c1');
    await stopped.asleep;
    await expire(run);
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(await settleDoubt(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, callId: 's1c1', verdict: 'DidNotHappen', by: 'user:ada', at: Date.now() })).toMatchObject({ ok: true });
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('charged 4, charge 1');
    stopped.wake();
    expect(textOf(await asked)).toBe('charged 4, charge 1');
    expect(world.servers.hits()).toMatchObject({ calls: { charge: 1 }, effects: { charge: 1 } });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'ToolInDoubt', 'DoubtSettled', 'ToolDispatched', 'ToolCompleted']);
  });

  test('sends nothing while the call is in doubt', async () => {
    const run = await world.begin(BOX, [['box__charge', { amount: 5 }]]);
    const stopped = sleeper();
    const asked = stopped.gateway.ask(run, 's1c1');
    await stopped.asleep;
    await expire(run);
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    stopped.wake();
    expect(await asked).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(world.servers.hits().calls).toEqual({});
  });

  test('sends it where nobody has looked meanwhile', async () => {
    const run = await world.begin(BOX, [['box__charge', { amount: 6 }]]);
    const stopped = sleeper();
    const asked = stopped.gateway.ask(run, 's1c1');
    await stopped.asleep;
    await expire(run);
    stopped.wake();
    expect(textOf(await asked)).toBe('charged 6, charge 1');
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'ToolCompleted']);
  });

  test('does not say that the call was not made, when another makes it', async () => {
    const run = await world.begin(BOX, [['box__charge', { amount: 7 }]]);
    const refusing = Promise.withResolvers<undefined>();
    const late = Promise.withResolvers<undefined>();
    const slow = world.gateway({ fetchFor: () => async (input, init) => {
      if (typeof init?.body !== 'string' || !init.body.includes('tools/call')) return fetch(input, init);
      refusing.resolve(undefined);
      await late.promise;
      return new Response('no', { status: 403 });
    } });
    const asked = slow.ask(run, 's1c1');
    await refusing.promise;
    await expire(run);
    world.servers.set({ hangAfterCommit: 1 });
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    await settleDoubt(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, callId: 's1c1', verdict: 'DidNotHappen', by: 'user:ada', at: Date.now() });
    const again = world.gateway().ask(run, 's1c1');
    await until(async () => (world.servers.hits().effects['charge'] ?? 0) === 1, 'the other one has made it');
    late.resolve(undefined);
    // What it comes to is what the second finds: no answer in time, and so a doubt.
    expect(await again).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(await asked).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(await world.kinds(run)).not.toContain('ToolCompleted');
  });
});
