import { readConfig } from '../platform/config/index.ts';
import { runProcess } from '../platform/process/run.ts';
import { ControllerApp } from './wiring/app.ts';
import { controllerConfigSchema } from './wiring/config.ts';
import { ControllerMetrics } from './wiring/metrics.ts';

/* The controller process. */

runProcess('controller', () => {
  const config = readConfig(controllerConfigSchema);
  const metrics = new ControllerMetrics();
  return {
    level: config.RAMBO_LOG_LEVEL, dsn: config.RAMBO_SENTRY_DSN, environment: config.RAMBO_SENTRY_ENVIRONMENT, otlpEndpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT, counted: () => { metrics.fault(); },
    start: async (log, signal, running) => {
      const app = await ControllerApp.connect(config, log, metrics, signal);
      // There is something to stop before it has started.
      running(app);
      const { port } = await app.start();
      log.info({ port }, 'listening');
    },
  };
});
