import { systemClock } from '../../platform/clock/index.ts';
import { systemIds } from '../../platform/ids/index.ts';
import type { Log } from '../../platform/log/index.ts';
import { agentAskSchema, type AgentAnswer } from '../../platform/messages/agent-ask.ts';
import { AGENT_ASK_QUEUE, AGENT_ASK_SUBJECT } from '../../platform/messages/subjects.ts';
import { readObjectsConfig } from '../../platform/config/index.ts';
import { probeModel, type ProbeParts } from '../models/probe.ts';
import { changedSchema } from '../../platform/messages/payloads.ts';
import { FINAL_PHASES, type RunPhase } from '../../crds/workflow-run.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import { ping, type Db } from '../../prisma/store/index.ts';
import { ModelCatalog } from '../models/catalog.ts';
import { countTokens } from '../models/estimate.ts';
import { limitRows } from '../models/limit-rows.ts';
import { Limiter } from '../models/limiter.ts';
import { makeModel } from '../models/provider.ts';
import { kubeSecrets } from '../models/secrets.ts';
import { kubeConfigMaps } from '../run/config-maps.ts';
import { wireGateway, type GatewayParts, type GatewayServer } from '../server.ts';
import { chaosBus, chaosDb, chaosFetch } from './chaos.ts';
import { defaultLimits, type GatewayConfig } from './config.ts';
import { connectOutside } from './connect.ts';
import type { GatewayMetrics } from './metrics.ts';
import { Outgoing } from './outgoing.ts';

/** The running process. */
export interface GatewayApp {
  /** Port that runners reach. */
  readonly port: number;
  /** Port of /healthz, /readyz, /metrics. */
  readonly healthPort: number;
  /** Unready, then no more connections; model calls finish or are given up, NATS drained, database closed. */
  stop(): Promise<void>;
}

/** Serves once Postgres and NATS are there. Throws as `connectOutside`. */
export async function startGateway(config: GatewayConfig, log: Log, metrics: GatewayMetrics, signal: AbortSignal): Promise<GatewayApp> {
  const { kube, health, ...outside } = await connectOutside(config, log, metrics, signal);
  const db = globalThis.RAMBO_CHAOS === true ? chaosDb(outside.db) : outside.db;
  const bus = globalThis.RAMBO_CHAOS === true ? chaosBus(outside.bus) : outside.bus;
  const outgoing = new Outgoing(config.RAMBO_MODELGATEWAY_ALLOW);
  const fetchFor: GatewayParts['fetchFor'] = (namespace, tls) => (globalThis.RAMBO_CHAOS === true ? chaosFetch(outgoing.for(namespace, tls)) : outgoing.for(namespace, tls));
  const stored = readObjectsConfig(config);
  // The library of the object store costs tens of megabytes: only where there is one.
  const objects = stored === undefined ? undefined : (await import('../../platform/objects/index.ts')).openObjects(stored);
  const secrets = kubeSecrets(kube, systemClock);
  const holder = `${config.RAMBO_REPLICA ?? 'modelgateway'}-${systemIds.secret().slice(0, 8)}`;
  const limiter = new Limiter({ rows: limitRows(db), clock: systemClock, log, holder });
  const server = wireGateway({
    db, bus, clock: systemClock, ids: systemIds, log, counters: metrics, holder,
    catalog: new ModelCatalog(db, systemClock), secrets, configMaps: kubeConfigMaps(kube), limiter, makeModel, countTokens,
    fetchFor,
    patience: { firstMs: config.RAMBO_MODELGATEWAY_FIRST_TOKEN, idleMs: config.RAMBO_MODELGATEWAY_IDLE }, outageMs: config.RAMBO_MODELGATEWAY_OUTAGE,
    defaults: defaultLimits(config), objects,
    door: { host: config.RAMBO_LISTEN_HOST, port: config.RAMBO_LISTEN_PORT, mostBytes: config.RAMBO_MODELGATEWAY_BODY_BYTES, answered: (route, status, seconds) => { metrics.request(route, status, seconds); } },
  });
  const heard = [followRuns(bus, server, log), answerControllers(bus, server, { db, secrets, fetchFor })];
  const port = await server.door.listen();
  server.sweeper.start();
  const state = { stopping: false };
  health.tell({
    checks: { postgres: () => ping(db), nats: () => (bus.connected ? undefined : 'not connected'), stopping: () => (state.stopping ? 'stopping' : undefined) },
    metrics: () => metrics.page(db, bus, limiter.waiting),
  });
  const stop = async (): Promise<void> => {
    state.stopping = true;
    server.door.drain();
    for (const one of heard) one.stop();
    await server.sweeper.stop();
    await server.calls.drain(config.RAMBO_MODELGATEWAY_DRAIN);
    await limiter.close();
    await close({ server, outgoing, bus, db });
    kube.close();
    await health.close();
  };
  return { port, healthPort: health.port, stop };
}

async function close({ server, outgoing, bus, db }: { readonly server: GatewayServer; readonly outgoing: Outgoing; readonly bus: Bus; readonly db: Db }): Promise<void> {
  server.calls.close();
  await server.tools.close();
  await server.door.close();
  outgoing.close();
  await bus.close();
  await db.close();
}

/** Hears of workflow runs that end: their agent runs end at once, and with them what is under way. */
function followRuns(bus: Bus, { sweeper, seen, tools }: GatewayServer, log: Log): { stop(): void } {
  return bus.listen('rambo.changed.>', (_subject, payload) => {
    const notice = changedSchema.safeParse(JSON.parse(new TextDecoder().decode(payload)));
    if (!notice.success || !isFinal(notice.data.phase)) return;
    const { run, phase } = notice.data;
    const told = (error: unknown): void => { log.warn({ run, err: error }, 'what waits for a run that ended could not be looked at; the sweep does it'); };
    tools.changed(run).catch(told);
    if (!seen.take(run)) return;
    sweeper.runEnded(run, phase).catch(told);
  });
}

/** Answers what controllers ask: which tools a server has, whether a model answers. One of the gateways does. */
function answerControllers(bus: Bus, { tools }: GatewayServer, probing: ProbeParts): { stop(): void } {
  return bus.respond(AGENT_ASK_SUBJECT, async (_subject, payload) => {
    const ask = agentAskSchema.safeParse(JSON.parse(new TextDecoder().decode(payload)));
    const answer: AgentAnswer = ask.success
      ? await (ask.data.verb === 'discover' ? tools.answerDiscover(ask.data) : probeModel(probing, ask.data))
      : { v: 1, ok: false, error: { code: 'ProtocolError', message: 'this gateway does not know the question' } };
    return Buffer.from(JSON.stringify(answer));
  }, AGENT_ASK_QUEUE);
}

function isFinal(phase: string): boolean {
  const final: readonly string[] = FINAL_PHASES satisfies readonly RunPhase[];
  return final.includes(phase);
}
