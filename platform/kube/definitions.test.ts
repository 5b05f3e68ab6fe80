import { SCHEMA_ANNOTATION, SCHEMA_VERSION } from '../../crds/names.ts';
import type { KubeRequest } from './client.ts';
import { checkDefinitions } from './definitions.ts';
import { KubeError } from './errors.ts';

const NAMES = ['workflows.rambo.dev', 'runnerpools.rambo.dev'];

/** Checks against a cluster that has these versions, or answers with this error. */
async function check(answer: (name: string) => number | string | Error | undefined): Promise<readonly string[]> {
  const warned: string[] = [];
  const client = { json: async ({ path, metadataOnly }: KubeRequest) => {
    expect(metadataOnly).toBe(true);
    const found = answer(path.split('/').at(-1) ?? '');
    if (found instanceof Error) throw found;
    return { metadata: found === undefined ? {} : { annotations: { [SCHEMA_ANNOTATION]: String(found) } } };
  } };
  await checkDefinitions(client, NAMES, { warn: (_facts, message) => { warned.push(message); } });
  return warned;
}

test.each([SCHEMA_VERSION, SCHEMA_VERSION + 1])('version %d is new enough', async (version) => {
  expect(await check(() => version)).toEqual([]);
});

test.each([['older', SCHEMA_VERSION - 1], ['without a version', undefined], ['with a version that is no number', 'x']])('a definition %s is named with what to do', async (_name, version) => {
  await expect(check((name) => (name === NAMES[1] ? version : SCHEMA_VERSION))).rejects.toMatchObject({
    code: 'DefinitionOld', message: expect.stringMatching(/^the definition runnerpools\.rambo\.dev has schema version \d+, this release needs \d+: .*kubectl apply --server-side/),
  });
});

test('a missing definition is named with what to do', async () => {
  await expect(check(() => new KubeError(404, 'NotFound', 'gone'))).rejects.toMatchObject({ code: 'DefinitionMissing', message: expect.stringContaining('workflows.rambo.dev is not in the cluster') });
});

test('an API server that is away, or lets us not look, keeps nobody from starting', async () => {
  expect(await check(() => new KubeError(0, 'Unreachable', 'away'))).toEqual([]);
  expect(await check(() => new KubeError(403, 'Forbidden', 'no'))).toEqual(NAMES.map(() => 'may not look at a definition; taken as new enough'));
});
