import { readdirSync, readFileSync } from 'node:fs';

/** What one process holds: resident memory in MiB and open files, sockets among them. */
export interface Held { readonly mib: number; readonly files: number }

/** How often it is looked at: once in so many seeds. */
const EVERY = 20;
/** Fewer readings than this say nothing about growth. */
const ENOUGH = 10;
/** Between the second fifth, when caches are full, and the last. */
const MEMORY_TIMES = 1.3;
const MEMORY_MIB = 20;
const FILES = 10;

/** I11: what a process that lives through all seeds holds does not grow with them. */
export class Growth {
  readonly #readings = new Map<string, Held[]>();
  #seeds = 0;

  /** Once after each seed; reads the processes (name to pid) every 20th time. */
  seed(processes: Readonly<Record<string, number>>, read: (pid: number) => Held | undefined = heldBy): void {
    if (this.#seeds++ % EVERY !== 0) return;
    for (const [name, pid] of Object.entries(processes)) {
      const held = read(pid);
      if (held !== undefined) this.#readings.set(name, [...(this.#readings.get(name) ?? []), held]);
    }
  }

  /** What grew, in the words of the oracle. */
  violations(): readonly string[] {
    return [...this.#readings].flatMap(([name, all]) => {
      const early = typical(all, 0.2, 0.4);
      const late = typical(all, 0.8, 1);
      if (all.length < ENOUGH || early === undefined || late === undefined) return [];
      const out: string[] = [];
      if (late.mib > early.mib * MEMORY_TIMES + MEMORY_MIB) out.push(`I11 ${name} held ${early.mib.toFixed(0)} MiB and holds ${late.mib.toFixed(0)} MiB`);
      if (late.files > early.files + FILES) out.push(`I11 ${name} had ${early.files} files open and has ${late.files}`);
      return out;
    });
  }

  /** One line for each process: first, middle and last reading. */
  summary(): readonly string[] {
    return [...this.#readings].map(([name, all]) => `${name}: ${[all[0], all[Math.floor(all.length / 2)], all.at(-1)]
      .map((held) => `${held?.mib.toFixed(0) ?? '?'} MiB, ${held?.files ?? '?'} files`).join(' -> ')} (${all.length} readings)`);
  }
}

/** Medians of a stretch of readings, from one fraction of them to another. */
function typical(all: readonly Held[], from: number, to: number): Held | undefined {
  const part = all.slice(Math.floor(all.length * from), Math.ceil(all.length * to));
  const median = (pick: (held: Held) => number): number | undefined => part.map(pick).sort((a, b) => a - b)[Math.floor(part.length / 2)];
  const mib = median((held) => held.mib);
  const files = median((held) => held.files);
  return mib === undefined || files === undefined ? undefined : { mib, files };
}

function heldBy(pid: number): Held | undefined {
  try {
    const kib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    return { mib: kib / 1_024, files: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return undefined;
  }
}
