import { AGENT_LIMITS } from '../../crds/agent-parts.ts';
import { REASONS, timestamp, type Reason } from '../../crds/conditions.ts';
import { ANNOTATIONS } from '../../crds/names.ts';
import type { ToolServerSpec, ToolServerStatus } from '../../crds/tool-server.ts';
import type { Standing } from './asks.ts';
import { conditionsOf, type Trouble } from './conditions.ts';
import type { ToolServerObject } from './definition.ts';
import type { Discovery } from './tool-servers.ts';

/** Tools the status names at most. */
const SHOWN = 40;
/** Bytes left for what the API server adds. */
const SPARE = 512;

/** What is wrong with the tools that were found. */
export function toolTroubles(spec: ToolServerSpec, discovery: Discovery | undefined): readonly Trouble[] {
  if (discovery === undefined) return [];
  const { tools } = discovery.known;
  const changed = tools.filter((tool) => tool.refused?.reason === 'ToolChanged');
  const troubles: Trouble[] = changed.length === 0 ? [] : [{
    about: 'Ready', reason: REASONS.toolChanged,
    message: `${named(changed.map(({ name }) => name))} no longer ${changed.length === 1 ? 'says' : 'say'} what was accepted and stopped: look at what the server offers, then set the annotation ${ANNOTATIONS.acceptSchemas}: ${discovery.discoveryHash}`,
  }];
  const names = new Set(tools.map(({ name }) => name));
  const unknown = (spec.tools ?? []).flatMap(({ name, reconcile }) => [name, ...(reconcile === undefined ? [] : [reconcile.tool])]).filter((name) => !names.has(name));
  if (unknown.length > 0) troubles.push({ about: 'ResolvedRefs', reason: REASONS.toolNotFound, message: `spec.tools: the server does not offer ${named([...new Set(unknown)])}` });
  for (const { name, reconcile } of spec.tools ?? []) {
    const probe = tools.find((tool) => tool.name === reconcile?.tool);
    if (probe !== undefined && probe.effect !== 'ReadOnly') troubles.push({ about: 'ResolvedRefs', reason: REASONS.toolRefused, message: `spec.tools, ${name}: the probe ${probe.name} has effect ${probe.effect}, and only a ReadOnly tool may be called to find out` });
  }
  return troubles;
}

/** The status a ToolServer should have, within 8 KiB however many tools there are. */
export function toolServerStatus(object: ToolServerObject, troubles: readonly Trouble[], discovery: Discovery | undefined, standing: Standing | undefined, now: number): ToolServerStatus {
  const conditions = conditionsOf(troubles, goodWords(discovery), object.generation, object.status?.conditions ?? [], now);
  const auth = authState(object, standing);
  const base: ToolServerStatus = {
    observedGeneration: object.generation, conditions: [...conditions], ...(auth === undefined ? {} : { auth }),
    ...(discovery === undefined ? {} : {
      toolCount: discovery.known.tools.filter((tool) => tool.refused === undefined).length, discoveryHash: discovery.discoveryHash, discoveredAt: timestamp(discovery.discoveredAt),
      ...(discovery.known.protocol === undefined ? {} : { protocol: discovery.known.protocol.slice(0, 32) }),
    }),
  };
  return discovery === undefined ? base : { ...base, tools: shown(discovery, AGENT_LIMITS.statusBytes - SPARE - Buffer.byteLength(JSON.stringify(base))) };
}

/** The first tools, as many as there is room for; those that stopped come first, each name once. */
function shown({ known }: Discovery, room: number): NonNullable<ToolServerStatus['tools']> {
  const usable = known.tools.filter((tool) => tool.refused === undefined || tool.refused.reason === 'ToolChanged');
  const sorted = [...usable].sort((a, b) => Number(b.refused !== undefined) - Number(a.refused !== undefined));
  const list: NonNullable<ToolServerStatus['tools']>[number][] = [];
  let left = room;
  for (const { name, schemaHash, effect, refused } of sorted.slice(0, SHOWN)) {
    const entry = { name, schemaHash: schemaHash.slice(0, 16), effect, ...(refused === undefined ? {} : { changed: true }) };
    left -= Buffer.byteLength(JSON.stringify(entry)) + 1;
    if (left < 0) break;
    list.push(entry);
  }
  return list;
}

function goodWords(discovery: Discovery | undefined): { readonly reason: Reason; readonly message: string } {
  const refused = (discovery?.known.tools ?? []).filter((tool) => tool.refused !== undefined);
  if (refused.length === 0) return { reason: REASONS.toolsKnown, message: 'its tools are known and accepted' };
  const shownFirst = refused.slice(0, 3).map((tool) => tool.refused?.message ?? tool.name).join('; ');
  return { reason: REASONS.someToolsRefused, message: `no agent gets ${refused.length} of its tools: ${shownFirst}` };
}

function authState({ spec }: ToolServerObject, standing: Standing | undefined): ToolServerStatus['auth'] {
  if (spec?.auth === undefined || spec.auth.none !== undefined) return 'None';
  const answer = standing?.answer;
  if (answer === undefined) return 'Unknown';
  if (answer.ok) return 'Ok';
  return answer.error.code === 'AuthFailed' || answer.error.code.startsWith('Secret') ? 'Failed' : 'Unknown';
}

function named(names: readonly string[]): string {
  const first = names.slice(0, 5).map((name) => JSON.stringify(name)).join(', ');
  return `${names.length === 1 ? 'tool' : 'tools'} ${first}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
