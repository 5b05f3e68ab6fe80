import { readConfig } from '../platform/config/index.ts';
import { errorMessage } from '../platform/errors/index.ts';
import { StoppedWaiting } from '../platform/health/waiting.ts';
import { createLog } from '../platform/log/index.ts';
import { startTracing } from '../platform/tracing/index.ts';
import { ControllerApp } from './wiring/app.ts';
import { controllerConfigSchema } from './wiring/config.ts';

/** The controller process. Ends with code 1 when it cannot start; a supervisor starts it again. */
async function main(): Promise<void> {
  const config = readConfig(controllerConfigSchema);
  const log = createLog('controller', config.RAMBO_LOG_LEVEL);
  const stopTracing = await startTracing('controller', config.OTEL_EXPORTER_OTLP_ENDPOINT);
  const waiting = new AbortController();
  const running: { app?: ControllerApp } = {};
  const stop = (signal: string): void => {
    if (waiting.signal.aborted) return;
    waiting.abort();
    log.info({ signal }, 'stopping');
    if (running.app === undefined) return;
    running.app.stop().then(stopTracing).then(() => { process.exit(0); }, (error: unknown) => {
      log.error({ err: errorMessage(error) }, 'could not stop cleanly');
      process.exit(1);
    });
  };
  // Before anything else: as the first process of a container it would not hear a signal that nobody listens to.
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const app = await ControllerApp.connect(config, log, waiting.signal);
  running.app = app;
  const { port } = await app.start();
  log.info({ port }, 'listening');
}

main().catch((error: unknown) => {
  if (error instanceof StoppedWaiting) process.exit(0);
  process.stderr.write(`${errorMessage(error)}\n${error instanceof Error && error.cause !== undefined ? `${errorMessage(error.cause)}\n` : ""}`);
  process.exit(1);
});
