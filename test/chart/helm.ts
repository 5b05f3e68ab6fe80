import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

/** Root of the checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
/** Folder of the chart. */
export const CHART = path.join(ROOT, 'charts/rambo');

/** An object of the chart, looked into as a test needs. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string; readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>>;
  };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the shapes of twenty kinds, read in one line each
  readonly [field: string]: any;
}

/** Values with which the chart installs without anything outside. */
export const TRIAL = { postgres: { trial: true }, nats: { trial: true } };
/** Values of an installation on servers of one's own. */
export const EXTERNAL = { postgres: { existingSecret: 'pg' }, nats: { existingSecret: 'nats-users', url: 'nats://nats.nats:4222' } };

let helm: string | undefined;

/** The pinned helm; built the first time, which takes minutes (`make test` does it before). */
export function helmBinary(): string {
  helm ??= execFileSync(path.join(ROOT, 'hack/tools/tool.sh'), ['helm'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  return helm;
}

/** Runs helm with values; gives what it printed, and on failure what it said. */
export function runHelm(args: readonly string[], values?: object): { readonly ok: boolean; readonly out: string; readonly error: string } {
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-chart-'));
  try {
    const file = path.join(dir, 'values.json');
    if (values !== undefined) writeFileSync(file, JSON.stringify(values));
    const env = { PATH: process.env['PATH'] ?? '', HOME: dir };
    const { status, stdout, stderr } = spawnSync(helmBinary(), [...args, ...(values === undefined ? [] : ['--values', file])], { encoding: 'utf8', env, maxBuffer: 64 * 1_048_576 });
    return { ok: status === 0, out: stdout, error: stderr };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Text of the rendered chart. Throws with helm's words. */
export function renderText(values: object, flags: readonly string[] = []): string {
  const { ok, out, error } = runHelm(['template', 'rambo', CHART, '--namespace', 'rambo-system', '--kube-version', '1.35.0', ...flags], values);
  if (!ok) throw new Error(error);
  return out;
}

const rendered = new Map<string, readonly Rendered[]>();

/** All objects of the rendered chart, hooks too; once for the same values. Throws with helm's words. */
export function render(values: object, flags: readonly string[] = []): readonly Rendered[] {
  const key = JSON.stringify([values, flags]);
  const known = rendered.get(key) ?? parse(renderText(values, flags));
  rendered.set(key, known);
  return known;
}

function parse(text: string): readonly Rendered[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Rendered | null).filter((object) => object !== null);
}

/** The one object of a kind and name. */
export function the(objects: readonly Rendered[], kind: string, name: string, namespace?: string): Rendered {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name && (namespace === undefined || object.metadata.namespace === namespace));
  if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} objects ${kind} ${name} among ${objects.map((object) => `${object.kind}/${object.metadata.name}`).join(', ')}`);
  return found[0];
}

/** What helm says to values it refuses. */
export function refusal(values: object): string {
  const { ok, error } = runHelm(['template', 'rambo', CHART, '--kube-version', '1.35.0'], values);
  if (ok) throw new Error('these values were taken');
  return error;
}

/** Pod templates of all workloads, with the name of their workload. */
export function podTemplates(objects: readonly Rendered[]): readonly { readonly name: string; readonly component: string; readonly template: Rendered }[] {
  return objects.filter((object) => ['Deployment', 'StatefulSet', 'Job', 'CronJob'].includes(object.kind)).map((object) => ({
    name: `${object.kind}/${object.metadata.name}`, component: String(object.metadata.labels?.['app.kubernetes.io/component']),
    template: (object.kind === 'CronJob' ? object['spec'].jobTemplate.spec : object['spec']).template as Rendered,
  }));
}
