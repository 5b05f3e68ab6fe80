import { enableCompileCache } from 'node:module';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { z } from 'zod';
import { duration, logLevel, readConfig, readSecretFile, text } from '../platform/config/index.ts';
import { systemClock } from '../platform/clock/index.ts';
import { errorMessage } from '../platform/errors/index.ts';
import { systemIds } from '../platform/ids/index.ts';
import { createLog } from '../platform/log/index.ts';
import { startTracing } from '../platform/tracing/index.ts';
import { poolInboxPrefix } from '../platform/messages/subjects.ts';
import { connectBus } from '../platform/nats/bus.ts';
import { Harness } from './core/harness.ts';
import { httpExecutor } from './executors/http.ts';
import { JavascriptProcesses } from './executors/javascript.ts';
import { scriptExecutor } from './executors/script.ts';
import { transformExecutor } from './executors/transform.ts';

enableCompileCache();

/** Environment of a runner; the rest of the environment belongs to the nodes. */
const runnerConfigSchema = z.object({
  RAMBO_NATS_URL: text(),
  RAMBO_NATS_CREDS_FILE: text(),
  RAMBO_NAMESPACE: text(),
  RAMBO_POOL: text(),
  RAMBO_SLOTS: z.coerce.number().int().min(1).max(256).default(8),
  RAMBO_REUSE: z.enum(['Never', 'Run', 'Shared']).default('Run'),
  RAMBO_RUNNER_NAME: text(),
  RAMBO_DRAIN_GRACE: duration('30s'),
  RAMBO_LOG_LEVEL: logLevel(),
  OTEL_EXPORTER_OTLP_ENDPOINT: text().optional(),
});

/** What nodes may see of the pod's environment: all that is not the runner's own. */
function nodeEnv(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !name.startsWith('RAMBO_') && !name.startsWith('NODE_') && !name.startsWith('KUBERNETES_') && !name.startsWith('OTEL_')) out[name] = value;
  }
  return out;
}

async function main(): Promise<void> {
  const config = readConfig(runnerConfigSchema);
  const log = createLog('runner', config.RAMBO_LOG_LEVEL);
  const stopTracing = await startTracing('runner', config.OTEL_EXPORTER_OTLP_ENDPOINT);
  const scratch = `${tmpdir()}/rambo-${process.pid}`;
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  const { RAMBO_NAMESPACE: namespace, RAMBO_POOL: pool } = config;
  const bus = await connectBus({
    url: config.RAMBO_NATS_URL, name: config.RAMBO_RUNNER_NAME, inboxPrefix: poolInboxPrefix(namespace, pool), log,
    creds: () => readSecretFile('RAMBO_NATS_CREDS_FILE', config.RAMBO_NATS_CREDS_FILE),
  });
  const dispatches = await bus.dispatches(namespace, pool);
  const once = config.RAMBO_REUSE === 'Never';
  const javascript = new JavascriptProcesses(scratch, once ? 1 : Math.min(2, config.RAMBO_SLOTS));
  const harness = new Harness({
    clock: systemClock, bus, next: (expires) => dispatches.next(expires), random: systemIds.random, log, namespace, pool, scratch, once,
    runner: config.RAMBO_RUNNER_NAME, slots: config.RAMBO_SLOTS, env: nodeEnv(process.env),
    executors: { script: scriptExecutor(javascript.execute), http: httpExecutor(), transform: transformExecutor },
  });
  process.once('SIGTERM', () => { harness.drain(config.RAMBO_DRAIN_GRACE); });
  process.once('SIGINT', () => { harness.drain(config.RAMBO_DRAIN_GRACE); });
  log.info({ namespace, pool, slots: config.RAMBO_SLOTS, cpuMs: Math.round((process.cpuUsage().user + process.cpuUsage().system) / 1_000) }, 'ready for work');
  await harness.run();
  javascript.stop();
  rmSync(scratch, { recursive: true, force: true });
  await stopTracing();
  await bus.close();
  log.info({}, 'stopped');
  process.exit(0);
}

main().catch((error: unknown) => {
  process.stderr.write(`${errorMessage(error)}\n${error instanceof Error && error.cause !== undefined ? `${errorMessage(error.cause)}\n` : ""}`);
  process.exit(1);
});
