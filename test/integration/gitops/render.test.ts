import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { parseRunnerPool, parseWorkflow, parseWorkflowRun } from '../../../crds/parse.ts';
import { compile } from '../../../engine/compile/compile.ts';
import { ROOT } from '../../../hack/verify/files.ts';
import { GitopsTool, type AnyObject } from '../../harness/gitops.ts';
import { runTool, toolPath } from '../../harness/tools.ts';
import { startCrdCluster, type CrdCluster } from '../crds/cluster.ts';

/** The examples of examples/gitops, rendered by the real kustomize and Helm and substituted as Flux does. */

const FOLDER = path.join(ROOT, 'examples/gitops');
let cluster: CrdCluster;
let tool: GitopsTool;
let helm: string;
let scratch: string;
beforeAll(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'rambo-gitops-'));
  [cluster, tool, helm] = [await startCrdCluster('gitops'), await GitopsTool.build(), await toolPath('helm')];
}, 900_000);
afterAll(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await cluster.remove();
});

type Rendered = AnyObject & { readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> }; readonly spec: Readonly<Record<string, unknown>> };

function objects(text: string): readonly Rendered[] {
  return parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS() as Rendered | null).filter((object) => object !== null);
}

function find(list: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = list.find((object) => object.kind === kind && (name === undefined || object.metadata.name === name));
  if (found === undefined) throw new Error(`no ${kind} ${name ?? ''} among ${list.map((object) => `${object.kind}/${object.metadata.name}`).join(', ')}`);
  return found;
}

/** Taken by a strict server, and valid to our own compiler. */
async function expectValid(list: readonly Rendered[]): Promise<void> {
  for (const object of list) {
    const answer = await cluster.api.kubectl(['apply', '--server-side', '--dry-run=server', '-n', cluster.namespace, '-f', '-'], JSON.stringify({ ...object, metadata: { ...object.metadata, namespace: cluster.namespace } }));
    expect(answer).toMatchObject({ code: 0, stderr: '' });
    const full = { ...object, metadata: { ...object.metadata, namespace: 'ns', uid: 'u' } };
    if (object.kind === 'Workflow') {
      const parsed = parseWorkflow(full);
      expect(parsed.ok ? compile(parsed.value.spec) : parsed).toMatchObject({ ok: true });
    }
    if (object.kind === 'WorkflowRun') expect(parseWorkflowRun(full)).toMatchObject({ ok: true });
    if (object.kind === 'RunnerPool') expect(parseRunnerPool(full)).toMatchObject({ ok: true });
  }
}

async function kustomize(folder: string): Promise<readonly Rendered[]> {
  const answer = await cluster.api.kubectl(['kustomize', folder]);
  expect(answer).toMatchObject({ code: 0, stderr: '' });
  return objects(answer.stdout);
}

describe('kustomize', () => {
  test('renders base and overlay; patches and the hash of the ConfigMap arrive', async () => {
    const list = await kustomize(path.join(FOLDER, 'kustomize/overlays/production'));
    await expectValid(list);
    expect(list.map((object) => object.kind).sort()).toEqual(['ConfigMap', 'RunnerPool', 'Workflow', 'WorkflowRun']);
    const pool = find(list, 'RunnerPool');
    expect(pool.spec).toMatchObject({ minReady: 1, max: 8, envFrom: [{ configMapRef: { name: find(list, 'ConfigMap').metadata.name } }] });
    expect(find(list, 'ConfigMap').metadata.name).toMatch(/^report-settings-[a-z0-9]+$/);
    expect(find(list, 'Workflow').spec).toMatchObject({ timeout: '30m', nodes: [{ with: { input: '${{ inputs.orders }}' } }] });
  });

  test('a namePrefix reaches the names in our specs', async () => {
    const overlay = path.join(scratch, 'kustomize/overlays/prefixed');
    cpSync(path.join(FOLDER, 'kustomize'), path.join(scratch, 'kustomize'), { recursive: true });
    mkdirSync(overlay);
    for (const file of ['check.yaml']) cpSync(path.join(FOLDER, 'kustomize/overlays/production', file), path.join(overlay, file));
    cpSync(path.join(ROOT, 'gitops/kustomize/name-references.yaml'), path.join(overlay, 'name-references.yaml'));
    writeFileSync(path.join(overlay, 'kustomization.yaml'), 'namePrefix: prod-\nresources: [../../base, check.yaml]\nconfigurations: [name-references.yaml]\n');
    const list = await kustomize(overlay);
    await expectValid(list);
    expect(find(list, 'WorkflowRun').spec).toMatchObject({ workflowRef: { name: 'prod-report' } });
    expect(find(list, 'Workflow').spec).toMatchObject({ nodes: [{ runner: { pool: 'prod-reports' } }] });
    expect(find(list, 'RunnerPool').spec).toMatchObject({ envFrom: [{ configMapRef: { name: find(list, 'ConfigMap').metadata.name } }] });
  });

  test('the copy of the name references is a copy', () => {
    expect(readFileSync(path.join(FOLDER, 'kustomize/base/name-references.yaml'), 'utf8')).toBe(readFileSync(path.join(ROOT, 'gitops/kustomize/name-references.yaml'), 'utf8'));
  });

  test('Argo CD and Flux are pointed at folders that exist', () => {
    const application = find(objects(readFileSync(path.join(FOLDER, 'argocd/application.yaml'), 'utf8')), 'Application');
    const kustomization = find(objects(readFileSync(path.join(FOLDER, 'flux/kustomization.yaml'), 'utf8')), 'Kustomization');
    const { path: fromArgo } = application.spec['source'] as { path: string };
    for (const folder of [fromArgo, String(kustomization.spec['path'])]) expect(readdirSync(path.join(ROOT, folder))).toContain('kustomization.yaml');
  });
});

