import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { parseAgent, parseModel, parseRunnerPool, parseToolServer, parseWorkflow, parseWorkflowRun, type Workflow } from '../../../crds/parse.ts';
import { compile } from '../../../engine/compile/compile.ts';
import { startCrdCluster } from './cluster.ts';
import type { CrdCluster } from './cluster.ts';

const FOLDER = join(import.meta.dirname, '../../../examples');
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
const AGENTS = join(FOLDER, 'agents');
const PARSERS = { RunnerPool: parseRunnerPool, WorkflowRun: parseWorkflowRun, Model: parseModel, ToolServer: parseToolServer, Agent: parseAgent };

let cluster: CrdCluster;
beforeAll(async () => { cluster = await startCrdCluster('crds-examples'); }, 60_000);
afterAll(async () => { await cluster.remove(); });

test('every workflow has a run beside it, and the other way round', () => {
  const workflows = files.filter((name) => !name.endsWith('.run.yaml') && name !== 'pool.yaml');
  expect(files.filter((name) => name.endsWith('.run.yaml')).sort()).toEqual(workflows.map((name) => name.replace('.yaml', '.run.yaml')).sort());
});

test.each(files)('%s is taken by a strict kubectl, both ways', async (file) => {
  const verbs = file.endsWith('.run.yaml') ? [['create']] : [['apply'], ['apply', '--server-side']];
  for (const verb of verbs) {
    const answer = await cluster.api.kubectl([...verb, '-n', cluster.namespace, '--dry-run=server', '-f', join(FOLDER, file)]);
    expect(answer).toMatchObject({ code: 0, stderr: '' });
  }
});

test.each(files)('%s parses, and its graph is valid', (file) => {
  const read = z.looseObject({ kind: z.string() }).parse(parseYaml(readFileSync(join(FOLDER, file), 'utf8'), { version: '1.1' }));
  const object = { ...read, metadata: { name: 'x', namespace: 'ns', uid: 'u' } };
  if (read.kind !== 'Workflow') {
    expect(Object.hasOwn(PARSERS, read.kind) ? PARSERS[read.kind as keyof typeof PARSERS](object) : read.kind).toMatchObject({ ok: true });
    return;
  }
  const parsed = parseWorkflow(object);
  expect(parsed.ok ? compile(parsed.value.spec) : parsed).toMatchObject({ ok: true });
});

describe('examples of agents', () => {
  const objects = readdirSync(AGENTS).filter((name) => name.endsWith('.yaml')).flatMap((file) => {
    const text = readFileSync(join(AGENTS, file), 'utf8').replaceAll(/\$\{[A-Z_]+\}/g, 'http://fixtures.example.com/mcp');
    return parseAllDocuments(text, { version: '1.1' }).map((document) => ({ file, object: z.looseObject({ kind: z.string(), metadata: z.looseObject({ name: z.string().optional() }) }).parse(document.toJS()) }));
  });

  test('every kind is among them', () => {
    expect([...new Set(objects.map(({ object }) => object.kind))]).toEqual(expect.arrayContaining(['Agent', 'Model', 'ToolServer', 'Workflow', 'WorkflowRun']));
  });

  test.each(objects.map(({ file, object }) => [`${file} ${object.kind} ${object.metadata.name ?? ''}`, object] as const))('%s is taken by a strict client, and right', async (_name, object) => {
    const named = { ...object, metadata: { name: 'x', ...object.metadata } };
    expect(await cluster.write(named)).toMatchObject({ status: 201, message: '' });
    const parsed = Object.hasOwn(PARSERS, object.kind) ? PARSERS[object.kind as keyof typeof PARSERS]({ ...named, metadata: { name: 'x', namespace: 'ns', uid: 'u' } }) : parseWorkflow({ ...named, metadata: { name: 'x', namespace: 'ns', uid: 'u' } });
    expect(parsed).toMatchObject({ ok: true });
    if (object.kind === 'Workflow') expect(parsed.ok ? compile((parsed.value as Workflow).spec) : parsed).toMatchObject({ ok: true });
  });
});
