import { jobsOf, sample, type Job } from './kill-plan.ts';
import { KillSite, type Seen } from './kill-site.ts';
import { SHAPES, type Shape } from './kill-shapes.ts';

/*
 * The kill matrix: SIGKILL of runner, model gateway and controller at each boundary of the journal and around each thing that leaves a
 * process, and NATS wiped after each row of the journal, in runs of several shapes. Every run has to end well; a keyed effect happens once, an
 * unkeyed one at most once, and where nobody can know a person is asked. What does not strike has failed.
 *
 * A fixed sample by default. RAMBO_KILLS=all plays every hit of every point, RAMBO_KILLS=text those whose name has the text in it (a regular
 * expression). RAMBO_KILL_LANES stacks work at it.
 */

const WHICH = process.env['RAMBO_KILLS'] ?? '';
const LANES = Number(process.env['RAMBO_KILL_LANES'] ?? (WHICH === '' ? 2 : 6));
const say = (line: string): void => { if (WHICH !== '' || process.env['RAMBO_TEST_VERBOSE'] !== undefined) process.stderr.write(`    ${line}\n`); };

/** Stacks, each ready when it is: those that are work already. One that a busy machine cannot start is done without, unless it is the only one. */
let sites: readonly Promise<KillSite | undefined>[] = [];
beforeAll(async () => {
  for (let lane = 0; lane < LANES; lane++) {
    const site = KillSite.start().catch((error: unknown) => {
      say(`a stack could not be started: ${String(error)}`);
      return undefined;
    });
    sites = [...sites, site];
    // Many at once would only wait for one another.
    if (lane % 2 === 0) await site;
  }
}, 1_200_000);
afterAll(async () => { await Promise.all(sites.map(async (site) => (await site)?.stop())); }, 120_000);

/** Works at a list, one piece at a time on each stack. */
async function onAll<T>(pieces: readonly T[], work: (site: KillSite, piece: T) => Promise<void>): Promise<void> {
  const left = [...pieces];
  await Promise.all(sites.map(async (starting) => {
    const site = await starting;
    for (let piece = site === undefined ? undefined : left.shift(); site !== undefined && piece !== undefined; piece = left.shift()) await work(site, piece);
  }));
  if (left.length > 0) throw new Error('no stack could be started');
}

async function everything(): Promise<readonly Job[]> {
  const jobs = new Map<Shape, readonly Job[]>();
  // A pattern that begins with the name of a shape needs no golden run of the others.
  await onAll(SHAPES.filter(({ name }) => WHICH === 'all' || !SHAPES.some((other) => WHICH.startsWith(other.name)) || WHICH.startsWith(name)), async (site, shape) => {
    jobs.set(shape, jobsOf(shape, [await site.golden(shape), await site.golden(shape)]));
  });
  return SHAPES.flatMap((shape) => jobs.get(shape) ?? []).filter(({ name }) => WHICH === 'all' || new RegExp(WHICH).test(name));
}

/** Plays a job; once more where it did not strike. */
async function play(site: KillSite, { shape, blow }: Job): Promise<Seen> {
  const seen = await site.play(shape, blow);
  return seen.struck || seen.wrong.length > 0 ? seen : site.play(shape, blow);
}

test('whatever is killed or wiped, and whenever, an agent\'s run ends with each effect once', async () => {
  const jobs = WHICH === '' ? sample() : await everything();
  const began = performance.now();
  const found: string[] = [];
  let done = 0;
  await onAll(jobs, async (site, job) => {
    const seen = await play(site, job);
    const wrong = [...seen.wrong, ...(seen.struck ? [] : ['it did not strike']), ...(job.doubt && seen.doubts !== 1 ? ['nobody was asked what became of the call'] : [])];
    say(`[${++done}/${jobs.length}] ${job.name}: ${seen.phase} in ${seen.ms} ms, ${seen.approvals} approvals, ${seen.doubts} doubts, ${seen.raises} raises, ${seen.answers} answers${wrong.map((what) => `\n      WRONG ${what}`).join('')}`);
    found.push(...wrong.map((what) => `${job.name}: ${what}`));
  });
  say(`${jobs.length} jobs on ${LANES} stacks in ${((performance.now() - began) / 1_000).toFixed(0)} s, ${found.length} found`);
  expect(found).toEqual([]);
}, 7_200_000);
