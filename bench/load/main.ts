/**
 * Load on the gateway of a real API process: Postgres with fsync on, an access token, 20 connections. Prints what it saw beside its
 * target and writes bench/out/load.json. Never a gate: figures depend on the machine.
 *   node --no-warnings bench/load/main.ts                 all of them, 8 s each
 *   node --no-warnings bench/load/main.ts task,tasks 20   some of them, 20 s each
 *   PROFILE=1 node --no-warnings bench/load/main.ts task  CPU profile of the API below bench/out/profiles
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { argv, env, stderr, stdout } from 'node:process';
import autocannon from 'autocannon';
import pg from 'pg';
import { makeAccessToken } from '../../api/auth/access-tokens.ts';
import { ROOT } from '../../hack/stack/stack.ts';
import { TestStack } from '../../test/harness/test-stack.ts';
import { usage } from '../processes.ts';
import { BIG, seed, SMALL, TASK, USER } from './seed.ts';

interface Case {
  readonly name: string;
  readonly what: string;
  readonly target: { readonly perSecond?: number; readonly p99Ms?: number };
  readonly connections: number;
  readonly path: string;
  readonly body?: object;
}

const CASES: readonly Case[] = [
  // What a request costs that asks for nothing: the others are to be read against it, because machines and their neighbours differ.
  { name: 'nothing', what: 'GraphQL: `{ __typename }`', target: {}, connections: 20, path: '/graphql', body: { query: '{ __typename }' } },
  {
    name: 'task', what: 'GraphQL: one task by its id', target: { perSecond: 3_000, p99Ms: 30 }, connections: 20, path: '/graphql',
    body: { query: 'query($id: ID!) { task(id: $id) { id title status version } }', variables: { id: TASK } },
  },
  { name: 'task-rest', what: 'REST: one task by its id', target: { perSecond: 3_000, p99Ms: 30 }, connections: 20, path: `/api/v1/tasks/${TASK}` },
  {
    name: 'project', what: 'GraphQL: a project with 20 tasks and their runs', target: { perSecond: 800 }, connections: 20, path: '/graphql',
    body: {
      query: 'query($id: ID!) { project(id: $id) { id name status tasks(first: 20) { edges { node { id title status assignedTo runs(first: 5) { edges { node { id phase } } } } } pageInfo { hasNextPage endCursor } } } }',
      variables: { id: SMALL },
    },
  },
  { name: 'tasks', what: 'REST: pages of 20 of a project with half of a million tasks', target: { p99Ms: 20 }, connections: 4, path: `/api/v1/projects/${BIG}/tasks?first=20` },
  { name: 'tasks-status', what: 'the same, of one status', target: { p99Ms: 20 }, connections: 4, path: `/api/v1/projects/${BIG}/tasks?first=20&status=DONE` },
];

interface Figure { readonly name: string; readonly what: string; readonly perSecond: number; readonly p50Ms: number; readonly p99Ms: number; readonly errors: number; readonly hits: number; readonly apiCpuMs: number; readonly postgresCpuMs: number; readonly target: Case['target'] }

/** CPU that the API and Postgres have used, milliseconds. */
function cpu(t: TestStack): { readonly api: number; readonly postgres: number } {
  const used = usage(new Set(t.stack.pids()));
  return { api: used.get('api')?.cpuMs ?? 0, postgres: used.get('postgres')?.cpuMs ?? 0 };
}

/** Reads whose answer was at hand, and all of them. */
async function reads(t: TestStack): Promise<{ readonly hits: number; readonly all: number }> {
  const text = await (await fetch(`${t.stack.apiHealthUrl()}/metrics`)).text();
  const of = (result: string): number => Number(new RegExp(`^rambo_api_answers_total\\{[^}]*result="${result}"[^}]*\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { hits: of('hit'), all: of('hit') + of('miss') + of('stale') };
}

async function measure(t: TestStack, token: string, one: Case, seconds: number): Promise<Figure> {
  const headers = { authorization: `Bearer ${token}`, ...(one.body === undefined ? {} : { 'content-type': 'application/json' }) };
  const options = {
    url: `${t.addresses.apiUrl}${one.path}`, connections: one.connections, headers,
    ...(one.body === undefined ? {} : { method: 'POST' as const, body: JSON.stringify(one.body) }),
  };
  const first = await fetch(options.url, { headers, ...(one.body === undefined ? {} : { method: 'POST', body: JSON.stringify(one.body) }) });
  const text = await first.text();
  if (first.status !== 200 || text.includes('"errors"')) throw new Error(`${one.name}: ${first.status} ${text.slice(0, 300)}`);
  await autocannon({ ...options, duration: 3 });
  const [before, readsBefore] = [cpu(t), await reads(t)];
  const result = await autocannon({ ...options, duration: seconds });
  const [after, readsAfter] = [cpu(t), await reads(t)];
  const requests = Math.max(1, result.requests.total);
  return {
    hits: (readsAfter.hits - readsBefore.hits) / Math.max(1, readsAfter.all - readsBefore.all), apiCpuMs: (after.api - before.api) / requests, postgresCpuMs: (after.postgres - before.postgres) / requests,
    name: one.name, what: one.what, perSecond: Math.round(result.requests.average), p50Ms: result.latency.p50, p99Ms: result.latency.p99, errors: result.errors + result.non2xx, target: one.target,
  };
}

async function main(): Promise<void> {
  const [names = 'all', seconds = '8'] = argv.slice(2);
  const cases = names === 'all' ? CASES : CASES.filter(({ name }) => names.split(',').includes(name));
  const profiles = path.join(ROOT, 'bench/out/profiles');
  mkdirSync(profiles, { recursive: true });
  stderr.write('==> starting a stack\n');
  const t = await TestStack.start({ api: true, ...(env['PROFILE'] === '1' ? { nodeOptions: `--cpu-prof --cpu-prof-dir=${profiles}` } : {}) });
  try {
    const client = new pg.Client({ connectionString: t.addresses.databaseUrl });
    await client.connect();
    const rows = cases.some(({ name }) => name.startsWith('tasks')) ? 1_000_000 : 10_000;
    stderr.write(`==> filling in ${rows} tasks\n`);
    await seed(client, rows);
    const { token, hash } = makeAccessToken();
    await client.query(`INSERT INTO access_token (id, user_id, name, hash, scopes, expires_at, created_at) VALUES (gen_random_uuid(), $1, 'bench', $2, '{read,write,runs}', now() + interval '1 day', now())`, [USER, hash]);
    await client.end();
    const figures: Figure[] = [];
    for (const one of cases) {
      stderr.write(`==> ${one.name}: ${one.what}\n`);
      figures.push(await measure(t, token, one, Number(seconds)));
    }
    writeFileSync(path.join(ROOT, 'bench/out/load.json'), `${JSON.stringify({ at: new Date().toISOString(), load: loadavg(), figures }, null, 2)}\n`);
    for (const { name, what, perSecond, p50Ms, p99Ms, errors, hits, apiCpuMs, postgresCpuMs, target } of figures) {
      stdout.write(`${name.padEnd(14)} ${String(perSecond).padStart(6)} req/s  p50 ${p50Ms} ms  p99 ${p99Ms} ms  errors ${errors}  at hand ${Math.round(100 * hits)} %  CPU per request: API ${apiCpuMs.toFixed(2)} ms, Postgres ${postgresCpuMs.toFixed(2)} ms  (target ${JSON.stringify(target)})  ${what}\n`);
    }
    stdout.write(`load average of the machine ${loadavg().map((value) => value.toFixed(1)).join(' ')}\n`);
  } finally {
    await t.stop();
  }
}

await main();
