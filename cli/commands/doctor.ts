import { existsSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { loadKubeConfig } from '../../platform/kube/config.ts';
import { writeBundle } from '../doctor/bundle.ts';
import { examine } from '../doctor/doctor.ts';
import type { Unseen } from '../doctor/facts.ts';
import { redactor, secretsOfUrl } from '../doctor/redact.ts';
import { CliError, EXIT_FAILED } from '../errors.ts';
import { prose, stamp, type Io } from '../io/io.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import type { Build } from './build.ts';
import { connectCluster, kubeconfigFile } from '../io/kubeconfig.ts';
import { databaseOption, kubeconfigOption, natsCredsOption } from './options.ts';

interface Options {
  readonly out?: string;
  readonly bundle: boolean;
  readonly databaseUrl?: string;
  readonly kubeconfig?: string;
  readonly natsCreds?: string;
  readonly token?: string;
  readonly namespace: string;
  readonly process?: string;
  readonly logs?: string;
}

/** `rambo doctor`. */
export function doctorCommand(io: Io, build: Build): Command {
  return new Command('doctor')
    .summary('say what is wrong, and collect a support bundle without secrets')
    .description(prose(`Looks at the database, the API server and the processes, says in plain words what is wrong and what to do, and writes a bundle to
send to whoever helps: versions, definitions, conditions of our objects, pods, warnings, metrics, ends of logs, the state of migrations,
shards, queues and runs. Reads only. What it cannot reach it says, and leaves out.

Nothing of a spec, an input, an output or a node's log gets into the bundle, no Secret is read, values of environments are not shown,
and whatever looks like a password, a token or a key is replaced in all text. Still: look through it before you send it.`))
    .addOption(new Option('--out <path>', 'where the bundle goes: a file that ends with .tar.gz, .tgz or .tar, or a folder to make; rambo-doctor-<time>.tar.gz when absent'))
    .option('--no-bundle', 'only say what is wrong')
    .addOption(databaseOption())
    .addOption(kubeconfigOption())
    .addOption(natsCredsOption().hideHelp())
    .addOption(new Option('--token <token>').env('RAMBO_TOKEN').hideHelp())
    .addOption(new Option('-n, --namespace <name>', 'namespace of the release').default('rambo-system').env('RAMBO_NAMESPACE'))
    .addOption(new Option('--process <list>', 'health ports of processes outside of the cluster: name=http://host:port, separated by commas').env('RAMBO_PROCESSES'))
    .addOption(new Option('--logs <folder>', 'folder with .log files of processes outside of the cluster').env('RAMBO_LOGS'))
    .addHelpText('after', `
Examples:
  rambo doctor
  rambo doctor --no-bundle && echo all is well

Ends with code 0 when nothing is wrong, 1 when there is a problem.`)
    .action(async (options: Options) => {
      const out = options.out ?? `rambo-doctor-${stamp(io.clock.now())}.tar.gz`;
      if (options.bundle && existsSync(out)) throw new CliError('Exists', `${out} exists already: give --out another name`);
      const cluster = connect(options.kubeconfig);
      try {
        const diagnosis = await examine(io, {
          databaseUrl: options.databaseUrl, cluster, namespace: options.namespace, processes: processesOf(options.process), logsFolder: options.logs,
          redact: redactor(secretsOf(options)), version: build.version,
        });
        io.print(diagnosis.report);
        if (options.bundle) {
          await writeBundle(diagnosis.files, out, build.unique, io.clock.now());
          io.say(`bundle: ${out} (${diagnosis.files.size} files)`);
        }
        if (diagnosis.found.some(({ kind }) => kind === 'problem')) io.exit(EXIT_FAILED);
      } finally {
        if (!('unseen' in cluster)) cluster.close();
      }
    });
}

function connect(kubeconfig: string | undefined): KubeClient | Unseen {
  try {
    return connectCluster(kubeconfig, 'leave it');
  } catch (error) {
    return { unseen: error instanceof Error ? error.message : String(error) };
  }
}

function processesOf(list: string | undefined): ReadonlyMap<string, string> {
  const entries = (list ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '');
  return new Map(entries.map((entry) => {
    const [, name = '', url = ''] = /^([A-Za-z0-9_.-]+)=(https?:\/\/\S+)$/.exec(entry) ?? [];
    if (name === '') throw new CliError('Usage', `--process: ${entry} is no name=http://host:port`);
    return [name, url] as const;
  }));
}

/** Secrets that this very command holds: none may get into the bundle by whatever way. */
function secretsOf(options: Options): readonly string[] {
  const lines = options.natsCreds === undefined ? [] : readLines(options.natsCreds);
  return [...secretsOfUrl(options.databaseUrl), ...(options.token === undefined ? [] : [options.token]), ...lines.filter((line) => line.length > 20 && !line.includes('---')), ...kubeSecrets(options.kubeconfig)];
}

function kubeSecrets(kubeconfig: string | undefined): readonly string[] {
  try {
    const token = loadKubeConfig(kubeconfigFile(kubeconfig)).token();
    return token === undefined ? [] : [token];
  } catch {
    return []; // what is wrong with it has been said where it was used
  }
}

function readLines(file: string): readonly string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').map((line) => line.trim()) : [];
}
