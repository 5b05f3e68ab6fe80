import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { archiveEnding } from '../backup/write.ts';
import { draftOf, packFiles, publish, remove } from '../io/files.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './findings.ts';
import type { LogPiece } from './logs.ts';

/** Files of a bundle by name, everything redacted. */
export function bundleFiles(facts: Facts, found: readonly Finding[], logs: readonly LogPiece[], redact: (text: string) => string): ReadonlyMap<string, string> {
  const files = new Map<string, string>([
    ['report.txt', reportText(facts, found)],
    ['database.json', json(facts.database)],
    ['cluster.json', json(facts.cluster)],
    ['processes.json', json(facts.processes.map(({ metrics: _, ...rest }) => rest))],
  ]);
  for (const { name, metrics } of facts.processes) if (metrics !== undefined) files.set(`metrics-${flat(name)}.txt`, metrics);
  for (const { name, text } of logs) files.set(`log-${flat(name)}.txt`, text);
  return new Map([...files].map(([name, text]) => [name, redact(text)] as const));
}

/** What doctor says, as text. */
export function reportText(facts: Facts, found: readonly Finding[]): string {
  const head = `rambo doctor ${facts.version} at ${new Date(facts.at).toISOString()}\n${summary(facts)}`;
  if (found.length === 0) return `${head}\nNothing is wrong.\n`;
  return `${head}\n${found.map(({ kind, what, todo }) => `${kind === 'problem' ? '✗' : '·'} ${what}\n    ${todo}`).join('\n')}\n`;
}

function summary({ database, cluster, processes }: Facts): string {
  const lines = [
    'unseen' in database ? `database: not looked at (${database.unseen})`
      : `database: Postgres ${database.serverVersion}, ${database.migrations.length} migrations, runs ${list(database.phases.map(({ phase, runs }) => `${runs} ${phase}`))}, shards ${list(database.shards.map(({ owner, shards, live }) => `${shards} ${owner ?? 'of nobody'}${live || owner === null ? '' : ' (its lease is over)'}`))}`,
    'unseen' in cluster ? `cluster: not looked at (${cluster.unseen})`
      : `cluster: Kubernetes ${cluster.version}, ${cluster.workflows.length} Workflows, ${cluster.pools.length} RunnerPools, WorkflowRuns ${list(Object.entries(cluster.runs).map(([phase, n]) => `${n} ${phase}`))}, ${cluster.pods.length} pods of ours`,
    ...processes.map(({ name, says }) => `${name}: ${says}`),
  ];
  return `${lines.join('\n')}\n`;
}

function list(parts: readonly string[]): string {
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function flat(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_.-]+/g, '-').slice(0, 200);
}

/** Writes a bundle as a folder or an archive, by one rename. */
export async function writeBundle(files: ReadonlyMap<string, string>, target: string, unique: string, at: number): Promise<void> {
  const out = path.resolve(target);
  const draft = draftOf(out, unique);
  const packed = `${draft}${archiveEnding(out) ?? ''}`;
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  try {
    for (const [name, text] of files) await writeFile(path.join(draft, name), text, { mode: 0o600 });
    if (archiveEnding(out) === undefined) await publish(draft, out);
    else {
      await packFiles(draft, [...files.keys()], packed, at);
      await publish(packed, out);
    }
  } finally {
    await remove(draft);
    if (packed !== draft) await remove(packed);
  }
}
