import { AGENT_CASES } from './bad-agents.ts';
import type { Kind } from './cluster.ts';

/** One object and what the API server has to say about it. */
export interface Case {
  readonly what: string;
  readonly kind: Kind;
  readonly spec: unknown;
  /** What the refusal must name. Undefined: the object is taken. */
  readonly refusal?: RegExp;
}

/** A script node with everything it needs. */
export const SCRIPT = { name: 'a', type: 'script', with: { language: 'bash', source: 'true' } };
const TRANSFORM = { name: 'a', type: 'transform', with: { output: 1 } };

function workflow(what: string, node: Readonly<Record<string, unknown>>, refusal?: RegExp, more: Readonly<Record<string, unknown>> = {}): Case {
  const spec = { nodes: [{ ...TRANSFORM, ...node }], ...more };
  return { what, kind: 'Workflow', spec, ...(refusal === undefined ? {} : { refusal }) };
}

function run(what: string, spec: unknown, refusal?: RegExp): Case {
  return { what, kind: 'WorkflowRun', spec, ...(refusal === undefined ? {} : { refusal }) };
}

function pool(what: string, spec: unknown, refusal?: RegExp): Case {
  return { what, kind: 'RunnerPool', spec, ...(refusal === undefined ? {} : { refusal }) };
}

function volume(what: string, mountPath: string, refusal?: RegExp): Case {
  return workflow(`mountPath ${what}`, { runner: { volumes: [{ name: 'v', mountPath, emptyDir: {} }] } }, refusal);
}

/** Names of nodes: DNS-like, but mixed case. */
const nodeNames: readonly Case[] = [
  ...['a', 'fetchAll', 'a-b-1', 'x'.repeat(63)].map((name) => workflow(`node name ${name.slice(0, 12)}`, { name })),
  ...['', '-a', 'A', '1a', 'a_b', 'a.b', 'a b', 'é', '名前', 'a\n', 'x'.repeat(64), 'x'.repeat(253), 'x'.repeat(10_000), '__proto__'].map((name) =>
    workflow(`node name ${JSON.stringify(name.slice(0, 12))} (${name.length})`, { name }, /spec\.nodes\[0\]\.name/)),
];

const durations: readonly Case[] = [
  ...['500ms', '10s', '5m', '1h30m', '2d'].map((timeout) => workflow(`timeout ${timeout}`, { timeout })),
  ...['', '10', 's', '1.5s', '-1s', '10 s', '1w', '9999999999s', 'x'.repeat(40)].map((timeout) =>
    workflow(`timeout ${JSON.stringify(timeout.slice(0, 12))}`, { timeout }, /spec\.nodes\[0\]\.timeout/)),
  workflow('timeout as a number', { timeout: 10 }, /spec\.nodes\[(0|name="a")\]\.timeout.*(must be of type string|expected string)/),
];

const perType: readonly Case[] = [
  workflow('an unknown type', { type: 'daemon' }, /Unsupported value: "daemon": supported values/),
  workflow('container with image', { type: 'container', with: { image: 'local/echo' } }),
  workflow('container without image', { type: 'container', with: {} }, /node a: with\.image is required for type container/),
  workflow('container without with', { type: 'container', with: undefined }, /node a: with\.image is required/),
  workflow('script', SCRIPT),
  workflow('script without source', { type: 'script', with: { language: 'bash' } }, /node a: with\.source is required/),
  workflow('script without language', { type: 'script', with: { source: '' } }, /node a: with\.language is required/),
  workflow('script in another language', { type: 'script', with: { language: 'perl', source: '' } }, /Unsupported value: "perl"/),
  workflow('http without url', { type: 'http', with: { method: 'GET' } }, /node a: with\.url is required/),
  workflow('http', { type: 'http', with: { url: 'http://x/', headers: [{ name: 'A', value: '1' }, { name: 'B', fromEnv: 'T' }] } }),
  workflow('a header with both values', { type: 'http', with: { url: 'u', headers: [{ name: 'A', value: '1', fromEnv: 'T' }] } }, /exactly one of value, fromEnv/),
  workflow('a header with a line break', { type: 'http', with: { url: 'u', headers: [{ name: 'A\r\nB', value: '1' }] } }, /headers\[0\]\.name/),
  workflow('switch without cases', { type: 'switch', with: { default: 1 } }, /node a: with\.cases is required/),
  workflow('switch', { type: 'switch', with: { cases: [{ when: 'true', output: null }, { when: 'false' }], default: 1 } }),
  workflow('wait with duration', { type: 'wait', with: { duration: '1s' } }),
  workflow('wait with both', { type: 'wait', with: { duration: '1s', until: 'x' } }, /node a: type wait needs exactly one of/),
  workflow('wait with neither', { type: 'wait', with: {} }, /node a: type wait needs exactly one of/),
  workflow('signal without name', { type: 'signal', with: {} }, /node a: with\.name is required/),
  workflow('workflow without workflowRef', { type: 'workflow', with: {} }, /node a: with\.workflowRef is required/),
  workflow('resource without action', { type: 'resource', with: {} }, /node a: with\.action is required/),
  workflow('wait forced warm', { type: 'wait', with: { duration: '1s' }, runner: { isolation: 'warm' } }, /node a: runner\.isolation must be auto/),
  workflow('transform forced warm', { runner: { isolation: 'warm' } }),
];

