import { Fields, isRecord, type Json } from './fields.ts';
import { elementsOf, isJson, membersOf } from './json-slices.ts';
import type { FileRecord, ImportRecord } from './records.ts';
import { isRequirement, requirementRecord, type Place } from './rows.ts';
import { identityOf, nameOf, unique, type Taken } from './text.ts';

/* Trees of files and of requirement documents: parents before their children, requirements out of the documents. */

/** A tree as it is walked. */
export interface Tree {
  readonly key: string;
  /** Old id of the project. */
  readonly project: string;
  readonly area: FileRecord['area'];
  /** Ids that records of this tree have already, by kind. */
  readonly seen: Taken;
}

const TYPES: ReadonlyMap<string, string> = new Map([
  ['md', 'text/markdown'], ['json', 'application/json'], ['csv', 'text/csv'], ['html', 'text/html'], ['htm', 'text/html'], ['css', 'text/css'], ['js', 'text/javascript'],
  ['xml', 'application/xml'], ['svg', 'image/svg+xml'], ['yaml', 'application/yaml'], ['yml', 'application/yaml'],
]);

/** Records of the trees in a list's elements; each element is JSON text no deeper than recursion may go. */
export function treeRecords(texts: readonly string[], tree: Tree, parent?: { readonly identity: string; readonly path: string }): readonly ImportRecord[] {
  const names: Taken = new Map();
  return texts.flatMap((text, index) => {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) return [{ kind: 'raw', key: tree.key, raw: text, notes: ['this is no file: an object was expected'] } as const];
    const path = `${parent?.path ?? ''}/${typeof value['name'] === 'string' ? value['name'] : index}`;
    if (tree.area === 'REQUIREMENTS' && isRequirement(value)) return [requirementAt(value, text, tree, `${path}:${value['title']}`)];
    return fileWithChildren({ record: value, text, path, parent: parent?.identity, names }, tree);
  });
}

interface Node { readonly record: Json; readonly text: string; readonly path: string; readonly parent: string | undefined; readonly names: Taken }

function fileWithChildren(node: Node, tree: Tree): readonly ImportRecord[] {
  const { record, text } = node;
  const children = Array.isArray(record['children']) ? membersOf(text)?.findLast((member) => member.key === 'children') : undefined;
  const below = children === undefined ? [] : elementsOf(text.slice(children.start, children.end)) ?? [];
  const folder = record['type'] === 'folder' || below.length > 0;
  // The children are records of their own; around them the text stays as it was.
  const raw = children === undefined || below.length === 0 ? text : `${text.slice(0, children.start)}[]${text.slice(children.end)}`;
  const file = fileRecord(node, tree, raw, folder);
  return [file, ...requirementsIn(file, record, tree), ...treeRecords(below, tree, { identity: file.identity, path: node.path })];
}

function fileRecord({ record, path, parent, names }: Node, tree: Tree, raw: string, folder: boolean): FileRecord {
  const fields = new Fields(record);
  const { oldId, identity, notes } = known(fields.id('id'), path, 'file', tree);
  if (oldId !== undefined) fields.take('id');
  if (fields.peek('type') === (folder ? 'folder' : 'file')) fields.take('type');
  if (Array.isArray(record['children'])) fields.take('children');
  const given = fields.name('name', folder ? 'folder' : 'file');
  const plain = fileName(given);
  const name = unique(plain, names, (n) => plain.replace(/(\.[A-Za-z0-9]{1,10})?$/, (end) => ` ${n}${end}`));
  // The original stays where the name had to change.
  const changed = name === record['name'] ? {} : { name: record['name'] ?? null };
  const content = folder ? '' : contentOf(fields);
  return {
    kind: 'file', key: tree.key, raw, oldId, identity, project: identityOf(tree.project), area: tree.area, folder, name, parent, content,
    contentType: folder ? '' : TYPES.get(/\.([A-Za-z0-9]+)$/.exec(name)?.[1]?.toLowerCase() ?? '') ?? 'text/plain',
    notes: [...notes, ...(folder || record['content'] !== undefined ? [] : ['the prototype had no content for it: it is empty'])],
    createdAt: undefined, updatedAt: fields.time('lastModified'), metadata: { ...fields.rest(), ...changed },
  };
}

/** A text as it is; any other value as JSON. */
function contentOf(fields: Fields): string {
  const value = fields.peek('content');
  fields.take('content');
  if (typeof value === 'string') return value;
  return value === undefined || value === null ? '' : JSON.stringify(value);
}

/** A name that can be a file's anywhere: NFC, without separators and control characters, not `.` or `..`. */
export function fileName(text: string): string {
  const plain = nameOf(text.normalize('NFC').replace(/[\u0000-\u001f\u007f/\\]/g, '_'));
  return /^\s*\.{0,2}\s*$/.test(plain) ? `_${plain}` : plain;
}

/** Requirements inside a document: its field `requirements`, or content that is a list of them. */
function requirementsIn(file: FileRecord, record: Json, tree: Tree): readonly ImportRecord[] {
  if (tree.area !== 'REQUIREMENTS') return [];
  const listed = Array.isArray(record['requirements']) ? JSON.stringify(record['requirements']) : undefined;
  return [listed, file.content].flatMap((text) => {
    if (text === undefined || !/^\s*[[{]/.test(text) || !isJson(text)) return [];
    return listOf(text).flatMap((element, index) => {
      const value: unknown = JSON.parse(element);
      return isRequirement(value) && typeof value['status'] === 'string' ? [requirementAt(value, element, tree, `${file.identity}:${index}`)] : [];
    });
  });
}

/** A list of requirements, the list in an object's field `requirements`, or one alone. */
function listOf(text: string): readonly string[] {
  const listed = elementsOf(text);
  if (listed !== undefined) return listed;
  const member = membersOf(text)?.findLast(({ key }) => key === 'requirements');
  return member === undefined ? [text] : elementsOf(text.slice(member.start, member.end)) ?? [];
}

function requirementAt(value: Json, raw: string, tree: Tree, fallback: string): ImportRecord {
  const { oldId, identity, notes } = known(new Fields(value).id('id'), fallback, 'requirement', tree);
  return requirementRecord(value, { key: tree.key, raw, notes, oldId, identity, project: tree.project });
}

/** Files of both areas are one kind, so the area is part of the identity; a record without an id is known by its path. */
function known(id: string | undefined, path: string, kind: 'file' | 'requirement', tree: Tree): Pick<Place, 'oldId' | 'identity' | 'notes'> {
  const own = id ?? `~${path}`;
  const free = unique(`${kind} ${own}`, tree.seen, (n) => `${kind} ${own}#${n}`);
  const twin = free !== `${kind} ${own}`;
  const scope = kind === 'file' ? [tree.project, tree.area, free.slice(kind.length + 1)] : [tree.project, free.slice(kind.length + 1)];
  return { oldId: id, identity: identityOf(...scope), notes: twin ? [`there is another ${kind} with this id: this one was taken as one of its own`] : [] };
}
