import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failure, type Outcome } from '../core/types.ts';

/** Where the kernel tells of a container's memory: cgroup version 2, then 1. */
const FILES = ['memory.events', 'memory/memory.oom_control'];
/** What a program ends with that was killed, or a shell one of whose programs was. */
const KILLED = 137;

/** Processes of this container that the kernel has killed for want of memory, since its start; undefined where nobody tells. */
export function oomKills(cgroup = '/sys/fs/cgroup'): number | undefined {
  for (const file of FILES) {
    try {
      const found = /^oom_kill (\d+)$/m.exec(readFileSync(join(cgroup, file), 'utf8'));
      if (found !== null) return Number(found[1]);
    } catch {
      // The other version, or no container.
    }
  }
  return undefined;
}

/**
 * What a program that ended with `code` died of, where that was the container's memory limit: the kernel kills a program
 * of the node and leaves the runner alone. `before` is the count at its start. Undefined when it was something else.
 */
export function outOfMemory(code: number, before: number | undefined, now = oomKills()): Outcome | undefined {
  if (code !== KILLED || before === undefined || now === undefined || now <= before) return undefined;
  return failure('Infra', 'OOMKilled', 'the program was killed: its container used more memory than its limit');
}
