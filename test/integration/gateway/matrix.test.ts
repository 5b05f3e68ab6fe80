import { operations } from '../../../api/modules.ts';
import type { Operation } from '../../../api/operations/operation.ts';
import { pathFields } from '../../../api/operations/rest-input.ts';
import { schema } from '../../../api/graphql/schema.ts';
import { verifyAudit } from '../../../prisma/audit/index.ts';
import { type Answer, type Caller, CALLERS, expected, ROWS } from './matrix-rows.ts';
import { type Fixture, Matrix, matrixSite } from './matrix-fixture.ts';
import type { Entry, Site } from './site.ts';

/*
 * Every operation, over every surface, asked by everybody. A new operation without a row in matrix-rows.ts fails here: decide who
 * may do it first.
 */

let site: Site;
let matrix: Matrix;
beforeAll(async () => {
  site = await matrixSite();
  matrix = new Matrix(site);
  await matrix.prepare();
});
afterAll(() => site.stop());

interface Learned { readonly status: number; readonly code: string | undefined; readonly text: string }
type Input = Readonly<Record<string, unknown>>;

async function overRest({ rest: { method, path } }: Operation, token: string | undefined, input: Input): Promise<Learned> {
  const inPath = pathFields(path);
  const place = path.replaceAll(/\{([A-Za-z]+)\}/g, (_, name: string) => encodeURIComponent(String(input[name])));
  const others = Object.entries(input).filter(([name]) => !inPath.includes(name));
  const asQuery = method === 'GET' || method === 'DELETE';
  const query = asQuery && others.length > 0 ? `?${new URLSearchParams(Object.fromEntries(others.map(([name, value]) => [name, String(value)]))).toString()}` : '';
  const { status, body } = await site.rest(token, method, `${place}${query}`, asQuery ? undefined : Object.fromEntries(others));
  return { status, code: body?.code, text: JSON.stringify(body) };
}

const STATUS: Readonly<Record<string, number>> = { NotFoundError: 404, ForbiddenError: 403, ConflictError: 409, InvalidInputError: 400, UNAUTHENTICATED: 401, FORBIDDEN: 403, NOT_FOUND: 404, MFA_REQUIRED: 403, RECENT_SIGN_IN_REQUIRED: 403 };

async function overGraphql({ name, kind }: Operation, token: string | undefined, input: Input): Promise<Learned> {
  const type = kind === 'query' ? schema.getQueryType() : schema.getMutationType();
  const field = type?.getFields()[name];
  if (field === undefined) throw new Error(`no field ${name}`);
  const given: Input = field.args.some((arg) => arg.name === 'input') ? { input } : input;
  const args = field.args.filter((arg) => Object.hasOwn(given, arg.name));
  const declared = args.length === 0 ? '' : `(${args.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ')})`;
  const passed = args.length === 0 ? '' : `(${args.map((arg) => `${arg.name}: $${arg.name}`).join(', ')})`;
  const errors = kind === 'query' ? '' : '... on UserError { message } ... on ForbiddenError { code }';
  return posted(token, `${kind} ${declared} { r: ${name}${passed} { __typename ${errors} } }`, given);
}

