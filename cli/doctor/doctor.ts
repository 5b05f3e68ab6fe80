import { errorMessage } from '../../platform/errors/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import { databaseFacts, knownMigrations, type DatabaseFacts } from '../../prisma/backup/index.ts';
import type { Io } from '../io/io.ts';
import { bundleFiles, reportText } from './bundle.ts';
import { clusterFacts } from './cluster.ts';
import type { ClusterFacts, Facts, PodFact, ProcessFact, Unseen } from './facts.ts';
import { findings, type Finding } from './findings.ts';
import { folderLogs, podLogs, type LogPiece } from './logs.ts';
import { httpGet, processFact, type Get } from './processes.ts';

/** What to look at. */
export interface DoctorRequest {
  readonly databaseUrl: string | undefined;
  readonly cluster: KubeClient | Unseen;
  /** Namespace of the release. */
  readonly namespace: string;
  /** Base addresses of health ports, by name. */
  readonly processes: ReadonlyMap<string, string>;
  readonly logsFolder: string | undefined;
  readonly redact: (text: string) => string;
  readonly version: string;
}

/** What doctor has to say, and to hand over. */
export interface Diagnosis {
  readonly found: readonly Finding[];
  readonly report: string;
  readonly files: ReadonlyMap<string, string>;
}

/** Looks at everything that can be reached; what cannot be is said and left out. Changes nothing. */
export async function examine(io: Io, request: DoctorRequest): Promise<Diagnosis> {
  io.say('looking at the database, the API server and the processes');
  const [database, cluster] = await Promise.all([lookAtDatabase(request.databaseUrl), lookAtCluster(request)]);
  const pods = 'unseen' in cluster ? [] : cluster.pods;
  const [processes, logs] = await Promise.all([lookAtProcesses(request, pods), collectLogs(request, pods)]);
  const facts: Facts = { at: io.clock.now(), version: request.version, known: knownMigrations(), database, cluster, processes };
  const found = findings(facts);
  return { found, report: request.redact(reportText(facts, found)), files: bundleFiles(facts, found, logs, request.redact) };
}

function lookAtDatabase(url: string | undefined): Promise<DatabaseFacts | Unseen> {
  if (url === undefined) return Promise.resolve({ unseen: 'DATABASE_URL is not set' });
  return databaseFacts(url).catch((error: unknown) => ({ unseen: errorMessage(error) }));
}

function lookAtCluster({ cluster, namespace }: DoctorRequest): Promise<ClusterFacts | Unseen> {
  if ('unseen' in cluster) return Promise.resolve(cluster);
  return clusterFacts(cluster, namespace).catch((error: unknown) => ({ unseen: errorMessage(error) }));
}

/** Those that were named, and pods of the release, through the API server where it lets us. */
function lookAtProcesses({ cluster, namespace, processes }: DoctorRequest, pods: readonly PodFact[]): Promise<readonly ProcessFact[]> {
  const named = [...processes].map(([name, base]) => processFact(name, httpGet(base)));
  const inCluster = 'unseen' in cluster ? [] : pods.flatMap((pod) => (pod.namespace === namespace && pod.healthPort !== undefined ? [processFact(pod.name, proxyGet(cluster, pod, pod.healthPort))] : []));
  return Promise.all([...named, ...inCluster]);
}

function proxyGet(cluster: KubeClient, pod: PodFact, port: number): Get {
  return async (path) => {
    const place = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}:${port}/proxy${path}`;
    return { ok: true, body: await cluster.text({ verb: 'get', resource: 'pods/proxy', path: place }) };
  };
}

async function collectLogs({ cluster, namespace, logsFolder }: DoctorRequest, pods: readonly PodFact[]): Promise<readonly LogPiece[]> {
  const local = await folderLogs(logsFolder);
  return 'unseen' in cluster ? local : [...local, ...await podLogs(cluster, pods, namespace)];
}
