import { ManualClock } from '../../platform/clock/manual.ts';
import type { ProjectEventRow } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { uuid } from '../testing/rows.ts';
import { until } from '../testing/world.ts';
import { ProjectFeed } from './project-feed.ts';
import { RECHECK_MS } from './watched-feed.ts';

const ID = uuid(1);

/** A project in memory, with its changes. */
class Project {
  readonly clock = new ManualClock();
  readonly changes: ProjectEventRow[] = [];
  readonly wakes = new Set<() => void>();
  may = true;
  there = true;
  asked = 0;
  closed = 0;

  change(notify = true): void {
    const seq = this.changes.length + 1;
    this.changes.push({ projectId: ID, seq, at: seq, kind: 'UPDATED', entity: 'Task', entityId: uuid(seq), principal: 'alice' });
    if (notify) for (const wake of this.wakes) wake();
  }

  feed(after?: number): ProjectFeed {
    return new ProjectFeed({
      clock: this.clock,
      notices: { changed: () => undefined, watch: (_, wake) => {
        this.wakes.add(wake);
        return Promise.resolve({ close: () => { this.wakes.delete(wake); } });
      } },
      changes: (_, afterSeq, first) => Promise.resolve(this.changes.filter(({ seq }) => seq > afterSeq).slice(0, first)),
      lastSeq: () => Promise.resolve(this.there ? this.changes.length : undefined),
      mayWatch: () => {
        this.asked += 1;
        return Promise.resolve(this.may);
      },
    }, ID, after, () => { this.closed += 1; });
  }
}

async function seqs(feed: ProjectFeed, count: number): Promise<(number | undefined)[]> {
  const seen: (number | undefined)[] = [];
  for (let i = 0; i < count; i++) seen.push((await feed.next()).value?.seq);
  return seen;
}

test('from a number on every change comes once and in order, beyond a page too', async () => {
  const project = new Project();
  for (let i = 0; i < 250; i++) project.change();
  expect(await seqs(project.feed(3), 247)).toEqual(Array.from({ length: 247 }, (_, i) => i + 4));
});

test('without a number only what happens from now on', async () => {
  const project = new Project();
  project.change();
  const feed = project.feed();
  const next = feed.next();
  await until(() => project.wakes.size === 1, 'the feed watches');
  project.change();
  project.change();
  expect((await next).value?.seq).toBe(2);
  expect((await feed.next()).value?.seq).toBe(3);
});

test('the right is asked for before every change, and a right that is gone ends the stream', async () => {
  const project = new Project();
  for (let i = 0; i < 3; i++) project.change();
  const feed = project.feed(0);
  await seqs(feed, 2);
  expect(project.asked).toBe(3);
  project.may = false;
  await expect(feed.next()).rejects.toMatchObject({ publicCode: 'NOT_FOUND' });
  expect(project.closed).toBe(1);
  expect(await feed.next()).toEqual({ done: true, value: undefined });
});

test('a quiet stream looks again: it finds a right that is gone, and heals a lost notice', async () => {
  const project = new Project();
  const feed = project.feed(0);
  const healed = feed.next();
  await until(() => project.clock.pending > 0, 'the feed waits');
  project.change(false);
  project.clock.advance(RECHECK_MS);
  expect((await healed).value?.seq).toBe(1);
  const gone = feed.next();
  const refused = expect(gone).rejects.toBeInstanceOf(ApiError);
  await until(() => project.clock.pending > 0, 'the feed waits again');
  project.may = false;
  project.clock.advance(RECHECK_MS);
  await refused;
});

test.each([['not there', { there: false }], ['not yours', { may: false }]])('a project that is %s is told as not found', async (_, state) => {
  const project = Object.assign(new Project(), state);
  await expect(project.feed().next()).rejects.toMatchObject({ publicCode: 'NOT_FOUND', message: `project ${ID} does not exist or is not yours` });
  expect(project.closed).toBe(1);
  expect(project.wakes.size).toBe(0);
});

test('closing ends a pending wait', async () => {
  const project = new Project();
  const feed = project.feed(0);
  const next = feed.next();
  await until(() => project.clock.pending > 0, 'the feed waits');
  feed.close();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(project.wakes.size).toBe(0);
  expect(project.clock.pending).toBe(0);
});

test('who begins before what is kept is told so, and goes on from where it is kept', async () => {
  const project = new Project();
  for (let i = 0; i < 9; i++) project.change();
  project.changes.splice(0, 5);
  await expect(project.feed(3).next()).rejects.toMatchObject({ publicCode: 'CONFLICT', message: expect.stringContaining('changes 4 to 5') as string });
  expect(await seqs(project.feed(5), 4)).toEqual([6, 7, 8, 9]);
});
