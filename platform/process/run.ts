import type { FaultOptions } from '../faults/index.ts';
import { StoppedWaiting } from '../health/waiting.ts';
import type { Log } from '../log/index.ts';
import { startTracing } from '../tracing/index.ts';
import { begin, cannotStart } from './index.ts';

/** What a running process can be told. */
export interface Running {
  stop(): Promise<void>;
}

/** A process that serves until it is told to stop. */
export interface Served extends Omit<FaultOptions, 'process'> {
  readonly level: string;
  /** Where spans go; undefined: nowhere. */
  readonly otlpEndpoint: string | undefined;
  /** Counts a fault. */
  readonly counted: () => void;
  /**
   * Starts it, and says in the log that it listens. `signal`: told to stop while it still waits for what it needs. `running`: from now on
   * there is something to stop.
   */
  readonly start: (log: Log, signal: AbortSignal, running: (app: Running) => void) => Promise<void>;
}

/** Runs a process until SIGTERM or SIGINT. Ends it with code 1 when it cannot start; a supervisor starts it again. */
export function runProcess(name: string, made: () => Served): void {
  serve(name, made).catch((error: unknown) => {
    if (error instanceof StoppedWaiting) process.exit(0);
    cannotStart(name, error);
  });
}

async function serve(name: string, made: () => Served): Promise<void> {
  const served = made();
  const { log, faults } = await begin({ ...served, process: name });
  const stopTracing = await startTracing(name, served.otlpEndpoint);
  const waiting = new AbortController();
  const running: { app?: Running } = {};
  const stop = (signal: string): void => {
    if (waiting.signal.aborted) return;
    waiting.abort();
    log.info({ signal }, 'stopping');
    if (running.app === undefined) return;
    running.app.stop().then(stopTracing).then(faults.flush).then(() => { process.exit(0); }, (error: unknown) => {
      log.error({ err: error }, 'could not stop cleanly');
      void faults.flush().finally(() => { process.exit(1); });
    });
  };
  // Before anything else: as the first process of a container it would not hear a signal that nobody listens to.
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  await served.start(log, waiting.signal, (app) => { running.app = app; });
}
