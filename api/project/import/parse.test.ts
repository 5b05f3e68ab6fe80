import { parseExport } from './parse.ts';
import type { ImportRecord } from './records.ts';
import { fileName } from './files.ts';

type OfKind<K extends ImportRecord['kind']> = Extract<ImportRecord, { kind: K }>;

/** As `JSON.stringify(localStorage)` gives it. */
function stored(values: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(values).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)])));
}

function only<K extends ImportRecord['kind']>(kind: K, records: readonly ImportRecord[]): readonly OfKind<K>[] {
  return records.filter((record): record is OfKind<K> => record.kind === kind);
}

function one<K extends ImportRecord['kind']>(kind: K, values: Readonly<Record<string, unknown>>): OfKind<K> {
  const [first, second] = only(kind, parseExport(stored(values)));
  if (first === undefined || second !== undefined) throw new Error(`not one ${kind}`);
  return first;
}

const PROJECT = { id: 'proj-001', name: 'Rocket', description: 'To the moon', status: 'On Hold', lastUpdated: '2 days ago', agentCount: 3, theme: { dark: true } };

describe('records of the prototype', () => {
  test('a project: what has a column is there, all else is in the metadata as it was', () => {
    expect(one('project', { ramboAgentProjects: [PROJECT] })).toMatchObject({
      oldId: 'proj-001', identity: 'proj-001', name: 'Rocket', description: 'To the moon', status: 'ON_HOLD', updatedAt: undefined, notes: [],
      metadata: { lastUpdated: '2 days ago', agentCount: 3, theme: { dark: true } },
    });
  });

  test('values that are parsed already are read the same way', () => {
    const strip = (records: readonly ImportRecord[]): unknown => records.map(({ raw: _, ...record }) => record);
    expect(strip(parseExport(JSON.stringify({ ramboAgentProjects: [PROJECT] })))).toEqual(strip(parseExport(stored({ ramboAgentProjects: [PROJECT] }))));
  });

  test('a time counts where it is one, and stays as it was written', () => {
    expect(one('project', { ramboAgentProjects: [{ ...PROJECT, lastUpdated: '2024-05-06T07:08:09+02:00' }] })).toMatchObject({
      updatedAt: Date.UTC(2024, 4, 6, 5, 8, 9), metadata: { lastUpdated: '2024-05-06T07:08:09+02:00' },
    });
    for (const lastUpdated of ['9999-12-31T00:00:00Z', '+275760-09-13T00:00:00.000Z', '2024-99-99', 1_700_000_000_000, null, 'yesterday', '1700000000']) {
      expect(one('project', { ramboAgentProjects: [{ ...PROJECT, lastUpdated }] })).toMatchObject({ updatedAt: undefined, metadata: { lastUpdated } });
    }
  });

  test('a task, with what it refers to by identity and its other fields unchanged', () => {
    const task = {
      id: 't2', projectId: 'proj-001', title: 'Build', status: 'In Progress', assignedTo: 'Builder', startDate: '2024-01-02', durationDays: 3, progress: 40, isMilestone: false,
      parentId: 't1', dependencies: ['t1', 'gone'], isAiPlanned: true, sprintId: 's1', suggestedSubTasks: [{ title: 'a', assignedAgentType: 'b' }], custom: 1,
    };
    expect(one('task', { ramboAgentProjects: [PROJECT], 'ramboAgentTasks_project_proj-001': [task] })).toMatchObject({
      identity: '["proj-001","t2"]', project: 'proj-001', title: 'Build', status: 'IN_PROGRESS', assignedTo: 'Builder',
      parent: { oldId: 't1', identity: '["proj-001","t1"]' }, sprint: { oldId: 's1', identity: '["proj-001","s1"]' }, dependencies: [{ oldId: 't1' }, { oldId: 'gone' }],
      metadata: {
        startDate: '2024-01-02', durationDays: 3, progress: 40, isMilestone: false, dependencies: ['t1', 'gone'], isAiPlanned: true,
        suggestedSubTasks: [{ title: 'a', assignedAgentType: 'b' }], custom: 1,
      },
    });
  });

  test('a status of another spelling is understood and kept, one that nobody knows is only kept', () => {
    const statusOf = (status: unknown): unknown => {
      const task = one('task', { 'ramboAgentTasks_project_p': [{ id: 't', title: 'a', status }] });
      return [task.status, task.metadata['status']];
    };
    expect([statusOf('Done'), statusOf('todo'), statusOf('IN_PROGRESS'), statusOf('Waiting'), statusOf(7), statusOf('constructor')]).toEqual([
      ['DONE', undefined], ['TO_DO', 'todo'], ['IN_PROGRESS', 'IN_PROGRESS'], ['TO_DO', 'Waiting'], ['TO_DO', 7], ['TO_DO', 'constructor'],
    ]);
  });

  test('parents come before their children; a ring is cut, and named', () => {
    const task = (id: string, parentId?: string): object => ({ id, title: id, ...(parentId === undefined ? {} : { parentId }) });
    const tasks = only('task', parseExport(stored({ 'ramboAgentTasks_project_p': [task('c', 'b'), task('b', 'a'), task('a'), task('x', 'y'), task('y', 'x'), task('self', 'self'), task('o', 'gone')] })));
    expect(tasks.map((record) => record.title)).toEqual(['a', 'b', 'c', 'y', 'x', 'self', 'o']);
    expect(tasks.map((record) => record.parent?.oldId)).toEqual([undefined, 'a', 'b', undefined, 'y', undefined, 'gone']);
    expect(tasks.filter((record) => record.notes.length > 0).map((record) => [record.title, record.metadata['parentId']])).toEqual([['y', 'x'], ['self', 'self']]);
  });

  test('agents of a project and of none', () => {
    const agent = { id: 'a1', name: 'Tester', type: 'CI/CD Agent', status: 'Running', lastActivity: 'just now', performance: { cpuUsage: 3 }, config: { model: 'x' }, logs: ['l'] };
    const agents = only('agent', parseExport(stored({ ramboAgentGlobalAgents: [agent], 'ramboAgentAgents_project_p': [agent] })));
    expect(agents.map((record) => [record.project, record.identity])).toEqual([[undefined, '["","a1"]'], ['p', '["p","a1"]']]);
    expect(agents[0]).toMatchObject({ name: 'Tester', type: 'CI/CD Agent', status: 'RUNNING', configuration: { model: 'x' }, metadata: { lastActivity: 'just now', performance: { cpuUsage: 3 }, logs: ['l'] } });
  });

  test('tickets, sprints', () => {
    const ticket = { id: 'k', projectId: 'p', title: 'T', description: 'd', status: 'Resolved', priority: 'Low', type: 'Change Request', assignee: 'me', createdDate: '2024-01-01T00:00:00Z', updatedDate: 'today', aiMetadata: { a: 1 }, sprintId: 's' };
    expect(one('ticket', { 'ramboAgentTickets_project_p': [ticket] })).toMatchObject({
      status: 'RESOLVED', priority: 'LOW', type: 'CHANGE_REQUEST', assignee: 'me', createdAt: Date.UTC(2024, 0), updatedAt: undefined, sprint: { oldId: 's' },
      metadata: { createdDate: '2024-01-01T00:00:00Z', updatedDate: 'today', aiMetadata: { a: 1 } },
    });
    expect(one('sprint', { 'ramboAgentSprints_project_p': [{ id: 's', projectId: 'other', name: 'S', startDate: '2024-02-03', endDate: '2024-02-10T12:00:00Z', status: 'Completed' }] })).toMatchObject({
      name: 'S', status: 'COMPLETED', startDate: '2024-02-03', endDate: '2024-02-10', metadata: { projectId: 'other', endDate: '2024-02-10T12:00:00Z' },
    });
  });

  test('a thumbnail is an address of the web, or only kept', () => {
    const of = (thumbnailUrl: string): unknown => { const { thumbnailUrl: url, metadata } = one('project', { ramboAgentProjects: [{ id: 'p', thumbnailUrl }] }); return [url, metadata]; };
    expect(of('https://example.com/a.png')).toEqual(['https://example.com/a.png', {}]);
    expect(of('javascript:alert(1)')).toEqual([undefined, { thumbnailUrl: 'javascript:alert(1)' }]);
  });
});

