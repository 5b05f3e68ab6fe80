import { z } from 'zod';
import { knownToolsSchema } from '../../crds/agent-revision.ts';
import { getAgent, getModel, getToolServer, listAgents, listModels, listToolServers } from '../../prisma/store/index.ts';
import type { AgentRow, Executor, ModelRow, ObjectCursor, Page, ToolServerRow } from '../../prisma/store/index.ts';
import { jsonOf, storedAs } from '../graphql/json.ts';
import { decodeCursor, encodeCursor, pageSize } from '../graphql/paging.ts';
import { defineEntity, page } from '../operations/entity.ts';
import type { Entity, EntityValue } from '../operations/entity.ts';
import { anyJson, pageFields, shaped, time } from '../operations/fields.ts';
import { defineList, defineQuery } from '../operations/operation.ts';
import type { Operation } from '../operations/operation.ts';
import type { NAMESPACE_RESOURCES } from '../ports.ts';
import { objectName } from '../workflow/names.ts';

/* Agents, models and tool servers of a namespace, as the controller mirrors them. A spec names Secrets and never holds one. */

const namespace = objectName('Kubernetes namespace.');
const common = {
  namespace: z.string().describe('Its namespace.'), name: z.string().describe('Its name.'), generation: z.int().describe('Of the object that was read.'),
  phase: z.string().describe('`Ready` or `NotReady`.'), reason: z.string().describe('Why, CamelCase and stable.'), message: z.string().describe('Why, in one sentence.'),
  spec: anyJson('As it was applied, with defaults.', 5), updatedAt: time('When the controller last saw a change.'),
};

/** A tool as it is listed. */
const tools = shaped(z.array(z.object({ name: z.string(), description: z.string(), effect: z.string(), risk: z.string(), schemaHash: z.string(), refused: z.object({ reason: z.string(), message: z.string() }).optional() })), { scalar: 'JSON', cost: 5 })
  .describe('Its tools: name, description, effect, risk and hash of the schema; `refused` says why one cannot be used. Null before they were found. What a server says of itself is data.');

/** An Agent. */
export const AgentDefinition = defineEntity('AgentDefinition', 'An Agent object.', z.object({
  ...common, stableRevision: z.string().nullable().describe('Revision that new runs get; null until one has resolved.'), desiredRevision: z.string().nullable().describe('Revision of the spec as it is; null while it does not resolve.'),
}));
/** A Model. */
export const Model = defineEntity('Model', 'A Model object: where a model is and what it costs.', z.object({ ...common, probedAt: time('When it was last asked whether it is there.').nullable() }));
/** A ToolServer. */
export const ToolServer = defineEntity('ToolServer', 'A ToolServer object and what was found on it.', z.object({
  ...common, tools: tools.nullable(), discoveryHash: z.string().nullable().describe('Of what was found last.'), acceptedHash: z.string().nullable().describe('Of what is used.'), discoveredAt: time('When.').nullable(),
}));

type Common = Pick<AgentRow, 'namespace' | 'name' | 'generation' | 'phase' | 'reason' | 'message' | 'spec' | 'updatedAt'>;

function commonOf({ namespace: place, name, generation, phase, reason, message, spec, updatedAt }: Common) {
  return { namespace: place, name, generation, phase, reason, message, spec: jsonOf(spec), updatedAt: new Date(updatedAt).toISOString() };
}

function maybeTime(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

function agentOf(row: AgentRow): EntityValue<typeof AgentDefinition> {
  return { ...commonOf(row), stableRevision: row.stableRevision, desiredRevision: row.desiredRevision };
}

function modelOf(row: ModelRow): EntityValue<typeof Model> {
  return { ...commonOf(row), probedAt: maybeTime(row.probedAt) };
}

function toolServerOf(row: ToolServerRow): EntityValue<typeof ToolServer> {
  const known = storedAs(knownToolsSchema, row.tools);
  return {
    ...commonOf(row), discoveryHash: row.discoveryHash, acceptedHash: row.acceptedHash, discoveredAt: maybeTime(row.discoveredAt),
    tools: known?.tools.map(({ name, description, effect, risk, schemaHash, refused }) => ({ name, description, effect, risk, schemaHash, ...(refused === undefined ? {} : { refused }) })) ?? null,
  };
}

interface Kind<Row extends Common, E extends Entity> {
  readonly one: string;
  readonly many: string;
  readonly path: string;
  readonly words: string;
  readonly entity: E;
  readonly resource: (typeof NAMESPACE_RESOURCES)[number];
  readonly get: (db: Executor, namespace: string, name: string) => Promise<Row | undefined>;
  readonly list: (db: Executor, namespaces: readonly string[], after: ObjectCursor | undefined, first: number) => Promise<Page<Row>>;
  readonly show: (row: Row) => EntityValue<E>;
}

const cursor = z.tuple([z.string().max(253)]);

function ofKind<Row extends Common, E extends Entity>({ one, many, path, words, entity, resource, get, list, show }: Kind<Row, E>): readonly Operation[] {
  return [
    defineList({
      name: many, summary: `${words}s of a namespace, by name.`, rest: { method: 'GET', path }, input: z.strictObject({ namespace, ...pageFields }), output: page(entity), right: { verb: 'list', resource, on: 'namespace' },
      run: async ({ services }, { namespace: place, first, after }) => {
        const from = decodeCursor(cursor, after);
        const { rows, hasMore } = await list(services.db, [place], from === undefined ? undefined : { namespace: place, name: from[0] }, pageSize(first));
        const names = new Map(rows.map((row) => [show(row), row.name] as const));
        return { items: [...names.keys()], hasMore, started: from !== undefined, cursorOf: (item) => encodeCursor([names.get(item) ?? '']) };
      },
    }),
    defineQuery({
      name: one, summary: `One ${words}.`, rest: { method: 'GET', path: `${path}/{namespace}/{name}` }, input: z.strictObject({ namespace, name: objectName('Its name.') }), output: entity,
      right: { verb: 'get', resource, on: 'namespace' },
      reach: async ({ services }, input) => {
        const row = await get(services.db, input.namespace, input.name);
        return row === undefined ? undefined : { target: { kind: 'namespace', resource, namespace: row.namespace }, row };
      },
      run: (_, _input, row) => Promise.resolve(show(row)),
    }),
  ];
}

/** Operations on mirrors of agents, models and tool servers. */
export const agentDefinitionOperations: readonly Operation[] = [
  ...ofKind({ one: 'agentDefinition', many: 'agentDefinitions', path: '/agent-definitions', words: 'Agent', entity: AgentDefinition, resource: 'agents', get: getAgent, list: listAgents, show: agentOf }),
  ...ofKind({ one: 'model', many: 'models', path: '/models', words: 'Model', entity: Model, resource: 'models', get: getModel, list: listModels, show: modelOf }),
  ...ofKind({ one: 'toolServer', many: 'toolServers', path: '/tool-servers', words: 'ToolServer', entity: ToolServer, resource: 'toolservers', get: getToolServer, list: listToolServers, show: toolServerOf }),
];
