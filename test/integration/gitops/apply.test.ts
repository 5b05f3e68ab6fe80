import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { ROOT } from '../../../hack/verify/files.ts';
import { runTool } from '../../harness/tools.ts';
import { TestStack } from '../../harness/test-stack.ts';

/**
 * What is applied stays as it is: after the API server has filled in defaults and the controller has written its status, the
 * diff of the same manifest is empty, for the ways Flux, Argo CD and people apply.
 */

let t: TestStack;
let kubectl: (args: readonly string[], stdin?: string) => ReturnType<typeof runTool>;
beforeAll(async () => {
  t = await TestStack.start();
  await t.pool();
  kubectl = (args, stdin) => runTool(t.addresses.kubectl, [`--kubeconfig=${t.addresses.kubeconfig}`, ...args], stdin);
}, 180_000);
afterAll(async () => { await t.stop(); });

type Manifest = { metadata: { name: string; generateName?: string; namespace?: string }; spec: { workflowRef?: { name: string } } & Record<string, unknown> } & Record<string, unknown>;

/** All examples as one list; `suffix` keeps the ways apart. */
function manifests(suffix: string): readonly Manifest[] {
  const folder = path.join(ROOT, 'examples');
  return readdirSync(folder).filter((name) => name.endsWith('.yaml')).flatMap((name) => parseAllDocuments(readFileSync(path.join(folder, name), 'utf8'), { version: '1.1' })).map((document) => {
    const object = document.toJS() as Manifest;
    const name = `${object.metadata.name ?? object.metadata.generateName?.replace(/-$/, '') ?? 'x'}-${suffix}`;
    const { workflowRef } = object.spec;
    return { ...object, metadata: { name, namespace: 'default' }, spec: { ...object.spec, ...(workflowRef === undefined ? {} : { workflowRef: { name: `${workflowRef.name}-${suffix}` } }) } };
  });
}

/** Leaves that clients and the API server treat in their own ways: nulls, numbers, quantities, empty lists and maps. */
function oddities(suffix: string): Manifest {
  return {
    apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: `odd-${suffix}`, namespace: 'default' },
    spec: {
      inputs: { type: 'object', properties: { n: { type: 'number', default: 1.0, maximum: 1e21 } } },
      defaults: { retry: { limit: 0 }, runner: { resources: { requests: { cpu: '0.5', memory: '1024Mi' } } } },
      nodes: [
        { name: 'empty', type: 'transform', with: { output: { list: [], map: {}, zero: 0, no: false, text: '' } } },
        { name: 'shell', type: 'script', dependsOn: ['empty'], with: { language: 'bash', source: 'echo "$HOME"\n\n' }, runner: { env: [{ name: 'B', value: '' }, { name: 'A', value: '1' }] } },
      ],
      outputs: { all: '${{ nodes.empty.output }}' },
    },
  };
}

const WAYS: readonly (readonly [string, readonly string[]])[] = [
  ['Flux', ['--server-side', '--force-conflicts', '--field-manager=kustomize-controller']],
  ['Argo CD with ServerSideApply', ['--server-side', '--force-conflicts', '--field-manager=argocd-controller']],
  ['kubectl apply --server-side', ['--server-side']],
  ['kubectl apply', []],
];

test.each(WAYS)('%s: no drift after defaults and status', async (_, flags) => {
  const suffix = String(WAYS.findIndex(([, other]) => other === flags));
  const list = [...manifests(suffix), oddities(suffix)];
  const text = list.map((object) => stringify(object, { version: '1.1' })).join('---\n');
  expect(await kubectl(['apply', ...flags, '-f', '-'], text)).toMatchObject({ code: 0, stderr: '' });
  expect(await diff(flags, text)).toEqual({ code: 0, stdout: '' });
  for (const { kind, metadata } of list) {
    const done = kind === 'WorkflowRun' ? 'Completed' : 'Ready';
    await t.stack.kubectl.run('wait', `--for=condition=${done}`, `${String(kind)}/${metadata.name}`.toLowerCase(), '--timeout=60s');
  }
  expect(await diff(flags, text)).toEqual({ code: 0, stdout: '' });
  expect((await kubectl(['apply', ...flags, '-f', '-'], text)).stdout.split('\n').filter((line) => line !== '' && !/ (unchanged|serverside-applied)$/.test(line))).toEqual([]);
}, 120_000);

test('a manifest that differs shows in the diff', async () => {
  const object = oddities('changed');
  expect((await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(object))).code).toBe(0);
  const changed = { ...object, spec: { ...object.spec, timeout: '1m' } };
  expect(await diff(['--server-side'], JSON.stringify(changed))).toMatchObject({ code: 1, stdout: expect.stringContaining('+  timeout: 1m') });
});

test('the controller owns nothing of a spec, and nobody else anything of a status', async () => {
  await kubectl(['apply', '--server-side', '--field-manager=kustomize-controller', '-f', '-'], JSON.stringify(oddities('owned')));
  await t.stack.kubectl.run('wait', '--for=condition=Ready', 'workflow/odd-owned', '--timeout=30s');
  const { metadata }: { metadata: { managedFields: readonly { manager: string; subresource?: string; fieldsV1: Record<string, unknown> }[] } } =
    JSON.parse(await t.stack.kubectl.run('get', 'wf', 'odd-owned', '-o', 'json', '--show-managed-fields'));
  expect(metadata.managedFields.map(({ manager, subresource, fieldsV1 }) => `${manager} ${subresource ?? '-'} ${Object.keys(fieldsV1).filter((key) => key !== 'f:metadata').join(',')}`).sort())
    .toEqual(['kustomize-controller - f:spec', 'rambo-controller status f:status']);
});

test('the spec of a run cannot be applied anew: the refusal says immutable, as Flux (force) and Argo CD (Replace) look for', async () => {
  const run = { apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { name: 'once', namespace: 'default' }, spec: { workflow: { nodes: [{ name: 'a', type: 'transform', with: { output: 1 } }] }, input: { n: 1 } } };
  expect((await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(run))).code).toBe(0);
  const again = await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify({ ...run, spec: { ...run.spec, input: { n: 2 } } }));
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/Invalid|is invalid/);
  expect(again.stderr).toMatch(/immutable/);
});

async function diff(flags: readonly string[], text: string): Promise<{ readonly code: number; readonly stdout: string }> {
  const { code, stdout } = await kubectl(['diff', ...flags, '-f', '-'], text);
  return { code, stdout };
}
