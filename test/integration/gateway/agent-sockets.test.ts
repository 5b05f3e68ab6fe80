import { randomUUID } from 'node:crypto';
import { io, type Socket } from 'socket.io-client';
import { systemClock } from '../../../platform/clock/index.ts';
import { answer, append, end, Notices, tell, tenant, type Tenant } from './agents.ts';
import { type Entry, type Person, Site } from './site.ts';
import { random } from '../../chaos/plan.ts';

/** Streams of agent runs over Socket.IO: a real WebSocket, a real Postgres. */

let site: Site;
let mine: Tenant;
const notices = new Notices();
const open = new Set<Socket>();
beforeAll(async () => { site = await Site.start(() => ({ agentNotices: notices })); });
afterAll(() => site.stop());
beforeEach(async () => { mine = await tenant(site); });
afterEach(() => {
  for (const socket of open) socket.disconnect();
  open.clear();
});

interface Heard { readonly name: 'event' | 'end'; readonly said: Entry }

/** One WebSocket of somebody and all it hears, in order. */
class Page {
  readonly heard: Heard[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    for (const name of ['event', 'end'] as const) socket.on(name, (said: Entry) => { this.heard.push({ name, said }); });
  }

  static async open(who: Person): Promise<Page> {
    const socket = io(site.url, { transports: ['websocket'], reconnection: false, forceNew: true, auth: { token: who.token } });
    open.add(socket);
    await new Promise<void>((resolve, reject) => { socket.once('connect', resolve).once('connect_error', reject); });
    return new Page(socket);
  }

  watch(id: string, after?: number): Promise<Entry> {
    return this.#socket.emitWithAck('watch', { kind: 'agentRun', id, ...(after === undefined ? {} : { after }) });
  }

