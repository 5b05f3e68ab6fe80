import type { ObjectsAddress } from './objects.ts';

/** What to start, and where its files go. */
export interface StackOptions {
  /** Folder of everything this stack writes. */
  readonly dir: string;
  /** Keep data and find them again; otherwise scratch, without fsync in etcd. */
  readonly persistent: boolean;
  /** Number of controllers, `controller-0` and on; they share the runs. Tests start their own with 0. */
  readonly controllers: number;
  readonly api: boolean;
  /** The model gateway; where our bundles have none it is left out. */
  readonly modelgateway?: boolean;
  /** The Auth emulator with its demo accounts, so that people can sign in to the API. */
  readonly signIn?: boolean;
  /** An existing cluster instead of our own. */
  readonly kubeconfig?: string;
  /** Folder of the bundles below dist/, and environment that goes with them; for faults. */
  readonly bundles?: { readonly folder: string; readonly env: Readonly<Record<string, string>> };
  /** Folder of Postgres's programs and data; for faults of its disk. Other accounts must be able to reach it. */
  readonly postgresDir?: string;
  /** Folder of etcd's data; it syncs to disk then, even in a scratch stack, unless `unsafe`. For faults of its disk. */
  readonly etcd?: { readonly dir: string; readonly unsafe?: boolean };
  /** Who stands between our processes and the servers they need; for faults. */
  readonly network?: StackNetwork;
  /** Where spans go, OTLP over HTTP; none are made when neither this nor OTEL_EXPORTER_OTLP_ENDPOINT is set. */
  readonly otlpEndpoint?: string;
  /** NODE_OPTIONS of controller, API, model gateway and runners; for profiles. */
  readonly nodeOptions?: string;
  readonly log: (line: string) => void;
}

/** A network of one's own: leads the addresses in the environment of our processes somewhere else. */
export interface StackNetwork {
  /** Called once, when all servers answer and before our processes start. `dir` holds everything of the stack. */
  open(processes: readonly string[], at: StackAddresses, dir: string): Promise<void>;
  /** The environment of a process. */
  lead(process: string, env: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Where everything is. */
export interface StackAddresses {
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly natsCreds: string;
  readonly apiUrl: string;
  readonly token: string;
  readonly controllerMetrics: string;
  /** Where runners reach the model gateway; empty where there is none. */
  readonly modelgateway: string;
  /** Where the API or the model gateway runs: the S3 server behind them. */
  readonly objects: ObjectsAddress | undefined;
  /** host:port of the Auth emulator; empty where there is none. */
  readonly authEmulator: string;
  /** Folder of the mails of the API. */
  readonly mails: string;
}
