import { readConfig } from '../platform/config/index.ts';
import { runProcess } from '../platform/process/run.ts';
import { startApp } from './app.ts';
import { apiConfigSchema } from './config.ts';
import { ApiCounters } from './metrics.ts';

/* The API process. */

runProcess('api', () => {
  const config = readConfig(apiConfigSchema);
  const counters = new ApiCounters();
  return {
    level: config.RAMBO_LOG_LEVEL, dsn: config.RAMBO_SENTRY_DSN, environment: config.RAMBO_SENTRY_ENVIRONMENT, otlpEndpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT, counted: () => { counters.fault(); },
    start: async (log, signal, running) => {
      const app = await startApp(config, log, counters, signal);
      running(app);
      log.info({ port: app.port, healthPort: app.healthPort }, 'listening');
    },
  };
});