const nodeFields: readonly Case[] = [
  volume('plain', '/data'),
  volume('hidden folder', '/data/.cache/a-b_c'),
  volume('look-alike of a reserved folder', '/process/devices'),
  ...['/a/../b', '/..', '/a//b', '/a/', '/a/./b', 'a', '/', '/a\u0000b', '/a:b', `/${'x'.repeat(4_096)}`].map((path) =>
    volume(JSON.stringify(path.slice(0, 12)), path, /volumes\[0\]\.mountPath/)),
  ...['/proc', '/sys/x', '/dev/null', '/rambo/runner', '/var/run/secrets/kubernetes.io', '/run/secrets'].map((path) =>
    volume(path, path, /mountPath may not lie below/)),
  workflow('volume with two sources', { runner: { volumes: [{ name: 'v', mountPath: '/v', emptyDir: {}, secret: { secretName: 's' } }] } }, /a volume needs exactly one of/),
  workflow('volume without source', { runner: { volumes: [{ name: 'v', mountPath: '/v' }] } }, /a volume needs exactly one of/),
  workflow('envFrom with both', { runner: { envFrom: [{ secretRef: { name: 'a' }, configMapRef: { name: 'b' } }] } }, /exactly one of secretRef, configMapRef/),
  workflow('env with a bad name', { runner: { env: [{ name: '1A', value: '' }] } }, /env\[0\]\.name/),
  workflow('env named twice', { runner: { env: [{ name: 'A' }, { name: 'A' }] } }, /Duplicate value|duplicate/),
  workflow('resources', { runner: { resources: { requests: { cpu: '250m', memory: '1.5Gi' }, limits: { cpu: '1e3' } } } }),
  workflow('a negative quantity', { runner: { resources: { requests: { cpu: '-1' } } } }, /requests\.cpu/),
  workflow('a long key of nodeSelector', { runner: { nodeSelector: { ['k'.repeat(317)]: 'v' } } }, /at most 316 characters/),
  workflow('17 keys of nodeSelector', { runner: { nodeSelector: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v'])) } }, /at most 16|Too many/),
  workflow('retry', { retry: { limit: 3, backoff: { duration: '1s', factor: 1.5, jitter: 0.1 }, on: 'true', infraLimit: 0 } }),
  workflow('retry with a negative limit', { retry: { limit: -1 } }, /retry\.limit/),
  workflow('retry with a bare on', { retry: { true: 'error.class == "User"' } }, /write retry\."on" in quotes/),
  workflow('a long expression', { when: 'x'.repeat(4_097) }, /when.*may not be (longer|more) than 4096/),
  workflow('an empty expression', { when: '' }, /spec\.nodes\[0\]\.when/),
  workflow('parallelism 0', { parallelism: 0 }, /parallelism/),
  workflow('dependsOn named twice', { dependsOn: ['b', 'b'] }, /Duplicate value|duplicate/),
  workflow('an integer as text', { parallelism: '3' }, /parallelism/),
];

const workflows: readonly Case[] = [
  { what: 'no nodes', kind: 'Workflow', spec: { nodes: [] }, refusal: /spec\.nodes/ },
  { what: 'no spec', kind: 'Workflow', spec: undefined, refusal: /spec: Required value/ },
  { what: 'duplicate node names', kind: 'Workflow', spec: { nodes: [SCRIPT, TRANSFORM] }, refusal: /Duplicate value.*"a"|duplicate entries for key \[name="a"\]/ },
  { what: '1,000 nodes', kind: 'Workflow', spec: { nodes: nodes(1_000), onExit: nodes(1_000) } },
  { what: '1,001 nodes', kind: 'Workflow', spec: { nodes: nodes(1_001) }, refusal: /spec\.nodes: Too many: 1001: must have at most 1000 items/ },
  workflow('free-form leaves', {}, undefined, { inputs: { type: 'object', properties: { n: { type: 'integer' } } }, outputs: { sum: '${{ 1 }}', none: null } }),
  workflow('an odd name of an output', {}, /outputs: the name No Name does not match/, { outputs: { 'No Name': 1 } }),
  workflow('__proto__ as name of an output', {}, /outputs: the name __proto__ does not match/, { outputs: JSON.parse('{"__proto__": 1}') }),
  workflow('concurrency', {}, /concurrency\.strategy/, { concurrency: { key: '"k"', strategy: 'Random' } }),
];

const runs: readonly Case[] = [
  run('workflowRef', { workflowRef: { name: 'w' }, input: { any: [1, null] } }),
  run('an inline workflow', { workflow: { nodes: [TRANSFORM] } }),
  run('retryFrom', { retryFrom: { run: '0190f0de-0000-7000-8000-000000000000', nodes: ['a'] } }),
  run('an odd name of an output in an inline workflow', { workflow: { nodes: [TRANSFORM], outputs: { 'a.b': 1 } } }, /outputs: the name a\.b does not match/),
  run('workflowRef and workflow', { workflowRef: { name: 'w' }, workflow: { nodes: [TRANSFORM] } }, /set exactly one of spec\.workflowRef, spec\.workflow, spec\.retryFrom/),
  run('workflowRef and retryFrom', { workflowRef: { name: 'w' }, retryFrom: { run: 'r' } }, /set exactly one of/),
  run('nothing to run', { input: 1 }, /set exactly one of/),
  run('a workflowRef that is no name', { workflowRef: { name: '../w' } }, /workflowRef\.name/),
  run('a workflowRef of 64 characters', { workflowRef: { name: 'x'.repeat(64) } }, /workflowRef\.name/),
  run('another cancel', { workflowRef: { name: 'w' }, cancel: 'Later' }, /Unsupported value: "Later"/),
  run('a bad inline node', { workflow: { nodes: [{ name: 'a', type: 'container' }] } }, /spec\.workflow\.nodes\[0\].*node a: with\.image/),
  run('duplicate nodes inline', { workflow: { nodes: [TRANSFORM, TRANSFORM] } }, /Duplicate value|duplicate entries/),
  run('a service account with an odd name', { workflowRef: { name: 'w' }, serviceAccountName: 'A b' }, /serviceAccountName/),
];

const pools: readonly Case[] = [
  pool('nothing but defaults', {}),
  pool('minReady above max', { minReady: 5, max: 4 }, /spec\.minReady may not be greater than spec\.max/),
  pool('minReady above the default of max', { minReady: 5 }, /spec\.minReady may not be greater than spec\.max/),
  pool('root', { securityContext: { runAsUser: 0 } }, /runAsUser/),
  pool('a bad idleTTL', { idleTTL: 'soon' }, /idleTTL/),
  pool('a bad reuse', { reuse: 'Always' }, /Unsupported value: "Always"/),
  pool('hosts and networks', { http: { allow: ['example.com', '*.svc', '10.0.0.0/8', '[::1]:80'] } }),
  pool('a host with a space', { http: { allow: ['a b'] } }, /http\.allow\[0\]/),
  pool('egress', { networkPolicy: { egress: [{ cidr: '10.0.0.0/8', ports: [443] }] } }),
  pool('a bad CIDR', { networkPolicy: { egress: [{ cidr: 'everywhere' }] } }, /cidr/),
];

/** Names of objects. */
export const objectNames: readonly { readonly kind: Kind; readonly name: string; readonly refusal?: RegExp }[] = [
  { kind: 'Workflow', name: 'x'.repeat(63) },
  { kind: 'Workflow', name: 'x'.repeat(64), refusal: /metadata\.name of a Workflow may have at most 63 characters/ },
  { kind: 'Workflow', name: 'x'.repeat(253), refusal: /metadata\.name of a Workflow may have at most 63 characters/ },
  { kind: 'Workflow', name: 'a.b', refusal: /no dot/ },
  { kind: 'RunnerPool', name: 'x'.repeat(64), refusal: /metadata\.name of a RunnerPool may have at most 63 characters/ },
  ...(['Model', 'ToolServer', 'Agent'] as const).flatMap((kind) => [{ kind, name: 'x'.repeat(63) }, { kind, name: 'x'.repeat(64), refusal: new RegExp(`metadata\\.name of a ${kind} may have at most 63 characters`) }, { kind, name: 'a.b', refusal: /no dot/ }]),
  { kind: 'WorkflowRun', name: 'x'.repeat(64) },
  { kind: 'WorkflowRun', name: 'x'.repeat(253) },
  ...['x'.repeat(254), 'x'.repeat(10_000), '-a', 'é', '名前', 'A'].map((name) => ({ kind: 'WorkflowRun' as const, name, refusal: /metadata\.name: Invalid value/ })),
];

/** `count` nodes, each with a volume, an env and a retry: the dearest shape the rules have to judge. */
export function nodes(count: number): readonly unknown[] {
  return Array.from({ length: count }, (_, index) => ({
    ...SCRIPT,
    name: `n${index}`,
    retry: { limit: 1 },
    runner: { env: [{ name: 'A', value: 'b' }], volumes: [{ name: 'v', mountPath: '/v', emptyDir: {} }], nodeSelector: { k: 'v' } },
  }));
}

/** Every case. */
export const CASES: readonly Case[] = [
  ...nodeNames, ...durations, ...perType, ...nodeFields, ...workflows, ...runs, ...pools, ...AGENT_CASES,
];

/** A spec of each kind that everybody takes. */
export const GOOD_SPEC: Readonly<Record<Kind, unknown>> = {
  Workflow: { nodes: [TRANSFORM] }, WorkflowRun: { workflowRef: { name: 'w' } }, RunnerPool: {},
  Model: { model: 'm', baseUrl: 'http://models.example.com/v1' }, ToolServer: { mcp: { url: 'http://tools.example.com/mcp' } }, Agent: { modelRef: { name: 'm' } },
};