  unwatch(stream: number): void { this.#socket.emit('unwatch', { stream }); }

  /** Events of the journal that came. */
  get events(): readonly Entry[] { return this.heard.flatMap(({ name, said }) => (name === 'event' && said.value.seq !== null ? [said.value] : [])); }
  get ends(): readonly Entry[] { return this.heard.flatMap(({ name, said }) => (name === 'end' ? [said] : [])); }

  /** Cuts the connection under it, as a network does. */
  cut(): void {
    this.#socket.io.engine.close();
    open.delete(this.#socket);
  }
}

test('cut at random and gone on with from the last number, a transcript is equal to the byte to one that was never cut', async () => {
  const { owner, agentRun } = mine;
  const uncut = await Page.open(owner);
  expect(await uncut.watch(agentRun)).toEqual({ ok: true, stream: 1 });
  const next = random(11);
  const pieces: string[] = [];
  let cuts = 0;
  const cutting = (async () => {
    for (let last = 0, over = false; !over; cuts++) {
      const page = await Page.open(owner);
      await page.watch(agentRun, last);
      const wanted = 1 + Math.floor(next() * 5);
      await site.until(() => page.events.length >= wanted || page.ends.length > 0, 'more of it');
      over = page.ends.length > 0;
      page.cut();
      // What came is known, whether it was waited for or not.
      for (const event of page.events) pieces.push(JSON.stringify(event));
      last = page.events.at(-1)?.seq ?? last;
    }
  })();
  await site.until(() => notices.watchers(agentRun) >= 2, 'both watch');
  await tell(site, notices, agentRun);
  notices.grow(agentRun);
  await cutting;
  await site.until(() => uncut.ends.length === 1, 'the end');
  expect(uncut.ends).toEqual([{ stream: 1 }]);
  expect(uncut.events).toHaveLength(42);
  expect(cuts).toBeGreaterThan(5);
  expect(pieces.join('\n')).toBe(uncut.events.map((event) => JSON.stringify(event)).join('\n'));
  expect(notices.watchers(agentRun)).toBe(0);
});

test('the bytes of an event are those of REST', async () => {
  const { owner, agentRun } = mine;
  await append(site, agentRun, [answer(1, 'Hel\u2028lo'), end({ ok: true })]);
  const page = await Page.open(owner);
  await page.watch(agentRun);
  await site.until(() => page.ends.length === 1, 'the end');
  const { body } = await site.rest(owner, 'GET', `/agent-runs/${agentRun}/steps`);
  expect(page.events.map(({ event }) => JSON.stringify(event))).toEqual(body.items.map((item: Entry) => JSON.stringify(item)));
});

test('pieces of an answer are ephemeral: marked, without a number, replaced by what was committed', async () => {
  const { owner, agentRun } = mine;
  const page = await Page.open(owner);
  await page.watch(agentRun);
  await site.until(() => page.heard.length === 1 && notices.watchers(agentRun) === 1, 'it watches');
  notices.say(agentRun, { step: 1, n: 0, text: 'Hel' });
  await site.until(() => page.heard.length === 2, 'the piece');
  expect(page.heard[1]?.said.value).toEqual({ seq: null, event: null, delta: { step: 1, n: 0, text: 'Hel', reasoning: null, tool: null, arguments: null } });
  await append(site, agentRun, [answer(1, 'Hello')]);
  notices.grow(agentRun);
  await site.until(() => page.heard.length === 3, 'the answer');
  expect(page.heard[2]?.said.value).toMatchObject({ seq: 2, delta: null, event: { kind: 'ModelCompleted', payload: { text: 'Hello' } } });
  // One that comes late is of an answer that is known; the next one is of the next.
  notices.say(agentRun, { step: 1, n: 1, text: 'lo' });
  notices.say(agentRun, { step: 2, n: 0, text: 'Next' });
  await site.until(() => page.heard.length === 4, 'the next piece');
  expect(page.heard[3]?.said.value.delta).toMatchObject({ step: 2, text: 'Next' });
  // Whoever comes now gets what was committed, and nothing of the pieces.
  const later = await Page.open(owner);
  await later.watch(agentRun);
  await site.until(() => later.heard.length === 2, 'what there is');
  expect(later.heard.map(({ said }) => said.value.seq)).toEqual([1, 2]);
});

test('a stream that is not wanted any more is ended, and several are told apart by their number', async () => {
  const { owner, agentRun } = mine;
  const page = await Page.open(owner);
  expect([await page.watch(agentRun), await page.watch(agentRun, 1)]).toEqual([{ ok: true, stream: 1 }, { ok: true, stream: 2 }]);
  await site.until(() => notices.watchers(agentRun) === 2 && page.heard.length === 1, 'both watch');
  page.unwatch(1);
  await site.until(() => notices.watchers(agentRun) === 1, 'one is gone');
  await append(site, agentRun, [answer(1, 'x')]);
  notices.grow(agentRun);
  await site.until(() => page.events.length === 2, 'the event');
  expect(page.heard.filter(({ name }) => name === 'event').map(({ said }) => [said.stream, said.value.seq])).toEqual([[1, 1], [2, 2]]);
});

describe('whose it is', () => {
  test('another tenant and a stranger get what a run that is not there gives, and nothing else', async () => {
    const other = await tenant(site);
    const missing = randomUUID();
    for (const who of [other.owner, await site.person()]) {
      const page = await Page.open(who);
      for (const id of [mine.agentRun, missing, 'no-id']) await page.watch(id);
      await append(site, mine.agentRun, [answer(1, 'secret')]);
      notices.grow(mine.agentRun);
      await site.until(() => page.ends.length >= 2, 'the ends');
      const told = (id: string): Entry => page.ends.find(({ message }) => String(message).includes(id));
      expect(page.heard.filter(({ name }) => name === 'event')).toEqual([]);
      expect(told(mine.agentRun)).toMatchObject({ code: 'NOT_FOUND' });
      expect(String(told(mine.agentRun).message).replace(mine.agentRun, 'ID')).toBe(String(told(missing).message).replace(missing, 'ID'));
    }
  });

  test('what can be no id is refused at once', async () => {
    const page = await Page.open(mine.owner);
    expect(await page.watch('no-id')).toMatchObject({ ok: false, code: 'NOT_FOUND' });
    expect(await page.watch(mine.agentRun, -1)).toMatchObject({ ok: false, code: 'BAD_USER_INPUT' });
  });

  test('a member who is taken out in the middle gets no event and no piece more, and hears why', async () => {
    const { agentRun, project } = mine;
    const member = await site.person();
    await site.member(project, member, 'VIEWER');
    const [page, stays] = [await Page.open(member), await Page.open(mine.owner)];
    for (const one of [page, stays]) await one.watch(agentRun);
    await site.until(() => page.events.length === 1 && notices.watchers(agentRun) === 2, 'both watch');
    await site.gateway.read((db) => db.projectMember.deleteMany({ where: { projectId: project, userId: member.userId } }));
    // What a request was told of its place is believed for a second.
    const until = systemClock.monotonic() + 1_100;
    await site.until(() => systemClock.monotonic() > until, 'a second has passed');
    notices.say(agentRun, { step: 1, n: 0, text: 'sec' });
    await append(site, agentRun, [answer(1, 'secret')]);
    notices.grow(agentRun);
    await site.until(() => page.ends.length === 1 && stays.events.length === 2, 'the end of one, the event for the other');
    expect([page.ends[0]?.code, page.events.length, JSON.stringify(page.heard).includes('sec')]).toEqual(['NOT_FOUND', 1, false]);
    expect(notices.watchers(agentRun)).toBe(1);
  });
});
