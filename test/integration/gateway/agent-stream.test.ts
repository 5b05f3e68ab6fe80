import { randomUUID } from 'node:crypto';
import { systemClock } from '../../../platform/clock/index.ts';
import { answer, append, end, Notices, tell, tenant, type Tenant } from './agents.ts';
import { type Entry, type Person, Site } from './site.ts';
import { random } from '../../chaos/plan.ts';

/** Streams of agent runs over server-sent events and GraphQL, with a real Postgres. */

let site: Site;
let mine: Tenant;
const notices = new Notices();
beforeAll(async () => { site = await Site.start(() => ({ agentNotices: notices })); });
afterAll(() => site.stop());
beforeEach(async () => { mine = await tenant(site); });

interface Block { readonly id?: string; readonly event: string; readonly data: string }

/** A stream as a program reads it: block by block, cut off whenever it likes. */
class Sse {
  readonly #reader: AsyncIterator<string>;
  readonly #abort: AbortController;
  #rest = '';

  private constructor(reader: AsyncIterator<string>, abort: AbortController) {
    this.#reader = reader;
    this.#abort = abort;
  }

  static async open(who: Person | undefined, agentRun: string, { last, query = '' }: { last?: string | undefined; query?: string } = {}): Promise<Sse | { status: number; body: Entry }> {
    const abort = new AbortController();
    const response = await fetch(`${site.url}/api/v1/agent-runs/${agentRun}/events${query}`, {
      headers: { ...(who === undefined ? {} : { authorization: `Bearer ${who.token}` }), ...(last === undefined ? {} : { 'last-event-id': last }) }, signal: abort.signal,
    });
    if (response.status !== 200 || response.body === null) return { status: response.status, body: await response.json() };
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    return new Sse(response.body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator](), abort);
  }

  /** The next block that is no comment; undefined at the end. */
  async next(): Promise<Block | undefined> {
    for (;;) {
      const at = this.#rest.indexOf('\n\n');
      if (at >= 0) {
        const lines = this.#rest.slice(0, at).split('\n');
        this.#rest = this.#rest.slice(at + 2);
        if (lines.every((line) => line.startsWith(':'))) continue;
        const field = (name: string): string | undefined => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        const id = field('id');
        return { ...(id === undefined ? {} : { id }), event: field('event') ?? '', data: field('data') ?? '' };
      }
      const more = await this.#reader.next().catch(() => ({ done: true, value: '' }));
      if (more.done === true) return undefined;
      this.#rest += more.value;
    }
  }

  cut(): void { this.#abort.abort(); }
}

async function stream(who: Person, agentRun: string, options: { last?: string | undefined; query?: string } = {}): Promise<Sse> {
  const opened = await Sse.open(who, agentRun, options);
  if (!(opened instanceof Sse)) throw new Error(`${opened.status} ${JSON.stringify(opened.body)}`);
  return opened;
}

test('cut at random and resumed by Last-Event-ID, a transcript is equal to the byte to one that was never cut', async () => {
  const { owner, agentRun } = mine;
  const whole: string[] = [];
  const uncut = (async () => {
    const one = await stream(owner, agentRun);
    for (let block = await one.next(); block !== undefined; block = await one.next()) if (block.event === 'event') whole.push(`${block.id} ${block.data}`);
  })();
  const next = random(7);
  const pieces: string[] = [];
  const cut = (async () => {
    for (let last: string | undefined, over = false, cuts = 0; !over;) {
      const one = await stream(owner, agentRun, { last });
      for (let left = 1 + Math.floor(next() * 5); left > 0; left--) {
        const block = await one.next();
        if (block === undefined || block.event === 'end') {
          over = true;
          expect(cuts).toBeGreaterThan(5);
          break;
        }
        if (block.event !== 'event') continue;
        last = block.id;
        pieces.push(`${block.id} ${block.data}`);
      }
      one.cut();
      cuts++;
    }
  })();
  await site.until(() => notices.watchers(agentRun) >= 2, 'both watch');
  await tell(site, notices, agentRun);
  // Whoever connects again meanwhile may have begun to watch after this notice: they read first.
  notices.grow(agentRun);
  await Promise.all([uncut, cut]);
  expect(whole).toHaveLength(42);
  expect(pieces.join('\n')).toBe(whole.join('\n'));
});

test('pieces of an answer come between events, are marked, and give way to what was committed', async () => {
  const { owner, agentRun } = mine;
  const one = await stream(owner, agentRun);
  expect(await one.next()).toMatchObject({ id: '1', event: 'event' });
  await site.until(() => notices.watchers(agentRun) === 1, 'it watches');
  notices.say(agentRun, { step: 1, n: 0, text: 'Hel' });
  const piece = await one.next();
  expect([piece?.id, piece?.event, JSON.parse(piece?.data ?? '')]).toEqual([undefined, 'delta', { step: 1, n: 0, text: 'Hel', reasoning: null, tool: null, arguments: null }]);
  await append(site, agentRun, [answer(1, 'Hello')]);
  notices.grow(agentRun);
  expect(JSON.parse((await one.next())?.data ?? '')).toMatchObject({ seq: 2, kind: 'ModelCompleted', inputTokens: 10, outputTokens: 5, costUsd: '0.0015', ms: 12, payload: { text: 'Hello' } });
  notices.say(agentRun, { step: 1, n: 1, text: 'lo' });
  notices.say(agentRun, { step: 2, n: 0, toolCall: { index: 0, tool: 'tickets/close', arguments: '{"id' } });
  expect(JSON.parse((await one.next())?.data ?? '')).toMatchObject({ step: 2, tool: 'tickets/close', arguments: '{"id' });
  one.cut();
});

