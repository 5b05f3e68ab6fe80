import { mkdirSync } from 'node:fs';
import path from 'node:path';

/** One run of the golden scenario: which door it takes, and how it has to end. */
export interface GoldenRun {
  readonly name: string;
  readonly door: 'api' | 'cr';
  readonly spec: object;
  readonly expected: 'Succeeded' | 'Failed' | 'Cancelled';
  /** Cancelled by the harness once it runs. */
  readonly cancel?: boolean;
}

/** Leaves a line per attempt and one effect per key; then waits, so that faults meet it in the middle. */
const EFFECT = `import { appendFileSync, openSync } from 'node:fs';
export default async ({ input }) => {
  const { RAMBO_IDEMPOTENCY_KEY: key, RAMBO_RUN_ID: run, RAMBO_NODE: node, RAMBO_ATTEMPT: attempt } = process.env;
  appendFileSync(input.ledger + '/lines', [key, run, node, input.item ?? -1, attempt].join(' ') + '\\n');
  try { openSync(input.ledger + '/keys/' + key, 'wx'); appendFileSync(input.ledger + '/effects', key + '\\n'); } catch {}
  await new Promise((r) => setTimeout(r, input.ms ?? 30));
  if (input.failFirst && attempt === '1') process.exit(3);
  if (input.fail) process.exit(7);
  return input.n ?? 0;
};`;

const SHELL = 'echo "$RAMBO_IDEMPOTENCY_KEY $RAMBO_RUN_ID $RAMBO_NODE -1 $RAMBO_ATTEMPT" >> $LEDGER/lines; sleep 0.05; echo 5 > $RAMBO_OUTPUT_FILE';

function effect(name: string, input: object, more: object = {}): object {
  return { name, type: 'script', with: { language: 'javascript', source: EFFECT, input: { ledger: '${{ inputs.ledger }}', ...input } }, ...more };
}

/** A few runs that between them use what can break: chains, fan-out, retries, waits, pods, handlers, failure, cancellation, both doors. */
export const GOLDEN: readonly GoldenRun[] = [
  { name: 'chain', door: 'api', expected: 'Succeeded', spec: {
    nodes: [effect('a', { n: 1 }), effect('b', { n: '${{ nodes.a.output + 1 }}' }), effect('c', { n: '${{ nodes.b.output + 1 }}' }),
      { name: 'd', type: 'transform', with: { output: '${{ nodes.c.output }}' }, runner: { isolation: 'warm' } }],
    outputs: { n: '${{ nodes.d.output }}' },
  } },
  { name: 'fan', door: 'cr', expected: 'Succeeded', spec: {
    nodes: [effect('fan', { item: '${{ index }}', n: '${{ item }}' }, { forEach: 'range(5)' }), effect('again', { failFirst: true }, { retry: { limit: 2, backoff: { duration: '50ms' } } })],
    onExit: [effect('handler', {})],
  } },
  { name: 'nap', door: 'api', expected: 'Succeeded', spec: { nodes: [{ name: 'wait', type: 'wait', with: { duration: '400ms' } }, effect('after', {}, { dependsOn: ['wait'] })] } },
  { name: 'pod', door: 'cr', expected: 'Succeeded', spec: {
    nodes: [{ name: 'box', type: 'container', with: { image: 'local/sh', command: ['sh', '-c', SHELL] }, runner: { env: [{ name: 'LEDGER', value: '${{ inputs.ledger }}' }] } },
      effect('then', { n: '${{ nodes.box.output }}' })],
  } },
  { name: 'hung', door: 'api', expected: 'Succeeded', spec: {
    // The first attempt hangs until it is timed out; its pod has to go although nobody waits for it.
    nodes: [{ name: 'slow', type: 'container', timeout: '700ms', retry: { limit: 3, on: 'error.class == "Timeout"', backoff: { duration: '20ms' } },
      with: { image: 'local/sh', command: ['sh', '-c', '[ "$RAMBO_ATTEMPT" != 1 ] || exec sleep 300; echo 1 > $RAMBO_OUTPUT_FILE'] } }],
  } },
  { name: 'bad', door: 'api', expected: 'Failed', spec: { nodes: [effect('bad', { fail: true }), effect('never', {}, { dependsOn: ['bad'] })] } },
  { name: 'stopped', door: 'cr', expected: 'Cancelled', cancel: true, spec: { nodes: [effect('long', { ms: 60_000 })] } },
];

/** Makes the folders nodes leave their lines in. */
export function makeLedger(dir: string): string {
  mkdirSync(path.join(dir, 'keys'), { recursive: true });
  return dir;
}
