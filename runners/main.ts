import { enableCompileCache } from 'node:module';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { z } from 'zod';
import { duration, logLevel, readConfig, readSecretFile, text } from '../platform/config/index.ts';
import { systemClock } from '../platform/clock/index.ts';
import { systemIds } from '../platform/ids/index.ts';
import type { Log } from '../platform/log/index.ts';
import { begin, cannotStart } from '../platform/process/index.ts';
import { startTracing } from '../platform/tracing/index.ts';
import { poolInboxPrefix } from '../platform/messages/subjects.ts';
import { connectBus, type Bus } from '../platform/nats/bus.ts';
import { chaosExecutors, chaosNext, chaosRunnerBus } from './chaos.ts';
import { fetchDispatch, fetchTargetSchema } from './core/fetch.ts';
import { Harness, type NextDispatch } from './core/harness.ts';
import { agentExecutor } from './executors/agent.ts';
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
  /** Set in the pod of one attempt: which one; see core/fetch.ts. */
  RAMBO_FETCH: fetchTargetSchema.optional(),
  RAMBO_FETCH_SECRET: text().default(''),
  RAMBO_DRAIN_GRACE: duration('30s'),
  RAMBO_LOG_LEVEL: logLevel(),
  OTEL_EXPORTER_OTLP_ENDPOINT: text().optional(),
});

type RunnerConfig = z.output<typeof runnerConfigSchema>;

/** What nodes may see of the pod's environment: all that is not the runner's own. */
function nodeEnv(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !name.startsWith('RAMBO_') && !name.startsWith('NODE_') && !name.startsWith('KUBERNETES_') && !name.startsWith('OTEL_')) out[name] = value;
  }
  return out;
}

/** Where this runner's work comes from: the pool's stream, or in a pod of one attempt the owner of its run. */
async function source(config: RunnerConfig, bus: Bus, nothing: (reason: string) => void, log: Log): Promise<NextDispatch> {
  const { RAMBO_NAMESPACE: namespace, RAMBO_POOL: pool, RAMBO_FETCH: target, RAMBO_FETCH_SECRET: secret } = config;
  if (target !== undefined) return fetchDispatch({ clock: systemClock, bus, namespace, pool, target, secret, random: systemIds.random, nothing, log });
  const dispatches = await bus.dispatches(namespace, pool);
  return (expires) => dispatches.next(expires);
}

async function main(): Promise<void> {
  const config = readConfig(runnerConfigSchema);
  // Faults of a runner stay in its log: its pod runs other people's code, which must not find where reports go.
  const { log } = await begin({ process: 'runner', level: config.RAMBO_LOG_LEVEL, dsn: undefined, environment: undefined, counted: () => undefined });
  const stopTracing = await startTracing('runner', config.OTEL_EXPORTER_OTLP_ENDPOINT);
  const scratch = `${tmpdir()}/rambo-${process.pid}`;
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  const { RAMBO_NAMESPACE: namespace, RAMBO_POOL: pool } = config;
  const bus = await connectBus({
    url: config.RAMBO_NATS_URL, name: config.RAMBO_RUNNER_NAME, inboxPrefix: poolInboxPrefix(namespace, pool), log,
    creds: () => readSecretFile('RAMBO_NATS_CREDS_FILE', config.RAMBO_NATS_CREDS_FILE),
  });
  const pulled = await source(config, bus, (reason) => {
    log.info({ reason }, 'nothing to do');
    harness.drain(0);
  }, log);
  const once = config.RAMBO_REUSE === 'Never' || config.RAMBO_FETCH !== undefined;
  const javascript = new JavascriptProcesses(scratch, once ? 1 : Math.min(2, config.RAMBO_SLOTS));
  const executors = { script: scriptExecutor(javascript.execute), http: httpExecutor(), transform: transformExecutor, agent: agentExecutor(systemClock, systemIds.random, config.RAMBO_RUNNER_NAME) };
  const harness: Harness = new Harness({
    clock: systemClock, bus: globalThis.RAMBO_CHAOS === true ? chaosRunnerBus(bus) : bus, next: globalThis.RAMBO_CHAOS === true ? chaosNext(pulled) : pulled, random: systemIds.random, log, namespace, pool, scratch, once, exclusive: config.RAMBO_REUSE === 'Run' && !once,
    runner: config.RAMBO_RUNNER_NAME, slots: config.RAMBO_SLOTS, env: nodeEnv(process.env),
    executors: globalThis.RAMBO_CHAOS === true ? chaosExecutors(executors) : executors,
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

/** The image of runners brings the bridge of tool servers over stdio along: `bridge install DIR`. */
async function start(): Promise<void> {
  if (process.argv[2] !== 'bridge') return main();
  const { bridge } = await import('./bridge.ts');
  return bridge(process.argv.slice(3));
}

start().catch((error: unknown) => { cannotStart('runner', error); });
