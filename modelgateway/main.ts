import { readConfig } from '../platform/config/index.ts';
import { runProcess } from '../platform/process/run.ts';
import { startGateway } from './wiring/app.ts';
import { gatewayConfigSchema } from './wiring/config.ts';
import { GatewayMetrics } from './wiring/metrics.ts';

/* The model gateway process. */

runProcess('modelgateway', () => {
  const config = readConfig(gatewayConfigSchema);
  const metrics = new GatewayMetrics();
  return {
    level: config.RAMBO_LOG_LEVEL, dsn: config.RAMBO_SENTRY_DSN, environment: config.RAMBO_SENTRY_ENVIRONMENT, otlpEndpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT, counted: () => { metrics.fault(); },
    start: async (log, signal, running) => {
      const app = await startGateway(config, log, metrics, signal);
      running(app);
      log.info({ port: app.port, healthPort: app.healthPort }, 'listening');
    },
  };
});
