import type { Fault } from '../log/index.ts';

/** Where faults go besides the log. */
export interface FaultSink {
  report(fault: Fault): void;
  /** Resolves when what was reported is out, at most after some seconds. */
  flush(): Promise<void>;
}

/** Where faults are reported, and by whom. */
export interface FaultOptions {
  readonly process: string;
  /** DSN of a project in Sentry; nothing is loaded and nothing leaves without one. */
  readonly dsn: string | undefined;
  /** Name of the installation, as Sentry groups by it. */
  readonly environment: string | undefined;
}

/** Reports faults to Sentry where a DSN is given. Throws where the DSN is none. */
export async function openFaults({ process, dsn, environment }: FaultOptions): Promise<FaultSink> {
  if (dsn === undefined) return { report: () => undefined, flush: () => Promise.resolve() };
  const { sentrySink } = await import('./sentry.ts');
  return sentrySink(process, dsn, environment ?? 'production');
}
