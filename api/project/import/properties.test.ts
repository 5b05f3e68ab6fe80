import fc from 'fast-check';
import { storageKey } from './keys.ts';
import { parseExport } from './parse.ts';
import type { ImportRecord } from './records.ts';

/* What holds for any export, by generated ones. */

const SEED = 20_261_126;

const id = fc.constantFrom('a', 'b', 'c', 'd', '', '__proto__', 'x/y', 7, null, {});
const word = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom('Done', 'Active', '2024-01-02', '2 days ago', '${{ 1 }}', '\0', '\ud800'));
/** Records as older and odder versions of the prototype might have left them. */
const record = fc.dictionary(
  fc.constantFrom('id', 'projectId', 'name', 'title', 'status', 'type', 'description', 'parentId', 'sprintId', 'dependencies', 'assignedTo', 'lastUpdated', 'config', 'extra', '__proto__', 'content', 'version'),
  fc.oneof(id, word, fc.double(), fc.boolean(), fc.array(id, { maxLength: 3 }), fc.jsonValue({ maxDepth: 2 })), { maxKeys: 8 },
);
const { file } = fc.letrec((tie) => ({
  file: fc.record({ id, name: word, type: fc.constantFrom('file', 'folder', 'other'), content: fc.oneof(word, fc.jsonValue()), children: fc.oneof({ depthSize: 'small', withCrossShrink: true }, fc.constant([]), fc.array(tie('file'), { maxLength: 3 })) }, { requiredKeys: [] }),
}));
const workflow = fc.record({
  id, name: word, nodes: fc.oneof(fc.array(fc.record({ id, name: word, type: word, x: fc.double(), config: fc.jsonValue({ maxDepth: 2 }) }, { requiredKeys: [] }), { maxLength: 4 }), fc.jsonValue()),
  edges: fc.oneof(fc.array(fc.record({ id, sourceNodeId: id, targetNodeId: id }, { requiredKeys: [] }), { maxLength: 5 }), fc.jsonValue()),
}, { requiredKeys: [] });
const key = fc.oneof(
  fc.constantFrom('ramboAgentProjects', 'projects', 'ramboAgentGlobalAgents', 'theme'), fc.string({ maxLength: 5 }),
  fc.tuple(fc.constantFrom('Tasks', 'Agents', 'Workflows', 'Files', 'RequirementDocs', 'Tickets', 'Sprints', 'Other'), fc.constantFrom('a', 'b', '__proto__', '')).map(([noun, project]) => `ramboAgent${noun}_project_${project}`),
);
const list = fc.array(fc.oneof({ weight: 6, arbitrary: record }, { weight: 2, arbitrary: file }, { weight: 2, arbitrary: workflow }, { weight: 1, arbitrary: fc.jsonValue() }), { maxLength: 6 });
const value = fc.oneof({ weight: 4, arbitrary: list.map((items) => JSON.stringify(items)) }, { weight: 2, arbitrary: list }, word, fc.json(), fc.jsonValue());
const localStorage = fc.dictionary(key, value, { maxKeys: 8 });

/** Everything in a tree, without its children. */
function flattened(items: readonly unknown[]): readonly string[] {
  return items.flatMap((item) => {
    if (typeof item !== 'object' || item === null || !('children' in item) || !Array.isArray(item.children)) return [JSON.stringify(item)];
    return [JSON.stringify({ ...item, children: [] }), ...flattened(item.children)];
  });
}

/** What an export holds under a key, as texts that the records must have between them. */
function held(name: string, given: unknown): readonly string[] {
  const kind = storageKey(name).kind;
  const text = typeof given === 'string' ? given : JSON.stringify(given);
  if (kind === 'preference') return [text];
  let parsed: unknown;
  try { parsed = JSON.parse(text); } catch { return [text]; }
  if (!Array.isArray(parsed)) return [text];
  return kind === 'files' || kind === 'documents' ? flattened(parsed) : parsed.map((item) => JSON.stringify(item));
}

function sameJson(text: string): string {
  try { return JSON.stringify(JSON.parse(text)); } catch { return text; }
}

test('nothing is lost: whatever an export holds is in the raw text of a record of its key', () => {
  fc.assert(fc.property(localStorage, (data) => {
    const records = parseExport(JSON.stringify(data));
    for (const [name, given] of Object.entries(data)) {
      const texts = new Set(records.filter((found) => name === found.key || name.includes('\0')).flatMap(({ raw }) => [raw, sameJson(raw)]));
      for (const text of held(name, JSON.parse(JSON.stringify(given)))) if (!texts.has(text) && !texts.has(sameJson(text))) throw new Error(`lost from ${name}: ${text}`);
    }
  }), { numRuns: 400, seed: SEED });
});

test('each identity is there once per kind, references are identities of the same project, and the same text gives the same records', () => {
  fc.assert(fc.property(localStorage, (data) => {
    const text = JSON.stringify(data);
    const records = parseExport(text);
    const seen = new Set<string>();
    for (const found of records) {
      if (found.kind === 'raw' || found.kind === 'preference') continue;
      const mine = `${found.kind} ${found.identity}`;
      expect(seen.has(mine)).toBe(false);
      seen.add(mine);
    }
    expect(orderProblems(records)).toEqual([]);
    expect(parseExport(text)).toEqual(records);
  }), { numRuns: 150, seed: SEED });
});

/** What comes before what it needs: the project, the folder, the parent task. */
function orderProblems(records: readonly ImportRecord[]): readonly string[] {
  const seen = new Set<string>();
  const all = new Set(records.flatMap((found) => ('identity' in found ? [`${found.kind} ${found.identity}`] : [])));
  return records.flatMap((found) => {
    if (!('identity' in found)) return [];
    const needs = [
      ...('project' in found && found.project !== undefined ? [`project ${found.project}`] : []),
      ...(found.kind === 'file' && found.parent !== undefined ? [`file ${found.parent}`] : []),
      ...(found.kind === 'task' && found.parent !== undefined && all.has(`task ${found.parent.identity}`) ? [`task ${found.parent.identity}`] : []),
    ];
    const missing = needs.filter((need) => !seen.has(need));
    seen.add(`${found.kind} ${found.identity}`);
    return missing;
  });
}

test('any text whatever gives records and never throws', () => {
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.json().map((text) => text.slice(0, -1)), word), (text) => {
    const records = parseExport(text);
    if (text.trim() !== '{}' && !/^\s*\{\s*\}\s*$/.test(text)) expect(records.length).toBeGreaterThan(0);
  }), { numRuns: 500, seed: SEED });
});