describe('Flux post-build substitution', () => {
  const vars = { cluster: 'production' };

  test('refuses our expressions as they stand: the whole Kustomization would fail, so nothing is changed in silence', async () => {
    expect(await tool.envsubst('output: ${{ inputs.name }}', vars)).toEqual({ error: 'unable to parse variable name' });
  });

  test('$${{ }} arrives as ${{ }}, beside variables of Flux', async () => {
    expect((await tool.envsubst('a: $${{ inputs.name }} on ${cluster}\nb: $${{ nodes["a-b"].output }}', vars)).text)
      .toBe('a: ${{ inputs.name }} on production\nb: ${{ nodes["a-b"].output }}');
  });

  test('eats ${x} in the source of a script in silence, and leaves $x alone', async () => {
    expect((await tool.envsubst('source: echo "$HOME ${NAME} $${NAME}"', vars)).text).toBe('source: echo "$HOME  ${NAME}"');
    expect((await tool.envsubst('source: echo "${NAME}"', vars, true)).error).toMatch(/variable not set .*NAME/);
  });

  test('every escaped example of ours comes back as it was', async () => {
    for (const name of readdirSync(path.join(ROOT, 'examples')).filter((file) => file.endsWith('.yaml'))) {
      const text = readFileSync(path.join(ROOT, 'examples', name), 'utf8');
      expect((await tool.envsubst(text.replaceAll('${', () => '$${'), vars)).text).toBe(text);
    }
  });

  test('all that the example applies with expressions is exempt from it', async () => {
    const list = await kustomize(path.join(FOLDER, 'kustomize/overlays/production'));
    for (const object of list.filter((one) => JSON.stringify(one).includes('${'))) {
      expect(object.metadata.annotations).toMatchObject({ 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' });
    }
    expect(list.some((object) => JSON.stringify(object).includes('${{'))).toBe(true);
  });
});

describe('a Workflow inside a Helm chart', () => {
  async function template(...values: readonly string[]): Promise<readonly Rendered[]> {
    const answer = await runTool(helm, ['template', 'team', path.join(FOLDER, 'helm'), '--namespace', 'team', ...values.flatMap((value) => ['--set', value])]);
    expect(answer).toMatchObject({ code: 0, stderr: '' });
    return objects(answer.stdout);
  }

  test('helm lint has nothing to say', async () => {
    expect(await runTool(helm, ['lint', '--strict', path.join(FOLDER, 'helm')])).toMatchObject({ code: 0 });
  });

  test('a file outside templates/ arrives as it was written', async () => {
    const list = await template();
    await expectValid(list);
    expect(find(list, 'Workflow', 'report')).toEqual(parseYaml(readFileSync(path.join(FOLDER, 'helm/workflows/report.yaml'), 'utf8'), { version: '1.1' }));
  });

  test('raw strings keep our braces, and values arrive between them', async () => {
    const list = await template('timeout=1h', 'minReady=3');
    await expectValid(list);
    expect(find(list, 'Workflow', 'team-notify').spec).toEqual({
      timeout: '1h',
      inputs: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
      nodes: [
        { name: 'text', type: 'transform', with: { output: 'Hello ${{ inputs.name }}, here is team' } },
        { name: 'loud', type: 'transform', when: 'size(nodes.text.output) > 3', with: { output: '${{ nodes.text.output + "!" }}' } },
      ],
    });
    expect(find(list, 'RunnerPool').spec).toEqual({ minReady: 3 });
  });

  test('unescaped braces are refused by Helm, not rendered to something else', async () => {
    const chart = path.join(scratch, 'chart');
    cpSync(path.join(FOLDER, 'helm'), chart, { recursive: true });
    writeFileSync(path.join(chart, 'templates/wrong.yaml'), 'a: ${{ inputs.name }}\n');
    const { code, stderr } = await runTool(helm, ['template', 'team', chart]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/function "inputs" not defined/);
  });
});
