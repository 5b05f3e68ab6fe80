import { memoryId } from '../../crds/agent-call.ts';
import type { RevisionTool } from '../../crds/agent-revision.ts';
import { appendToAgentRun, dropExpiredMemories, MOST_MEMORIES, saveMemory, searchMemories, type AgentRunRow } from '../../prisma/store/index.ts';
import { ending } from '../run/ending.ts';
import { completeCall, type OpenCall } from './complete.ts';
import { storedArguments, type Tools } from './context.ts';

/** Memories of an answer when the model does not say how many. */
const FOUND = 5;
const SWEEP_MS = 60_000;
const DROPPED = 1_000;

/** Serves a call of an agent's long-term memory. A memory that fails is an error for the model, and the end of the run where it is required. */
export async function performMemory(tools: Tools, open: OpenCall, tool: RevisionTool): Promise<void> {
  const { run, spec, call } = open;
  const { longTerm } = spec.memory;
  const started = tools.parts.clock.monotonic();
  const args = storedArguments(call);
  const at = tools.parts.clock.now();
  if (longTerm === undefined) return fail(tools, open, 'this agent has no long-term memory', false);
  const scope = { namespace: run.namespace, scope: scopeOf(run, longTerm.scope) };
  if (tool.tool === 'save') {
    const saved = await saveMemory(tools.parts.db, { ...scope, id: memoryId(call.key), text: String(args['text']), createdAt: at, expiresAt: at + longTerm.ttlMs });
    if (!saved) return fail(tools, open, `the memory is full: it holds ${MOST_MEMORIES} facts`, longTerm.required);
    await completeCall(tools, open, { text: 'Remembered.', isError: false, ms: tools.parts.clock.monotonic() - started, ours: true });
    return;
  }
  const limit = typeof args['limit'] === 'number' ? args['limit'] : FOUND;
  const found = await searchMemories(tools.parts.db, scope, String(args['query']), limit, at);
  const text = found.length === 0 ? 'Nothing is remembered about that.' : JSON.stringify(found.map((memory) => ({ text: memory.text, remembered: new Date(memory.createdAt).toISOString().slice(0, 10) })));
  await completeCall(tools, open, { text, isError: false, ms: tools.parts.clock.monotonic() - started });
}

/** Who shares a memory. An agent without a name shares with runs of the same revision. */
function scopeOf(run: AgentRunRow, scope: 'Namespace' | 'Agent' | 'User'): string {
  const agent = run.agent ?? `inline:${run.revision}`;
  if (scope === 'Namespace') return 'namespace';
  return scope === 'Agent' ? `agent:${agent}` : `user:${agent}:${run.principal}`;
}

async function fail(tools: Tools, open: OpenCall, why: string, required: boolean): Promise<void> {
  await completeCall(tools, open, { text: `The memory failed: ${why}`, isError: true, ms: 0, ours: true });
  if (!required) return;
  const appended = await appendToAgentRun(tools.parts.db, open.run.id, tools.parts.clock.now(), async (run) => (
    run.finishedAt === null ? { ...ending({ phase: 'Failed', reason: 'MemoryFailed', message: `a required memory failed: ${why}` }), result: undefined } : { events: [], result: undefined }));
  if (appended !== undefined) tools.parts.notify(appended);
}

/** Forgets what is over, once a minute. */
export async function sweepMemories(tools: Tools, last: { at: number }): Promise<void> {
  const now = tools.parts.clock.monotonic();
  if (now - last.at < SWEEP_MS) return;
  last.at = now;
  await dropExpiredMemories(tools.parts.db, tools.parts.clock.now(), DROPPED);
}
