import { createHmac } from 'node:crypto';
import { inputRequired, type CallToolResult, type Tool } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Call, Result } from './mcp-tools.ts';
import type { World } from './world.ts';

/* A tool that asks a person in the middle of a call (`input_required` of MCP 2026-07-28). It keeps nothing: what it has to know travels in a state that it signs. */

/** Books a table, once a person has said for how many; asks `rounds` times; `odd` makes what it asks wrong. */
export const ASKING: Tool = {
  name: 'book', description: 'Books a table; asks a person for how many.', annotations: { readOnlyHint: false },
  inputSchema: {
    type: 'object', properties: { place: { type: 'string' }, rounds: { type: 'integer', minimum: 1, maximum: 100 }, odd: { type: 'string' } }, required: ['place'], additionalProperties: false,
  },
};

const argsSchema = z.object({ place: z.string(), rounds: z.int().default(1), odd: z.string().optional() });
const saidSchema = z.record(z.string(), z.object({ action: z.string(), content: z.object({ seats: z.int() }).loose().optional() }));

/** Runs one round of the tool. */
export async function answered(world: World, { args, said, state, key }: Call, commit: (text: string) => Promise<CallToolResult>): Promise<Result> {
  const { place, rounds, odd } = argsSchema.parse(args);
  const round = state === undefined ? 0 : roundOf(state, place);
  if (round === undefined) return { content: [{ type: 'text', text: 'this state is not mine' }], isError: true };
  if (round < rounds) {
    if (round > 0 && odd === undefined) saidSchema.parse(said);
    return question(place, round + 1, odd);
  }
  const answer = saidSchema.parse(said)['seats'];
  if (answer?.action !== 'accept') return { content: [{ type: 'text', text: `nothing was booked at ${place}: ${answer?.action ?? 'no answer'}` }] };
  const count = world.effect('book', key);
  return commit(`booked ${place} for ${answer.content?.seats ?? 0}, booking ${count}`);
}

function question(place: string, round: number, odd: string | undefined): Result {
  const requestState = `${round}.${sign(`${round}/${place}`)}`;
  switch (odd) {
    case 'stateOnly': return inputRequired({ requestState });
    case 'hugeState': return inputRequired({ requestState: 's'.repeat(100_000), inputRequests: { seats: seats() } });
    case 'nested': return inputRequired({ requestState, inputRequests: { seats: odds({ type: 'object', properties: { a: { type: 'object', properties: {} } } }) } });
    case 'pattern': return inputRequired({ requestState, inputRequests: { seats: odds({ type: 'object', properties: { a: { type: 'string', pattern: '(?=(a+)+$)' } } }) } });
    case 'many': return inputRequired({ requestState, inputRequests: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`q${i}`, seats()])) });
    case 'markup': return inputRequired({ requestState, inputRequests: { seats: { ...seats(), params: { ...seats().params, message: '<b onclick=x>For how many?</b>\u202e\u001b[31m' } } } });
    default: return inputRequired({ requestState, inputRequests: { seats: seats() } });
  }
}

function seats(): { readonly method: 'elicitation/create'; params: { mode: 'form'; message: string; requestedSchema: { type: 'object'; properties: Record<string, { type: 'integer'; minimum: number; maximum: number } | { type: 'string' }>; required: string[] } } } {
  return { method: 'elicitation/create', params: {
    mode: 'form', message: 'For how many?', requestedSchema: { type: 'object', properties: { seats: { type: 'integer', minimum: 1, maximum: 8 }, name: { type: 'string' } }, required: ['seats'] },
  } };
}

/** A form that the protocol does not allow, which a lying server sends nevertheless. */
function odds(requestedSchema: object): ReturnType<typeof seats> {
  return { method: 'elicitation/create', params: { mode: 'form', message: 'Odd.', requestedSchema: requestedSchema as ReturnType<typeof seats>['params']['requestedSchema'] } };
}

function roundOf(state: string, place: string): number | undefined {
  const [round = '', signed] = state.split('.');
  return signed === sign(`${round}/${place}`) ? Number(round) : undefined;
}

function sign(text: string): string {
  return createHmac('sha256', 'fixture-of-the-tool-servers').update(text).digest('hex');
}
