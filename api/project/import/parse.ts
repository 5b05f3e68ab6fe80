import { Buffer } from 'node:buffer';
import { LIMITS } from '../../../crds/names.ts';
import { nestsDeeperThan } from '../../http/body.ts';
import { Fields, isRecord, type Json } from './fields.ts';
import { treeRecords } from './files.ts';
import { elementsOf, isJson, membersOf } from './json-slices.ts';
import { storageKey, type KeyKind, type StorageKey } from './keys.ts';
import { KIND_ORDER, type ImportRecord, type TaskRecord } from './records.ts';
import { agentRecord, placeholderProject, projectRecord, sprintRecord, taskRecord, ticketRecord, type Place } from './rows.ts';
import { escapeLone, identityOf, unique, type Taken } from './text.ts';
import { workflowRecord } from './workflows.ts';

/* An export of the prototype, read record by record. Pure; never throws, whatever the text holds. */

/** Records under one key at most. */
const MOST_RECORDS = 100_000;
/** Characters of a tree times its levels at most: about a second. */
const TREE_WORK = 50_000_000;
/** Bytes of one preference at most, and of all: a profile is read with every sign-in. */
const PREFERENCE_BYTES = 65_536;
const PREFERENCES_BYTES = 1_048_576;

const MAKERS: Readonly<Partial<Record<KeyKind, (record: Json, place: Place) => ImportRecord>>> = {
  projects: projectRecord, olderProjects: projectRecord, globalAgents: agentRecord, agents: agentRecord, tasks: taskRecord, workflows: workflowRecord, tickets: ticketRecord, sprints: sprintRecord,
};

/** What the whole export has told so far. */
interface Reading {
  /** Old ids of projects. */
  readonly projects: Taken;
  preferenceBytes: number;
}

/**
 * Records of an export (`JSON.stringify(localStorage)`, or the same with values parsed), in the order in which they can be written.
 * The same text gives the same records. Text that is no JSON object gives one record that holds it.
 */
export function parseExport(text: string): readonly ImportRecord[] {
  const members = isJson(text) ? membersOf(text) : undefined;
  if (members === undefined) return [raw('', text, 'this is no export: a JSON object with the keys of localStorage was expected')];
  const reading: Reading = { projects: new Map(), preferenceBytes: 0 };
  const parts = members.map(({ key, start, end }) => ({ key, at: storageKey(key), text: text.slice(start, end) }));
  // The newer key of projects has the word wherever both know one.
  const first = (part: { readonly at: StorageKey }): number => (part.at.kind === 'projects' ? 0 : part.at.kind === 'olderProjects' ? 1 : 2);
  const records = [...parts].sort((a, b) => first(a) - first(b)).flatMap((part) => ofKey(part.key, part.at, part.text, reading));
  const missing = [...new Set(parts.map((part) => part.at.project))].filter((id) => id !== '' && !reading.projects.has(id));
  return inOrder([...missing.map(placeholderProject), ...records]);
}

function ofKey(name: string, at: StorageKey, text: string, reading: Reading): readonly ImportRecord[] {
  const key = escapeLone(name).replaceAll('\0', '\\u0000');
  const stored: unknown = text.startsWith('"') ? JSON.parse(text) : undefined;
  const value = typeof stored === 'string' ? stored : text;
  if (at.kind === 'preference') return [preference(key, value, typeof stored === 'string', reading)];
  const texts = isJson(value) ? elementsOf(value) : undefined;
  if (texts === undefined) return [raw(key, value, isJson(value) ? 'a list was expected' : 'this is no JSON')];
  if (texts.length > MOST_RECORDS) return [raw(key, value, `more than ${MOST_RECORDS} records`)];
  const levels = levelsOf(at, value.length);
  const { flat = [], deep = [] } = Object.groupBy(texts, (element) => (nestsDeeperThan(element, levels) ? 'deep' : 'flat'));
  return [...recordsOf(key, at, flat, reading), ...deep.map((element) => raw(key, element, 'nested too deeply'))];
}

/** Levels of nesting a record may have. A tree is read once per level: a large one may have few of them. */
function levelsOf({ kind }: StorageKey, length: number): number {
  return kind === 'files' || kind === 'documents' ? Math.min(LIMITS.jsonDepth, 2 * TREE_WORK / length) : LIMITS.jsonDepth;
}

