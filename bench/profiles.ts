import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const profileSchema = z.object({
  nodes: z.array(z.object({ id: z.number(), callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }) })),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

/** Time a function itself took, without what it called. */
export interface SelfTime {
  readonly where: string;
  readonly ms: number;
}

/** Functions of a `.cpuprofile` by their own time, the most expensive first. */
export function selfTimes(text: string): readonly SelfTime[] {
  const { nodes, samples, timeDeltas } = profileSchema.parse(JSON.parse(text));
  const names = new Map(nodes.map(({ id, callFrame }) => [id, `${callFrame.functionName || '(anonymous)'} ${callFrame.url.split('/').pop() ?? ''}:${callFrame.lineNumber + 1}`]));
  const self = new Map<string, number>();
  for (const [i, sample] of samples.entries()) {
    const where = names.get(sample) ?? '(unknown)';
    self.set(where, (self.get(where) ?? 0) + (timeDeltas[i] ?? 0) / 1_000);
  }
  return [...self].map(([where, ms]) => ({ where, ms })).sort((a, b) => b.ms - a.ms);
}

const SHOWN = 20;

/** The top of every profile in a folder, as text. */
export function profileSummaries(folder: string): string {
  return readdirSync(folder).filter((file) => file.endsWith('.cpuprofile')).map((file) => {
    const times = selfTimes(readFileSync(path.join(folder, file), 'utf8'));
    const busy = times.filter((t) => !t.where.startsWith('(idle)'));
    const total = busy.reduce((sum, t) => sum + t.ms, 0);
    const top = busy.slice(0, SHOWN).map((t) => `${t.ms.toFixed(0).padStart(7)} ms ${(100 * t.ms / total).toFixed(1).padStart(5)} %  ${t.where}`);
    return [`${file}: busy for ${total.toFixed(0)} ms`, ...top].join('\n');
  }).join('\n\n');
}
