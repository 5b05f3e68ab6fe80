/** An export such as months of work leave behind in a browser: projects with hundreds of tasks, odd times, gaps, and a few things that are broken. */

const STATUSES = ['To Do', 'In Progress', 'Done', 'Blocked'] as const;

export interface PrototypeTask {
  readonly id: string; readonly projectId: string; readonly title: string; readonly status: string; readonly assignedTo: string; readonly description?: string; readonly startDate?: string; readonly durationDays?: number;
  readonly progress?: number; readonly isMilestone?: boolean; readonly parentId?: string; readonly dependencies?: readonly string[]; readonly isAiPlanned?: boolean; readonly sprintId?: string;
  readonly suggestedSubTasks?: readonly object[];
}

export interface PrototypeExport {
  readonly projects: readonly { readonly id: string; readonly name: string; readonly description: string; readonly status: string; readonly lastUpdated: string; readonly agentCount: number }[];
  readonly tasks: Readonly<Record<string, readonly PrototypeTask[]>>;
  /** As `JSON.stringify(localStorage)` gives it. */
  readonly text: string;
}

/** Makes one; `tasks` per project. */
export function prototypeExport(tasksEach = 120): PrototypeExport {
  const projects = ['proj-001', 'proj-lx2k9a-q8f3z', 'proj-003'].map((id, i) => ({
    id, name: `Project ${i + 1} – Überblick`, description: `What number ${i + 1} is about\nand why`, status: ['Active', 'On Hold', 'Completed'][i] ?? 'Active', lastUpdated: i === 1 ? '2 days ago' : `2024-0${i + 1}-15T10:00:00.000Z`, agentCount: i, thumbnailUrl: 'https://placehold.co/600x400.png',
  }));
  const tasks = Object.fromEntries(projects.map(({ id }) => [id, Array.from({ length: tasksEach }, (_, n): PrototypeTask => taskOf(id, n))]));
  const storage: Record<string, string> = {
    ramboAgentProjects: JSON.stringify(projects), projects: JSON.stringify([{ ...projects[0], name: 'an older copy' }]),
    ramboAgentGlobalAgents: JSON.stringify([{ id: 'agent-g1', name: 'Everywhere', type: 'Analysis Agent', status: 'Idle', lastActivity: '5 minutes ago', config: { depth: 2 } }]),
    'ramboAgentTasks_project_proj-broken': '[{"id": "cut o', theme: 'dark', 'ramboAgentDraft_form': '{"a":1}',
  };
  for (const { id } of projects) {
    storage[`ramboAgentTasks_project_${id}`] = JSON.stringify(tasks[id]);
    Object.assign(storage, restOf(id));
  }
  return { projects, tasks, text: JSON.stringify(storage) };
}

function taskOf(projectId: string, n: number): PrototypeTask {
  return {
    id: `task-${n}`, projectId, title: `Task ${n} ${'ä'.repeat(n % 7)}`, status: STATUSES[n % 4] ?? 'Done', assignedTo: n % 3 === 0 ? 'Tester' : n % 3 === 1 ? 'Deploy' : 'The team',
    ...(n % 2 === 0 ? { description: `Line\n${n}`, startDate: '2024-03-01', durationDays: n, progress: n % 101 } : {}), ...(n % 10 === 0 ? { isMilestone: true } : {}),
    ...(n > 0 && n % 5 === 0 ? { parentId: `task-${n - 5}`, dependencies: [`task-${n - 1}`, 'task-gone'] } : {}), ...(n % 4 === 0 ? { sprintId: 'sprint-1' } : {}),
    ...(n % 25 === 0 ? { isAiPlanned: true, suggestedSubTasks: [{ title: 'Part', assignedAgentType: 'Testing Agent', description: 'd' }] } : {}),
  };
}

function restOf(id: string): Readonly<Record<string, string>> {
  const nodes = [{ id: 'n1', name: 'Plan', type: 'Analysis Agent', x: 1, y: 2, config: { a: 1 } }, { id: 'n2', name: 'Ship it!', type: 'CI/CD Agent', x: 3, y: 4 }];
  return {
    [`ramboAgentAgents_project_${id}`]: JSON.stringify([{ id: 'agent-1', name: 'Tester', type: 'Testing Agent', status: 'Running', lastActivity: '2024-01-01T00:00:00Z', logs: ['one', 'two'], performance: { cpuUsage: 12 } }]),
    [`ramboAgentWorkflows_project_${id}`]: JSON.stringify([
      { id: 'wf-1', name: 'Deploy', description: 'Ships', status: 'Active', lastRun: 'yesterday', nodes, edges: [{ id: 'e1', sourceNodeId: 'n1', targetNodeId: 'n2' }] },
      { id: 'wf-2', name: 'Ring', description: '', status: 'Draft', nodes, edges: [{ id: 'e1', sourceNodeId: 'n1', targetNodeId: 'n2' }, { id: 'e2', sourceNodeId: 'n2', targetNodeId: 'n1' }, { id: 'e3', sourceNodeId: 'n2', targetNodeId: 'gone' }] },
    ]),
    [`ramboAgentFiles_project_${id}`]: JSON.stringify([{ id: 'f1', name: 'src', type: 'folder', path: '/src', lastModified: 'today', children: [{ id: 'f2', name: 'main.ts', type: 'file', path: '/src/main.ts', content: `// ${id}\nexport {};\n`, size: '1.2 MB', lastModified: 'today' }] }, { id: 'f3', name: 'README.md', type: 'file', path: '/README.md', content: '# Grüße' }]),
    [`ramboAgentRequirementDocs_project_${id}`]: JSON.stringify([{ id: 'd1', name: 'reqs.json', type: 'file', path: '/reqs.json', content: JSON.stringify([{ id: 'r1', projectId: id, title: 'It works', description: 'well', status: 'Approved', priority: 'High', version: '1.1', createdDate: '2024-01-01', updatedDate: 'now' }]) }]),
    [`ramboAgentTickets_project_${id}`]: JSON.stringify([{ id: 'tk1', projectId: id, title: 'Broken', description: 'x', status: 'In Progress', priority: 'High', type: 'Bug', assignee: 'Tester', createdDate: '2024-01-02T00:00:00Z', updatedDate: '1 hour ago', aiMetadata: { tags: ['a'] }, sprintId: 'sprint-1' }, null]),
    [`ramboAgentSprints_project_${id}`]: JSON.stringify([{ id: 'sprint-1', projectId: id, name: 'First', goal: 'Begin', startDate: '2024-03-01', endDate: '2024-03-14', status: 'Active' }]),
  };
}