function recordsOf(key: string, at: StorageKey, texts: readonly string[], reading: Reading): readonly ImportRecord[] {
  if (at.kind === 'files' || at.kind === 'documents') {
    return treeRecords(texts, { key, project: at.project, area: at.kind === 'files' ? 'FILES' : 'REQUIREMENTS', seen: new Map() });
  }
  const make = MAKERS[at.kind];
  const ids = at.kind === 'projects' || at.kind === 'olderProjects' ? reading.projects : new Map<string, number>();
  const before = new Set(ids.keys());
  const texted = new Map<string, string>();
  return texts.map((text) => {
    const value: unknown = JSON.parse(text);
    if (make === undefined || !isRecord(value)) return raw(key, text, 'an object was expected');
    const fields = new Fields(value);
    const id = fields.id('id');
    if (id !== undefined && before.has(id)) return raw(key, text, `there is a newer project with the id ${id}: that one was taken`, id);
    // Without an id a record is known by its name, and by its place among those of the same name.
    const own = id ?? `~${fields.name('name', fields.name('title', ''))}`;
    if (texted.get(own) === text) return raw(key, text, 'the same record occurs twice', id);
    texted.set(own, text);
    const free = unique(own, ids, (n) => `${own}#${n}`);
    const notes = free === own ? [] : [`there is another record with the id ${own}: this one was taken as one of its own`];
    const identity = at.kind === 'projects' || at.kind === 'olderProjects' ? identityOf(free) : identityOf(at.project, free);
    return make(value, { key, raw: text, notes: id === undefined || free === own ? [] : notes, oldId: id, identity, project: at.project });
  });
}

function preference(key: string, value: string, stored: boolean, reading: Reading): ImportRecord {
  const bytes = Buffer.byteLength(value);
  if (bytes > PREFERENCE_BYTES || reading.preferenceBytes + bytes > PREFERENCES_BYTES) {
    return raw(key, value, `too large for a preference: ${bytes} bytes, where one holds ${PREFERENCE_BYTES} and all ${PREFERENCES_BYTES}`);
  }
  if (!stored && nestsDeeperThan(value, LIMITS.jsonDepth)) return raw(key, value, `nested deeper than ${LIMITS.jsonDepth} levels`);
  reading.preferenceBytes += bytes;
  return { kind: 'preference', key, raw: value, notes: [], value: stored ? value : JSON.parse(value) };
}

function raw(key: string, text: string, why: string, oldId?: string): ImportRecord {
  return { kind: 'raw', key, raw: text, notes: [why], ...(oldId === undefined ? {} : { oldId }) };
}

/** Kinds in their order; of tasks, parents before children. */
function inOrder(records: readonly ImportRecord[]): readonly ImportRecord[] {
  const byKind = Map.groupBy(records, (record) => record.kind);
  return KIND_ORDER.flatMap((kind): readonly ImportRecord[] => {
    const mine = byKind.get(kind) ?? [];
    return kind === 'task' ? parentsFirst(mine.filter((record) => record.kind === 'task')) : mine;
  });
}

/** A ring of parents is cut where it is met: the reference stays in the metadata, with a note. */
function parentsFirst(tasks: readonly TaskRecord[]): readonly TaskRecord[] {
  const byIdentity = new Map(tasks.map((task) => [task.identity, task] as const));
  const out = new Map<string, TaskRecord>();
  for (const task of tasks) {
    const chain: TaskRecord[] = [];
    const onChain = new Set<string>();
    for (let at: TaskRecord | undefined = task; at !== undefined && !out.has(at.identity); at = byIdentity.get(at.parent?.identity ?? '')) {
      if (onChain.has(at.identity)) break;
      onChain.add(at.identity);
      chain.push(at);
    }
    for (const link of chain.reverse()) out.set(link.identity, isCut(link, out, byIdentity) ? cut(link) : link);
  }
  return [...out.values()];
}

function isCut(task: TaskRecord, out: ReadonlyMap<string, TaskRecord>, all: ReadonlyMap<string, TaskRecord>): boolean {
  return task.parent !== undefined && all.has(task.parent.identity) && !out.has(task.parent.identity);
}

function cut(task: TaskRecord): TaskRecord {
  const { parent, metadata, notes } = task;
  return { ...task, parent: undefined, metadata: { ...metadata, parentId: parent?.oldId ?? null }, notes: [...notes, 'its parents form a ring: it was put at the top, and the parent is kept in the metadata'] };
}
