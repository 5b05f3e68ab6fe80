import { readConfig } from '../platform/config/index.ts';
import { StoppedWaiting } from '../platform/health/waiting.ts';
import { begin, cannotStart } from '../platform/process/index.ts';
import { startTracing } from '../platform/tracing/index.ts';
import { startGateway, type GatewayApp } from './wiring/app.ts';
import { gatewayConfigSchema } from './wiring/config.ts';
import { GatewayMetrics } from './wiring/metrics.ts';

/** The model gateway process. Ends with code 1 when it cannot start; a supervisor starts it again. */
async function main(): Promise<void> {
  const config = readConfig(gatewayConfigSchema);
  const metrics = new GatewayMetrics();
  const { log, faults } = await begin({
    process: 'modelgateway', level: config.RAMBO_LOG_LEVEL, dsn: config.RAMBO_SENTRY_DSN, environment: config.RAMBO_SENTRY_ENVIRONMENT, counted: () => { metrics.fault(); },
  });
  const stopTracing = await startTracing('modelgateway', config.OTEL_EXPORTER_OTLP_ENDPOINT);
  const waiting = new AbortController();
  const running: { app?: GatewayApp } = {};
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
  const app = await startGateway(config, log, metrics, waiting.signal);
  running.app = app;
  log.info({ port: app.port, healthPort: app.healthPort }, 'listening');
}

main().catch((error: unknown) => {
  if (error instanceof StoppedWaiting) process.exit(0);
  cannotStart('modelgateway', error);
});
