import { Buffer } from 'node:buffer';
import { ManualClock } from '../../platform/clock/manual.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { canBy } from '../auth/can.ts';
import type { Can, Decision } from '../auth/can.ts';
import type { KubePrincipal, Principal, RunReader, Target } from '../ports.ts';
import { runRow, uuid } from '../testing/rows.ts';
import { World } from '../testing/world.ts';
import { Answers } from './answers.ts';
import type { Answer, Look } from './answers.ts';

/* The memory of answers, against a world whose rights, projects and runs a test changes by hand. */

const PROJECT = uuid(1);
const TARGET: Target = { kind: 'project', resource: 'tasks', projectId: PROJECT };
const alice: Principal = { kind: 'kubernetes', name: 'alice', groups: ['a'] };

class Memory {
  readonly clock = new ManualClock();
  readonly results: string[] = [];
  readonly world = new World();
  readonly runs: RunReader = this.world.ports().runs;
  readonly answers: Answers;
  seq = 5;
  decision: Decision = 'yes';

  constructor(options: { maxAgeMs?: number; maxBytes?: number } = {}) {
    this.answers = new Answers({ clock: this.clock, maxAgeMs: 5_000, maxBytes: 100_000, counted: (result) => { this.results.push(result); }, ...options });
  }

  /** Of one request: what it saw of the project first is what it remembers. */
  can(): Can {
    const seqs = new Map<string, number>();
    return canBy((_, _verb, target) => {
      if (target.kind === 'project' && !seqs.has(target.projectId)) seqs.set(target.projectId, this.seq);
      return Promise.resolve(this.decision);
    }, () => seqs);
  }

  look(question: readonly unknown[] = ['q'], principal: Principal = alice): Promise<Look> {
    return this.answers.look(principal, question, this.can(), this.runs);
  }

  /** One request for a task of the project: what it answered. */
  async ask(text: string, make: (look: Look) => Promise<unknown> = (look) => look.can(alice, 'get', TARGET), question: readonly unknown[] = ['q'], principal: Principal = alice): Promise<string> {
    const look = await this.look(question, principal);
    if (look.answer !== undefined) return look.answer.body.toString();
    await make(look);
    look.keep(answer(text));
    return text;
  }
}

function answer(text: string): Answer {
  return { body: Buffer.from(text), field: 'task', cost: 1 };
}

test('an answer is given again while nothing has changed, from the third time on', async () => {
  const memory = new Memory();
  expect([await memory.ask('a'), await memory.ask('b'), await memory.ask('c'), await memory.ask('d')]).toEqual(['a', 'b', 'b', 'b']);
  expect(memory.results).toEqual(['miss', 'miss', 'hit', 'hit']);
});

test('one whose project changes while it is made is never given: it is known by the number before', async () => {
  const memory = new Memory();
  await memory.ask('a');
  await memory.ask('old', async (look) => {
    await look.can(alice, 'get', TARGET);
    memory.seq += 1;
  });
  expect(await memory.ask('new')).toBe('new');
  expect(memory.results).toEqual(['miss', 'miss', 'stale']);
  expect(await memory.ask('never')).toBe('new');
});

test('it ends with its age', async () => {
  const memory = new Memory();
  for (let i = 0; i < 3; i++) await memory.ask('a');
  memory.clock.advance(4_999);
  expect(await memory.ask('b')).toBe('a');
  memory.clock.advance(1);
  expect(await memory.ask('b')).toBe('b');
});

test.each<Decision>(['no', 'hidden', 'factor', 'stale', 'gone'])('it is not given to whom the answer is %s now', async (decision) => {
  const memory = new Memory();
  for (let i = 0; i < 3; i++) await memory.ask('a');
  memory.decision = decision;
  expect((await memory.look()).answer).toBeUndefined();
});

test('what was made with a no in it is not kept', async () => {
  const memory = new Memory();
  memory.decision = 'no';
  for (let i = 0; i < 4; i++) await memory.ask(`${i}`);
  expect(new Set(memory.results)).toEqual(new Set(['miss']));
});

test('what rests on nothing known is not kept', async () => {
  const memory = new Memory();
  for (let i = 0; i < 4; i++) expect(await memory.ask(`${i}`, () => Promise.resolve())).toBe(`${i}`);
});

test('runs are told apart by their versions, and one that is gone is another', async () => {
  const memory = new Memory();
  const run = runRow(uuid(7));
  memory.world.runs.set(run.id, run);
  const make = async (look: Look): Promise<void> => {
    await look.can(alice, 'get', { kind: 'namespace', resource: 'workflowruns', namespace: 'team-a' });
    await look.runs.run(run.id);
  };
  expect([await memory.ask('a', make), await memory.ask('b', make)]).toEqual(['a', 'a']);
  memory.world.runs.set(run.id, { ...run, version: 2 });
  expect([await memory.ask('c', make), await memory.ask('d', make)]).toEqual(['c', 'c']);
  memory.world.runs.delete(run.id);
  expect(await memory.ask('e', make)).toBe('e');
});

test.each<[string, Principal]>([
  ['another name', { ...alice, name: 'bob' }], ['another group', { ...alice, groups: ['a', 'b'] }], ['another uid', { kind: 'kubernetes', name: 'alice', groups: ['a'], uid: 'u' }],
  ['names that look alike', { kind: 'kubernetes', name: 'alice",null,["a"],null] ["q"]', groups: [] } satisfies KubePrincipal],
])('a caller of %s gets none', async (_, other) => {
  const memory = new Memory();
  for (let i = 0; i < 3; i++) await memory.ask('a');
  expect((await memory.look(['q'], other)).answer).toBeUndefined();
});

test('another question has another answer; one that is never kept, one that is too long, and a memory that is off have none', async () => {
  const memory = new Memory();
  for (let i = 0; i < 3; i++) await memory.ask('a');
  expect((await memory.look(['p'])).answer).toBeUndefined();
  expect((await memory.answers.look(alice, undefined, memory.can(), memory.runs)).answer).toBeUndefined();
  const off = new Memory({ maxAgeMs: 0 });
  for (let i = 0; i < 4; i++) expect(await off.ask(`${i}`)).toBe(`${i}`);
  const before = memory.answers.bytes;
  for (let i = 0; i < 4; i++) expect(await memory.ask(`${i}`, undefined, ['x'.repeat(10_000)])).toBe(`${i}`);
  expect(memory.answers.bytes).toBe(before);
});

test('the memory stays below its bound; what was used last stays', async () => {
  const memory = new Memory({ maxBytes: 20_000 });
  const kept = async (name: string): Promise<void> => { for (let i = 0; i < 3; i++) await memory.ask('x'.repeat(1_000), undefined, [name]); };
  await kept('first');
  for (let i = 0; i < 50; i++) {
    await kept(`${i}`);
    await memory.look(['first']);
    expect(memory.answers.bytes).toBeLessThanOrEqual(20_000);
  }
  expect([(await memory.look(['first'])).answer, (await memory.look(['0'])).answer]).toMatchObject([{ cost: 1 }, undefined]);
  memory.clock.advance(5_000);
  const names = ['first', ...Array.from({ length: 50 }, (_, i) => `${i}`)];
  for (const name of names) await memory.look([name]);
  expect(memory.answers.bytes).toBe(0);
});

test('while nobody can tell, there is no answer', async () => {
  const memory = new Memory();
  for (let i = 0; i < 3; i++) await memory.ask('a');
  const away = canBy(() => Promise.reject(new UnavailableError('Postgres')), () => new Map());
  await expect(memory.answers.look(alice, ['q'], away, memory.runs)).rejects.toThrow(UnavailableError);
});
