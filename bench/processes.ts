import { readdirSync, readFileSync } from 'node:fs';

/** Programs of the stack, as their processes are told apart. */
export type Program = 'controller' | 'api' | 'runner' | 'postgres' | 'nats' | 'cluster';

/** CPU used and memory held by the processes of one program. */
export interface Usage {
  /** Milliseconds, user and system, all processes together. */
  readonly cpuMs: number;
  /** Peak of the largest process, MiB. */
  readonly peakMiB: number;
  /** Now, of the largest process, MiB. */
  readonly rssMiB: number;
}

/** Clock ticks of /proc are hundredths of a second on Linux. */
const MS_PER_TICK = 10;

/** What the programs below a stack's folder, and the Postgres of that stack, have used so far. */
export function usage(pids: ReadonlySet<number>): ReadonlyMap<Program, Usage> {
  const out = new Map<Program, Usage>();
  const parents = parentOf();
  for (const pid of parents.keys()) {
    if (!belongs(pid, pids, parents)) continue;
    const one = read(pid);
    if (one === undefined) continue;
    const before = out.get(one.program);
    out.set(one.program, {
      cpuMs: (before?.cpuMs ?? 0) + one.cpuMs, peakMiB: Math.max(before?.peakMiB ?? 0, one.peakMiB), rssMiB: Math.max(before?.rssMiB ?? 0, one.rssMiB),
    });
  }
  return out;
}

function parentOf(): ReadonlyMap<number, number> {
  const out = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = text(`/proc/${pid}/stat`);
    const parent = Number(stat?.split(') ').at(-1)?.split(' ')[1]);
    if (stat !== undefined) out.set(pid, parent);
  }
  return out;
}

function belongs(pid: number, roots: ReadonlySet<number>, parents: ReadonlyMap<number, number>): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) if (roots.has(at)) return true;
  return false;
}

function read(pid: number): (Usage & { readonly program: Program }) | undefined {
  const program = programOf(text(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ') ?? '');
  const stat = text(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ');
  const status = text(`/proc/${pid}/status`);
  if (program === undefined || stat === undefined || status === undefined) return undefined;
  return { program, cpuMs: MS_PER_TICK * (Number(stat[11]) + Number(stat[12])), peakMiB: mebibytes(status, 'VmHWM'), rssMiB: mebibytes(status, 'VmRSS') };
}

/** Which program a command line is; undefined for what does not count (helpers, nodes' own children). */
export function programOf(command: string): Program | undefined {
  const ours = /dist\/(?:chaos\/)?(controller|api|runner)\.mjs/.exec(command)?.[1];
  if (ours === 'controller' || ours === 'api' || ours === 'runner') return ours;
  if (/^postgres:|bin\/postgres /.test(command)) return 'postgres';
  if (command.includes('/nats-server')) return 'nats';
  return /devcluster|^etcd |^kube-/.test(command) ? 'cluster' : undefined;
}

function mebibytes(status: string, field: string): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1_024;
}

function text(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
