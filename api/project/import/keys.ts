/** What a key of the prototype's localStorage holds. */
export type KeyKind = 'projects' | 'olderProjects' | 'globalAgents' | 'tasks' | 'agents' | 'workflows' | 'files' | 'documents' | 'tickets' | 'sprints' | 'preference';

/** A key of localStorage, understood. */
export interface StorageKey {
  readonly kind: KeyKind;
  /** Id of the project it belongs to; empty for keys of no project. */
  readonly project: string;
}

const PLAIN: ReadonlyMap<string, KeyKind> = new Map([['ramboAgentProjects', 'projects'], ['projects', 'olderProjects'], ['ramboAgentGlobalAgents', 'globalAgents']]);

const OF_PROJECT: ReadonlyMap<string, KeyKind> = new Map([
  ['Tasks', 'tasks'], ['Agents', 'agents'], ['Workflows', 'workflows'], ['Files', 'files'], ['RequirementDocs', 'documents'], ['Tickets', 'tickets'], ['Sprints', 'sprints'],
]);

/** Tells what a key holds. All that is none of the prototype's records belongs to its pages: a preference. */
export function storageKey(key: string): StorageKey {
  const plain = PLAIN.get(key);
  if (plain !== undefined) return { kind: plain, project: '' };
  const [, noun = '', project = ''] = /^ramboAgent([A-Za-z]+)_project_(.+)$/s.exec(key) ?? [];
  return { kind: OF_PROJECT.get(noun) ?? 'preference', project: OF_PROJECT.has(noun) ? project : '' };
}
