import { errorMessage } from '../errors/index.ts';
import { openFaults, type FaultOptions, type FaultSink } from '../faults/index.ts';
import { createLog, type Fault, type Log } from '../log/index.ts';

/** What every process starts with. */
export interface Beginnings {
  readonly log: Log;
  readonly faults: FaultSink;
}

/**
 * The log of a process, with its faults counted and reported. From now on an error that nobody caught is logged and reported
 * before the process ends with code 1, as Node would have it end.
 */
export async function begin(options: FaultOptions & { readonly level: string; readonly counted: () => void }): Promise<Beginnings> {
  const faults = await openFaults(options);
  const log = createLog(options.process, options.level, (fault: Fault) => {
    options.counted();
    faults.report(fault);
  });
  process.once('uncaughtException', (error) => {
    log.error({ err: error }, 'ended by an error that nobody caught');
    void faults.flush().finally(() => { process.exit(1); });
  });
  return { log, faults };
}

/** Ends a process that cannot start: one line that says why, and code 1; a supervisor starts it again. */
export function cannotStart(name: string, error: unknown): void {
  const cause = error instanceof Error && error.cause !== undefined ? `: ${errorMessage(error.cause)}` : '';
  createLog(name, 'info').error({ err: `${errorMessage(error)}${cause}` }, 'cannot start');
  process.exit(1);
}