async function posted(token: string | undefined, query: string, variables: Input): Promise<Learned> {
  const response = await fetch(`${site.url}/graphql`, {
    method: 'POST', headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const body: Entry = JSON.parse(await response.text());
  const code: string | undefined = body.errors?.[0]?.extensions?.code ?? body.data?.r?.code;
  const said: string | undefined = code ?? (body.data?.r === null ? 'NOT_FOUND' : body.data?.r?.__typename);
  return { status: STATUS[said ?? ''] ?? (body.errors === undefined ? 200 : 500), code, text: JSON.stringify(body) };
}

/** `yes` is a status of success, or the one the row says this caller gets beyond the question of right. */
function said({ status, code, text }: Learned, but: number | undefined): string {
  if (but !== undefined && status === but) return 'yes';
  if (status < 300) return 'yes';
  if (code === 'MFA_REQUIRED' || code === 'RECENT_SIGN_IN_REQUIRED') return code;
  return status === 401 || status === 403 || status === 404 ? String(status) : `${status} ${text}`;
}

/** What is left when everything that names the things themselves is taken out. */
function plain(text: string, at: Fixture): string {
  let rest = text;
  for (const [name, value] of Object.entries(at)) rest = rest.replaceAll(value, `<${name}>`);
  return rest.replaceAll(/"(requestId|instance)":"[^"]*"/g, '"$1":""');
}

test('every operation has a row, and every row is an operation', () => {
  expect(Object.keys(ROWS).sort()).toEqual(operations.map(({ name }) => name).sort());
});

test('the route table of REST holds nothing but operations', () => {
  expect(new Set(operations.map(({ rest }) => `${rest.method} ${rest.path}`)).size).toBe(operations.length);
});

const SURFACES = { REST: overRest, GraphQL: overGraphql };
const ASKED = operations.flatMap((operation) => (operation.graphql === false || operation.right.on === 'public' ? ['REST'] as const : ['REST', 'GraphQL'] as const).map((surface) => [operation.name, surface, operation] as const));

describe.each(ASKED)('%s over %s', (name, surface, operation) => {
  const row = ROWS[name];
  if (row === undefined) return; // the first test says so
  const ask = SURFACES[surface];

  test('everybody gets what the table says', async () => {
    const got: Partial<Record<Caller, string>> = {};
    const wanted: Partial<Record<Caller, Answer>> = {};
    // Questions and refusals change nothing: only what was done needs a fresh fixture after it. A refusal that did change something shows at the next caller.
    let at = await matrix.fixture(row.deleted);
    for (const caller of CALLERS) {
      got[caller] = said(await ask(operation, matrix.token(caller), row.input(at)), row.but?.[caller]);
      wanted[caller] = expected(row, caller);
      if (operation.kind === 'query' || got[caller] !== 'yes') continue;
      await matrix.restore();
      at = await matrix.fixture(row.deleted);
    }
    expect(got).toEqual(wanted);
  });

  if (row.placeless !== true) {
    test('not yours and not there are told alike', async () => {
      const there = await matrix.fixture(row.deleted);
      const nowhere = matrix.missing();
      for (const caller of ['owner of another project', 'Kubernetes account with the right elsewhere'] as const) {
        const foreign = await ask(operation, matrix.token(caller), row.input(there));
        const absent = await ask(operation, matrix.token(caller), row.input(nowhere));
        expect(plain(foreign.text, there)).toBe(plain(absent.text, nowhere));
        expect(foreign.status).toBe(absent.status);
      }
    });
  }
});

/** Fields that GraphQL has of its own, and the operation whose row says who may. Who may not change a run is told that it is not there. */
const NATIVE: readonly (readonly [field: string, row: string, query: (at: Fixture) => string])[] = [
  ['run', 'run', ({ run }) => `{ r: run(id: "${run}") { __typename } }`],
  ['runByName', 'run', ({ namespace }) => `{ r: runByName(namespace: "${namespace}", name: "run") { __typename } }`],
  ['runs', 'runs', ({ namespace }) => `{ r: runs(namespace: "${namespace}") { __typename } }`],
  ['workflow', 'workflow', ({ namespace }) => `{ r: workflow(namespace: "${namespace}", name: "build") { __typename } }`],
  ['workflows', 'workflows', ({ namespace }) => `{ r: workflows(namespace: "${namespace}") { __typename } }`],
  ['runnerPools', 'runnerPools', ({ namespace }) => `{ r: runnerPools(namespace: "${namespace}") { __typename } }`],
  ['startRun', 'startRun', ({ namespace }) => `mutation { r: startRun(input: { namespace: "${namespace}", workflow: "build" }) { __typename } }`],
  ['startRuns', 'startRun', ({ namespace }) => `mutation { r: startRuns(inputs: [{ namespace: "${namespace}", workflow: "build" }]) { __typename } }`],
  ['cancelRun', 'cancelRun', ({ run }) => `mutation { r: cancelRun(id: "${run}", mode: Now) { __typename } }`],
  ['suspendRun', 'suspendRun', ({ run }) => `mutation { r: suspendRun(id: "${run}") { __typename } }`],
  ['resumeRun', 'resumeRun', ({ run }) => `mutation { r: resumeRun(id: "${run}") { __typename } }`],
];

describe.each(NATIVE)('%s, a field of GraphQL alone', (field, name, query) => {
  test('everybody gets what the table says', async () => {
    const row = ROWS[name];
    if (row === undefined) throw new Error(`no row ${name}`);
    const steers = /^(cancel|suspend|resume)Run$/.test(field);
    const at = await matrix.fixture();
    const got: Partial<Record<Caller, string>> = {};
    const wanted: Partial<Record<Caller, string>> = {};
    for (const caller of CALLERS) {
      const answer = said(await posted(matrix.token(caller), query(at), {}), undefined);
      got[caller] = answer;
      const should = expected(row, caller);
      wanted[caller] = steers && should === '403' ? '404' : should;
    }
    expect(got).toEqual(wanted);
  });
});

test('runs that were started, steered and refused over GraphQL are in the audit', async () => {
  const at = await matrix.fixture();
  const asked = new Date();
  await posted(matrix.token('owner'), `mutation { r: startRun(input: { namespace: "${at.namespace}", workflow: "build" }) { __typename } }`, {});
  await posted(matrix.token('viewer'), `mutation { r: startRun(input: { namespace: "${at.namespace}", workflow: "build" }) { __typename } }`, {});
  await posted(matrix.token('owner of another project'), `mutation { r: cancelRun(id: "${at.run}", mode: Now) { __typename } }`, {});
  const find = async (): Promise<readonly string[]> => (await site.gateway.read((db) => db.audit.findMany({ where: { at: { gte: asked }, resource: 'workflowruns' }, orderBy: { seq: 'asc' } })))
    .map(({ principal, operation, outcome, code }) => `${principal} ${operation} ${outcome} ${code}`);
  const deadline = Date.now() + 10_000;
  while ((await find()).length < 3 && Date.now() < deadline) await new Promise((resolve) => { setTimeout(resolve, 20); });
  const name = (caller: Caller): string => `user:${matrix.person(caller).userId}`;
  expect(await find()).toEqual([`${name('owner')} startRun DONE OK`, `${name('viewer')} startRun REFUSED FORBIDDEN`, `${name('owner of another project')} cancelRun REFUSED NOT_FOUND`]);
});

test('all of it is in the audit, unbroken: what was done and what was refused', async () => {
  expect(await verifyAudit(site.databaseUrl)).toMatchObject({ broken: [] });
  const rows = await site.gateway.read((db) => db.audit.groupBy({ by: ['operation', 'outcome'], _count: true }));
  const outcomes = new Set(rows.map(({ operation, outcome }) => `${operation} ${outcome}`));
  for (const { name, kind, right } of operations) {
    if (kind === 'mutation' && ROWS[name]?.policy.may.length !== 0) expect(outcomes).toContain(`${name} DONE`);
    if (right.on !== 'public' && name !== 'invitations' && name !== 'projects') expect([...outcomes]).toContain(`${name} REFUSED`);
  }
});
