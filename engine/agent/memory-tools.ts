import type { RevisionTool } from '../../crds/agent-revision.ts';
import { AGENT_DEFAULTS } from '../../crds/agent-parts.ts';
import { specHash } from '../../crds/canonical.ts';
import type { Json } from '../types.ts';

/** Longest text of one memory, in characters. */
export const MEMORY_TEXT = 2_000;

const SAVE: Json = {
  type: 'object', additionalProperties: false, required: ['text'],
  properties: { text: { type: 'string', minLength: 1, maxLength: MEMORY_TEXT, description: 'One fact, in a sentence that is understood without this conversation.' } },
};
const SEARCH: Json = {
  type: 'object', additionalProperties: false, required: ['query'],
  properties: { query: { type: 'string', minLength: 1, maxLength: 500, description: 'Words to look for.' }, limit: { type: 'integer', minimum: 1, maximum: 20, description: 'Memories at most; 5 when absent.' } },
};

/** The tools of an agent that has long-term memory: one that remembers, one that looks for words in what is remembered. */
export function memoryTools(): readonly RevisionTool[] {
  return [
    memoryTool('save', 'Remembers a fact for later conversations.', SAVE, 'KeyedIdempotent'),
    memoryTool('search', 'Looks for words in what was remembered in earlier conversations; the best matches first.', SEARCH, 'ReadOnly'),
  ];
}

function memoryTool(tool: string, description: string, inputSchema: Json, effect: RevisionTool['effect']): RevisionTool {
  return {
    name: `memory__${tool}`, display: `memory/${tool}`, kind: 'memory', server: 'memory', tool, description, inputSchema, schemaHash: specHash([tool, description, inputSchema]), effect, risk: 'Normal',
    timeoutMs: AGENT_DEFAULTS.toolTimeoutMs, bind: {},
  };
}