describe('workflows', () => {
  const node = (id: string, name: string, type: string, config?: unknown): object => ({ id, name, type, x: 10, y: 20, ...(config === undefined ? {} : { config }) });
  const edge = (id: string, sourceNodeId: string, targetNodeId: string): object => ({ id, sourceNodeId, targetNodeId });
  const workflow = (rest: object): OfKind<'workflow'> => one('workflow', { 'ramboAgentWorkflows_project_p': [{ id: 'w', name: 'Flow', description: 'd', status: 'Active', ...rest }] });

  test('edges become dependsOn, types name agents, places are kept', () => {
    const nodes = [node('n1', 'Analyse Code!', 'Analysis Agent', { depth: 2 }), node('n2', 'Analyse Code?', 'CI/CD Agent')];
    const edges = [edge('e', 'n1', 'n2')];
    const record = workflow({ nodes, edges });
    expect(record.definition).toEqual({ description: 'd', nodes: [
      { name: 'analyse-code', type: 'agent', with: { agentRef: { name: 'analysis-agent' }, input: { depth: 2 } } },
      { name: 'analyse-code-2', type: 'agent', with: { agentRef: { name: 'ci-cd-agent' } }, dependsOn: ['analyse-code'] },
    ] });
    expect(record.metadata).toEqual({ status: 'Active', nodes, edges, canvas: { 'analyse-code': { id: 'n1', name: 'Analyse Code!', x: 10, y: 20 }, 'analyse-code-2': { id: 'n2', name: 'Analyse Code?', x: 10, y: 20 } } });
    expect(record.problems).toEqual([]);
  });

  test('a cycle and an edge that leads nowhere are named, whatever else is wrong', () => {
    const many = Array.from({ length: 30 }, (_, i) => node(`n${i}`, `N ${i}`, 'T'));
    const record = workflow({ nodes: many, edges: [edge('e1', 'n1', 'n2'), edge('e2', 'n2', 'n1'), edge('e3', 'n1', 'gone')] });
    expect(record.problems.slice(0, 2)).toMatchObject([{ reason: 'DanglingEdge', message: expect.stringMatching(/"e3".*"gone"/) as string }, { reason: 'Cycle', message: expect.stringMatching(/n-1 -> n-2|n-2 -> n-1/) as string }]);
    expect(record.definition['nodes']).toHaveLength(30);
  });

  test.each<[string, object]>([['no nodes', {}], ['nodes that are no list', { nodes: 7, edges: 'x' }], ['nodes that are no objects', { nodes: [null, 3], edges: [null] }]])('%s: a draft with a problem, and nothing lost', (_what, rest) => {
    const record = workflow(rest);
    expect(record.problems.length).toBeGreaterThan(0);
    expect(record.metadata).toMatchObject(rest);
  });

  test('a configuration that would be read as an expression is not an input', () => {
    const nodes = [node('n1', 'a', 'T', { evil: '${{ 1 + 1 }}' })];
    const record = workflow({ nodes });
    expect(JSON.stringify(record.definition)).not.toContain('${{');
    expect(record.metadata['nodes']).toEqual(nodes);
  });
});

