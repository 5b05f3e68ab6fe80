import { makeTargets, pipelineProblems } from './pipeline.ts';

const SHA = '3d3c42e5aac5ba805825da76410c181273ba90b1';
const around = { targets: makeTargets('a: b ## c\ntest: build\n\t@x\nFILE ?=\n'), exists: (file: string) => file === 'hack/setup.sh' };

function workflow(steps: string, job = 'permissions: { contents: read }\n    timeout-minutes: 5'): string {
  return `on: push\npermissions: {}\njobs:\n  one:\n    runs-on: x\n    ${job}\n    steps:\n${steps}`;
}

const GOOD = workflow(`      - uses: actions/checkout@${SHA} # v7.0.1\n        with: { persist-credentials: false }\n      - run: make test && hack/setup.sh\n`);

test('a pipeline in order has no problems', () => {
  expect(pipelineProblems('ci.yml', GOOD, around)).toEqual([]);
});

test('targets of a Makefile', () => {
  expect([...around.targets]).toEqual(['a', 'test']);
});

test.each<[string, string, RegExp]>([
  ['a tag instead of a commit', GOOD.replace(SHA, 'v7'), /pin it by commit/],
  ['a commit without its version', GOOD.replace(' # v7.0.1', ''), /name the version/],
  ['a moving version', GOOD.replace('# v7.0.1', '# v7'), /name the version/],
  ['a token left in .git', GOOD.replace('persist-credentials: false', 'fetch-depth: 0'), /persist-credentials/],
  ['rights of the whole file', GOOD.replace('permissions: {}', 'permissions: { contents: write }'), /set them to \{\}/],
  ['no rights named at all', GOOD.replace('permissions: {}\n', ''), /set them to \{\}/],
  ['a job without rights of its own', workflow('      - run: make test\n', 'timeout-minutes: 5'), /job one: names no permissions/],
  ['a job with all rights', workflow('      - run: make test\n', 'permissions: write-all\n    timeout-minutes: 5'), /job one: names no permissions/],
  ['a job without an end', workflow('      - run: make test\n', 'permissions: {}'), /timeout-minutes/],
  ['a target that does not exist', GOOD.replace('make test', 'make tests'), /`make tests`/],
  ['a script that does not exist', GOOD.replace('hack/setup.sh', 'hack/set-up.sh'), /hack\/set-up\.sh, which does not exist/],
  ['no YAML', 'jobs: [', /no workflow/],
  ['something else', 'jobs: 7', /no workflow/],
])('%s', (_, text, problem) => {
  expect(pipelineProblems('ci.yml', text, around).join('\n')).toMatch(problem);
});

test.each([
  ['actions/cache', '{ path: x }'], ['actions/setup-go', '{ go-version: "1" }'], ['actions/setup-node', '{ node-version: 24 }'],
  ['docker/build-push-action', '{ push: true }'], ['docker/setup-buildx-action', '{}'],
])('a release takes nothing out of a cache: %s', (action, given) => {
  const text = workflow(`      - uses: ${action}@${SHA} # v1.2.3\n        with: ${given}\n`);
  expect(pipelineProblems('release.yml', text, around)).toEqual([expect.stringMatching(/uses a cache/)]);
  expect(pipelineProblems('ci.yml', text, around)).toEqual([]);
});
