import { AGENT_LIMITS } from '../../crds/agent-parts.ts';
import type { DiscoveredTool, KnownTool } from '../../crds/agent-revision.ts';
import { canonicalJson, specHash, tooDeepAt } from '../../crds/canonical.ts';
import { LIMITS } from '../../crds/names.ts';
import type { ToolServerSpec } from '../../crds/tool-server.ts';
import { shorten } from '../errors.ts';
import { isList } from '../expr/values.ts';
import { checkSchema, isJson } from '../schema/schemas.ts';
import type { Json } from '../types.ts';
import { cleanSchema, cleanText } from './text.ts';

/** What a server says it offers, looked through. */
export interface TakenIn {
  readonly tools: readonly KnownTool[];
  /** Hash of what every tool says: what the annotation that accepts names. */
  readonly discoveryHash: string;
  /** Accepted schema hashes by name after this discovery. */
  readonly accepted: Readonly<Record<string, string>>;
  /** A server that offers too many is taken in not at all. */
  readonly refused?: { readonly reason: 'TooManyTools'; readonly message: string };
}

const NAME = /^[A-Za-z0-9_.\-/]{1,128}$/;
/** Dialects whose schemas mean the same in 2020-12 as far as servers use them; a keyword that does not is found by the meta-schema. */
const OLDER = /^https?:\/\/json-schema\.org\/(draft-0[67]\/schema|draft\/2019-09\/schema)#?$/;

/**
 * Looks through what a server says it offers. The server is not trusted: names, texts and schemas are checked, and a tool
 * that breaks a rule is refused with the reason while the others stay. A tool seen for the first time is accepted as it is;
 * one whose description or schema differs from the accepted one is refused until `acceptHash` names this discovery.
 */
export function takeIn(offered: readonly DiscoveredTool[], spec: ToolServerSpec, before: Readonly<Record<string, string>>, acceptHash?: string): TakenIn {
  if (offered.length > AGENT_LIMITS.discovered) {
    const message = `the server offers ${offered.length} tools, at most ${AGENT_LIMITS.discovered} are taken in: split it, or let it offer fewer`;
    return { tools: [], discoveryHash: specHash(offered.length), accepted: before, refused: { reason: 'TooManyTools', message } };
  }
  const hashed = offered.map((tool) => ({ tool, hash: hashOf(tool) }));
  const discoveryHash = specHash(hashed.map(({ tool, hash }) => [tool.name, hash]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1)));
  const acceptAll = acceptHash === discoveryHash || acceptHash === 'any';
  const seen = new Map<string, number>();
  for (const { tool } of hashed) seen.set(tool.name, (seen.get(tool.name) ?? 0) + 1);
  const accepted = new Map(Object.entries(before));
  const tools = hashed.map(({ tool, hash }): KnownTool => {
    const known = lookThrough(tool, hash, spec, (seen.get(tool.name) ?? 0) > 1);
    if (known.refused !== undefined) return known;
    const old = accepted.get(tool.name);
    if (old !== undefined && old !== hash && !acceptAll) return { ...known, refused: changed(tool.name) };
    accepted.set(tool.name, hash);
    return known;
  });
  return { tools, discoveryHash, accepted: Object.fromEntries(accepted) };
}

function changed(name: string): NonNullable<KnownTool['refused']> {
  return { reason: 'ToolChanged', message: `tool ${JSON.stringify(name)} no longer says what was accepted: look at it, then accept the discovery` };
}

/** Of what the server said, not of what we made of it: any change shows. */
function hashOf({ name, description, inputSchema, outputSchema }: DiscoveredTool): string {
  const said = { name, description, inputSchema, outputSchema };
  return tooDeepAt(said, LIMITS.jsonDepth) === undefined ? specHash(said) : specHash([name, 'too deep']);
}