describe('files', () => {
  const tree = [{
    id: 'f1', name: 'docs', type: 'folder', path: '/docs', lastModified: 'today', children: [
      { id: 'f2', name: 'a.md', type: 'file', path: '/docs/a.md', content: '# A', size: '3 B', lastModified: '2024-01-01T00:00:00Z' },
      { id: 'f3', name: 'a.md', type: 'file', content: 'twin' }, { name: '../b\u0301/..\\c', type: 'file' }, { id: 'f4', name: 'empty', type: 'folder', children: [] },
    ],
  }];

  test('folders come before what is in them; names are safe and one of their kind; content and raw are apart', () => {
    const files = only('file', parseExport(stored({ 'ramboAgentFiles_project_p': tree })));
    expect(files.map(({ folder, name, content, contentType }) => [folder, name, content, contentType])).toEqual([
      [true, 'docs', '', ''], [false, 'a.md', '# A', 'text/markdown'], [false, 'a 2.md', 'twin', 'text/markdown'], [false, '.._b\u0301_.._c'.normalize('NFC'), '', 'text/plain'], [true, 'empty', '', ''],
    ]);
    const [docs, first] = files;
    expect(files.slice(1).every((file) => file.parent === docs?.identity)).toBe(true);
    expect(JSON.parse(docs?.raw ?? '')).toEqual({ ...tree[0], children: [] });
    expect(first?.metadata).toEqual({ path: '/docs/a.md', size: '3 B', lastModified: '2024-01-01T00:00:00Z' });
    expect(files[3]?.notes).toEqual(['the prototype had no content for it: it is empty']);
    expect(files[2]?.metadata).toEqual({ name: 'a.md' });
  });

  test('requirement documents, and the requirements in them', () => {
    const requirement = (id: string): object => ({ id, projectId: 'p', title: `R ${id}`, status: 'Under Review', priority: 'High', version: 2, extra: 1 });
    const records = parseExport(stored({ 'ramboAgentRequirementDocs_project_p': [
      { id: 'd1', name: 'doc.json', type: 'file', content: JSON.stringify([requirement('r1')]) }, { id: 'd2', name: 'x', type: 'file', requirements: [requirement('r2')] },
      { id: 'd3', name: 'folder', type: 'folder', children: [requirement('r3')] }, { id: 'd4', name: 'text', type: 'file', content: 'just words' },
    ] }));
    expect(only('file', records).map(({ name, area }) => [name, area])).toEqual(['doc.json', 'x', 'folder', 'text'].map((name) => [name, 'REQUIREMENTS']));
    expect(only('requirement', records).map(({ title, status, revision, metadata }) => [title, status, revision, metadata])).toEqual(['r1', 'r2', 'r3'].map((id) => [`R ${id}`, 'UNDER_REVIEW', '2', { extra: 1 }]));
  });

  test.each([['../../etc/passwd', '.._.._etc_passwd'], ['..', '_..'], ['.', '_.'], ['', '_'], ['a\0b\n', 'a_b_'], ['e\u0301', '\u00e9'], ['%2e%2e%2f', '%2e%2e%2f']])('%j is the name %j', (given, name) => {
    expect(fileName(given)).toBe(name);
  });

  test('a name of 2,000 characters is cut', () => {
    expect(fileName('x'.repeat(2_000))).toBe('x'.repeat(200));
  });
});

