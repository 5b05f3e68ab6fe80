import { getNamedType, isCompositeType, isObjectType, parse } from 'graphql';
import { fieldsOf } from '../operations/shape.ts';
import { Project, Requirement, Sprint, Task, Ticket } from '../project/entities.ts';
import { COVERED_TYPES, isCovered } from './coverage.ts';
import { schema } from './schema.ts';

/*
 * Which reads may be answered from memory. The first test fails for a new field of a covered type: does what it shows change only with the
 * `seq` of its project, or with the version of its run? If not, it must not lead out of the covered types as a scalar.
 */

const RELATIONS: Readonly<Record<string, readonly string[]>> = {
  Project: ['agents', 'files', 'members', 'requirements', 'sprints', 'tasks', 'tickets', 'workflows'],
  Task: ['children', 'parent', 'project', 'runs', 'sprint'], Sprint: ['project', 'tasks', 'tickets'], Ticket: ['project', 'sprint'], Requirement: ['project'],
};

test.each([Project, Task, Sprint, Ticket, Requirement])('$name shows its own row, and relations that somebody has decided on', ({ name, schema: shape }) => {
  const type = schema.getType(name);
  const fields = isObjectType(type) ? Object.keys(type.getFields()) : [];
  expect(fields.sort()).toEqual([...fieldsOf(shape).map(([field]) => field), ...RELATIONS[name] ?? []].sort());
});

test('a run shows its row, which has a version, and no more', () => {
  const type = schema.getType('Run');
  const fields = isObjectType(type) ? Object.values(type.getFields()) : [];
  const inside = fields.filter((field) => { const inner = getNamedType(field.type); return isCompositeType(inner) && COVERED_TYPES.has(inner.name); }).map(({ name }) => name);
  expect(inside.sort()).toEqual(['counts', 'error', 'failures', 'progress']);
});

test.each([
  ['{ task(id: "x") { id __typename project { name } } }', true],
  ['{ project(id: "x") { tasks { edges { cursor node { runs { edges { node { phase progress { done } } } } } } pageInfo { endCursor } } } }', true],
  ['query a { task(id: "x") { ...t } } fragment t on Task { sprint { name } }', true],
  ['query a { task(id: "x") { ...t } } fragment t on Task { project { members { edges { node { role } } } } }', false],
  ['{ task(id: "x") { runs { edges { node { nodes { edges { node { name } } } } } } } }', false],
  ['{ project(id: "x") { workflows { edges { node { name } } } } }', false],
  ['{ task(id: "x") { id } projects { edges { node { id } } } }', false],
  ['{ __schema { queryType { name } } }', false],
  ['mutation { cancelRun(id: "x") { __typename } }', false],
  ['query a { task(id: "x") { id } } mutation b { cancelRun(id: "x") { __typename } }', false],
])('%s: %s', (text, covered) => { expect(isCovered(schema, parse(text))).toBe(covered); });
