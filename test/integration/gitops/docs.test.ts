import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { parseAgent, parseModel, parseRunnerPool, parseToolServer, parseWorkflow, parseWorkflowRun } from '../../../crds/parse.ts';
import { compile } from '../../../engine/compile/compile.ts';
import { ROOT } from '../../../hack/verify/files.ts';
import { startCrdCluster, type CrdCluster } from '../crds/cluster.ts';

/** Manifests of ours that stand in the documentation are taken by a strict API server and valid to the engine. */

const manifestSchema = z.looseObject({
  apiVersion: z.string(), kind: z.enum(['Workflow', 'WorkflowRun', 'RunnerPool', 'Agent', 'Model', 'ToolServer']), metadata: z.looseObject({ name: z.string().optional() }), spec: z.looseObject({}),
});
type Manifest = z.infer<typeof manifestSchema>;

const pages = ['README.md', ...readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];

function manifestsOf(page: string): readonly Manifest[] {
  const blocks = [...readFileSync(path.join(ROOT, page), 'utf8').matchAll(/^```ya?ml\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');
  return blocks.flatMap((block) => parseAllDocuments(block, { version: '1.1' }).map((document): unknown => document.toJS()))
    .filter((object) => z.looseObject({ apiVersion: z.literal('rambo.dev/v1alpha1'), spec: z.unknown() }).safeParse(object).success)
    .map((object) => manifestSchema.parse(object));
}

const cases = pages.flatMap((page) => manifestsOf(page).map((manifest, i) => [page, i, manifest.kind, manifest] as const));

let cluster: CrdCluster;
beforeAll(async () => { cluster = await startCrdCluster('docs'); }, 120_000);
afterAll(async () => { await cluster.remove(); });

test('the README and the migration guide have some', () => {
  expect(cases.filter(([page]) => page === 'README.md').length).toBeGreaterThan(0);
  expect(cases.filter(([page]) => page === 'docs/migrating-from-argo.md').map(([, , kind]) => kind)).toEqual(['Workflow', 'WorkflowRun', 'WorkflowRun']);
});

test.each(cases)('%s, manifest %d: %s', async (_, __, kind, manifest) => {
  const { generateName: _generated, ...metadata } = manifest.metadata;
  const object = { ...manifest, metadata: { name: 'from-the-docs', ...metadata, namespace: cluster.namespace } };
  const answer = await cluster.api.kubectl(['apply', '--server-side', '--dry-run=server', '-f', '-'], JSON.stringify(object));
  expect(answer).toMatchObject({ code: 0, stderr: '' });
  const read = { ...object, metadata: { ...object.metadata, uid: 'u' } };
  const parsed = { Workflow: parseWorkflow, WorkflowRun: parseWorkflowRun, RunnerPool: parseRunnerPool, Agent: parseAgent, Model: parseModel, ToolServer: parseToolServer }[kind](read);
  expect(parsed).toMatchObject({ ok: true });
  const spec = kind === 'Workflow' ? parseWorkflow(read) : undefined;
  const inline = kind === 'WorkflowRun' ? parseWorkflowRun(read) : undefined;
  const definition = spec?.ok === true ? spec.value.spec : inline?.ok === true ? inline.value.spec.workflow : undefined;
  if (definition !== undefined) expect(compile(definition)).toMatchObject({ ok: true });
});