describe('what does not fit', () => {
  test('a value that is no JSON, or no list, is kept as it is', () => {
    const records = parseExport(stored({ ramboAgentProjects: '[{"id":', 'ramboAgentTasks_project_p': '{"a": 1}', 'ramboAgentTickets_project_p': [null, 7, 'x', []] }));
    expect(only('raw', records).map(({ key, raw }) => [key, raw])).toEqual([
      ['ramboAgentProjects', '[{"id":'], ['ramboAgentTasks_project_p', '{"a": 1}'], ...['null', '7', '"x"', '[]'].map((raw) => ['ramboAgentTickets_project_p', raw]),
    ]);
  });

  test('the older key of projects: the newer one has the word, projects that only it has are taken', () => {
    const records = parseExport(stored({ projects: [{ id: 'a', name: 'old' }, { id: 'b', name: 'only' }], ramboAgentProjects: [{ id: 'a', name: 'new' }] }));
    expect(only('project', records).map(({ name }) => name)).toEqual(['new', 'only']);
    expect(only('raw', records).map(({ raw, oldId }) => [raw, oldId])).toEqual([['{"id":"a","name":"old"}', 'a']]);
  });

  test('a second record of an id is one of its own; the same record twice is not', () => {
    const records = parseExport(stored({ ramboAgentProjects: [{ id: 'a', name: 'x' }, { id: 'a', name: 'y' }, { id: 'a', name: 'y' }] }));
    expect(only('project', records).map(({ identity, notes }) => [identity, notes.length])).toEqual([['a', 0], ['a#2', 1]]);
    expect(only('raw', records)).toHaveLength(1);
  });

  test('records of a project that the export lacks get one', () => {
    expect(one('project', { 'ramboAgentTasks_project_lost': [{ id: 't' }] })).toMatchObject({ placeholder: true, identity: 'lost', name: 'lost' });
  });

  test('records without an id are known by their names', () => {
    const of = (names: readonly string[]): unknown => only('sprint', parseExport(stored({ 'ramboAgentSprints_project_p': names.map((name, i) => ({ name, i })) }))).map(({ identity, oldId }) => [identity, oldId]);
    expect(of(['a', 'a', 'b'])).toEqual([['["p","~a"]', undefined], ['["p","~a#2"]', undefined], ['["p","~b"]', undefined]]);
  });

  test('other keys are preferences, verbatim; large ones are kept', () => {
    const records = parseExport(JSON.stringify({ theme: 'dark', __proto__x: '{"a":1}', parsed: { b: [1] }, big: 'x'.repeat(100_000), ramboAgentFiles_project_: '[]' }));
    expect(only('preference', records).map(({ key, value }) => [key, value])).toEqual([['theme', 'dark'], ['__proto__x', '{"a":1}'], ['parsed', { b: [1] }], ['ramboAgentFiles_project_', '[]']]);
    expect(only('raw', records).map(({ key, raw }) => [key, raw.length])).toEqual([['big', 100_000]]);
  });

  test('100,000 levels are kept, not followed', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(parseExport(JSON.stringify({ ramboAgentProjects: `[${deep}]`, 'ramboAgentFiles_project_p': `[{"children":${deep}}]`, theme: deep })).map(({ kind }) => kind)).toEqual(['project', 'raw', 'raw', 'raw']);
  });
});