test('over GraphQL the same, from any event on; a run that has ended gives what it has and ends', async () => {
  const { owner, agentRun } = mine;
  await append(site, agentRun, [answer(1, 'Hello'), end({ ok: true })]);
  const query = 'subscription($id: ID!, $from: Int) { agentEvents(agentRun: $id, fromSeq: $from) { seq event { kind payload } delta { text } } }';
  const seqs = async (from?: number): Promise<readonly number[]> => {
    const seen: number[] = [];
    for await (const { data } of await site.subscribe(owner, query, { id: agentRun, from })) seen.push(data.agentEvents.seq);
    return seen;
  };
  expect([await seqs(), await seqs(3), await seqs(4)]).toEqual([[1, 2, 3], [3], []]);
  const steps = (await site.rest(owner, 'GET', `/agent-runs/${agentRun}/steps?fromSeq=2`)).body.items;
  expect(steps.map((item: Entry) => item.kind)).toEqual(['ModelCompleted', 'RunCompleted']);
  const { body } = await site.rest(owner, 'GET', `/agent-runs/${agentRun}`);
  expect(body).toMatchObject({ phase: 'Succeeded', output: { ok: true }, outputPreview: '{"ok":true}', seq: 3 });
});

describe('whose it is', () => {
  test('another tenant, a stranger and nobody get what a run that is not there gives, over every surface', async () => {
    const other = await tenant(site);
    const missing = randomUUID();
    for (const who of [other.owner, await site.person()]) {
      for (const path of ['', '/steps', '/events']) {
        const [foreign, absent] = [await site.rest(who, 'GET', `/agent-runs/${mine.agentRun}${path}`), await site.rest(who, 'GET', `/agent-runs/${missing}${path}`)];
        expect([foreign.status, JSON.stringify(foreign.body).replaceAll(mine.agentRun, 'ID').replaceAll(/"(requestId|instance)":"[^"]*"/g, '')]).toEqual([404, JSON.stringify(absent.body).replaceAll(missing, 'ID').replaceAll(/"(requestId|instance)":"[^"]*"/g, '')]);
      }
      const { errors } = (await (await site.subscribe(who, 'subscription($id: ID!) { agentEvents(agentRun: $id) { seq } }', { id: mine.agentRun })).next()).value;
      expect(errors).toMatchObject([{ message: `agent run ${mine.agentRun} does not exist or is not yours to watch`, extensions: { code: 'NOT_FOUND' } }]);
    }
    expect((await Sse.open(undefined, mine.agentRun))).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    expect((await site.rest(mine.owner, 'GET', `/agent-runs/${other.agentRun}/events`)).status).toBe(404);
  });

  test('a member who is taken out gets no event more, and hears why', async () => {
    const { agentRun, project } = mine;
    const member = await site.person();
    await site.member(project, member, 'VIEWER');
    const one = await stream(member, agentRun);
    expect((await one.next())?.id).toBe('1');
    await site.until(() => notices.watchers(agentRun) === 1, 'it watches');
    await site.gateway.read((db) => db.projectMember.deleteMany({ where: { userId: member.userId } }));
    // What a request was told of its place is believed for a second.
    const until = systemClock.monotonic() + 1_100;
    await site.until(() => systemClock.monotonic() > until, 'a second has passed');
    await append(site, agentRun, [answer(1, 'secret')]);
    notices.grow(agentRun);
    const last = await one.next();
    expect([last?.event, JSON.parse(last?.data ?? '').code, await one.next()]).toEqual(['error', 'NOT_FOUND', undefined]);
  });
});

test.each([['x'], ['-1'], ['1e3'], ['99999999999'], ['2147483648']])('Last-Event-ID %s is told, before anything is streamed', async (last) => {
  expect(await Sse.open(mine.owner, mine.agentRun, { last })).toMatchObject({ status: 400, body: { code: 'BAD_USER_INPUT' } });
});

test.each([['a number no journal has', '2147483647'], ['one above the last', '9']])('Last-Event-ID of %s: nothing comes until the end', async (_, last) => {
  const one = await stream(mine.owner, mine.agentRun, { last });
  await site.until(() => notices.watchers(mine.agentRun) === 1, 'it watches');
  await append(site, mine.agentRun, [end('x')]);
  notices.grow(mine.agentRun);
  expect((await one.next())?.event).toBe('end');
});

test.each(['POST', 'PUT', 'DELETE'])('%s is no method of a stream', async (method) => {
  const { status, body, headers } = await site.rest(mine.owner, method, `/agent-runs/${mine.agentRun}/events`);
  expect([status, body.code, headers.get('allow')]).toEqual([405, 'METHOD_NOT_ALLOWED', 'GET']);
});