function lookThrough(tool: DiscoveredTool, schemaHash: string, spec: ToolServerSpec, twice: boolean): KnownTool {
  const override = spec.tools?.find((entry) => entry.name === tool.name);
  const { effect, risk } = classOf(tool, spec);
  const base = { name: tool.name.slice(0, 128), description: cleanText(tool.description), inputSchema: { type: 'object' }, schemaHash, effect: override?.effect ?? effect, risk: override?.risk ?? risk };
  const refuse = (reason: string, message: string): KnownTool => ({ ...base, name: cleanText(base.name, 128), refused: { reason, message: cleanText(message) } });
  const shown = JSON.stringify(cleanText(tool.name, 64));
  if (!NAME.test(tool.name)) return refuse('NameInvalid', `tool ${shown}: names have 1 to 128 of the characters A-Z a-z 0-9 _ . - /`);
  if (twice) return refuse('NameCollision', `tool ${shown} is offered more than once: which one is meant cannot be known`);
  const input = schemaOf(tool.inputSchema ?? { type: 'object' });
  if ('problem' in input) return refuse('SchemaInvalid', `tool ${shown}, inputSchema: ${input.problem}`);
  if (typeof input.schema !== 'object' || input.schema === null || isList(input.schema) || typeOf(input.schema) !== 'object') return refuse('SchemaInvalid', `tool ${shown}, inputSchema: arguments are an object, so its type is "object"`);
  const output = tool.outputSchema === undefined ? undefined : schemaOf(tool.outputSchema);
  if (output !== undefined && 'problem' in output) return refuse('SchemaInvalid', `tool ${shown}, outputSchema: ${output.problem}`);
  return { ...base, inputSchema: { ...input.schema, type: 'object' }, ...(output === undefined ? {} : { outputSchema: output.schema }) };
}

function typeOf(schema: object): unknown {
  const found: unknown = Reflect.get(schema, 'type');
  return found ?? 'object';
}

/** A schema of a server, checked and cleaned. */
function schemaOf(schema: unknown): { readonly schema: Json } | { readonly problem: string } {
  if (tooDeepAt(schema, LIMITS.jsonDepth) !== undefined || !isJson(schema)) return { problem: 'it is no JSON, or nested too deep' };
  const bytes = canonicalJson(schema).length;
  if (bytes > AGENT_LIMITS.schemaBytes) return { problem: `it has ${bytes} characters, at most ${AGENT_LIMITS.schemaBytes} are taken in` };
  const plain = withoutOlderDialect(schema);
  const problems = checkSchema(plain);
  return problems.length > 0 ? { problem: shorten(problems.join('; '), 400) } : { schema: cleanSchema(plain) };
}

function withoutOlderDialect(schema: Json): Json {
  if (typeof schema !== 'object' || schema === null || isList(schema)) return schema;
  const { $schema, ...rest } = schema;
  return typeof $schema === 'string' && OLDER.test($schema) ? rest : schema;
}

/** Class and risk of a tool its owner says nothing about. A hint that makes it stricter always counts, others only when trusted. */
function classOf(tool: DiscoveredTool, spec: ToolServerSpec): Pick<KnownTool, 'effect' | 'risk'> {
  const hints = tool.annotations ?? {};
  const risk = hints.destructiveHint === true && hints.readOnlyHint !== true ? 'Destructive' : 'Normal';
  const operation = spec.http?.operations.find((entry) => entry.name === tool.name);
  if (operation?.method === 'GET') return { effect: 'ReadOnly', risk: 'Normal' };
  if (operation?.method === 'DELETE') return { effect: spec.defaultEffect, risk: 'Destructive' };
  if (!spec.trustHints) return { effect: spec.defaultEffect, risk };
  if (hints.readOnlyHint === true) return { effect: 'ReadOnly', risk };
  return { effect: hints.idempotentHint === true ? 'Idempotent' : spec.defaultEffect, risk };
}

/** Operations of an HTTP server as tools: its spec is all there is to discover. */
export function operationsOf(spec: ToolServerSpec): readonly DiscoveredTool[] {
  return (spec.http?.operations ?? []).map(({ name, description, inputSchema, outputSchema }) => ({
    name, description, inputSchema: inputSchema ?? { type: 'object' }, ...(outputSchema === undefined ? {} : { outputSchema }),
  }));
}
