import { z } from 'zod';
import type { NewAgentEvent } from '../../crds/agent-run.ts';
import type { RevisionGuardrail } from '../../crds/agent-revision.ts';
import { holds, linearPattern, parseGuardrail, type AgentFacts } from '../../engine/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { cutBytes } from './result.ts';
import type { ToolParts } from './parts.ts';

/** Stages of guardrails. */
export type Stage = RevisionGuardrail['stage'];

/** What a text is looked at for. */
export interface GuardContext {
  readonly namespace: string;
  readonly agentRun: string;
  readonly callId?: string;
  /** `tool` and `arguments` at the stages of tools. */
  readonly facts: Omit<AgentFacts, 'text' | 'key'>;
}

/** What became of a text. `decisions` go into the journal, whatever it was. `ask`: the call needs an approval, for this reason. */
export type Guarded =
  | { readonly ok: true; readonly text: string; readonly decisions: readonly NewAgentEvent[]; readonly ask?: string }
  | { readonly ok: false; readonly message: string; readonly decisions: readonly NewAgentEvent[] };

type GuardParts = Pick<ToolParts, 'fetchFor' | 'secrets' | 'judgeModel' | 'log'>;
type Verdict = { readonly action: 'Allow' | 'Deny' | 'RequireApproval'; readonly message?: string } | { readonly action: 'Mutate'; readonly text: string; readonly message?: string };

const answerSchema = z.object({
  action: z.enum(['Allow', 'Deny', 'Mutate', 'RequireApproval']), text: z.string().max(1_048_576).optional(), message: z.string().max(1_024).optional(),
});
/** A webhook sees this much of a text. */
const SHOWN_BYTES = 1_048_576;
const MAX_EDITS = 3;

/**
 * Looks at a text by the guardrails of one stage, in their order. A guardrail that cannot be asked denies. After an edit those that
 * follow see the new text; one that edits again and again denies.
 */
export async function guardText(parts: GuardParts, stage: Stage, guardrails: readonly RevisionGuardrail[], text: string, context: GuardContext): Promise<Guarded> {
  const decisions: NewAgentEvent[] = [];
  let current = text;
  let ask: string | undefined;
  let edits = 0;
  for (const guardrail of guardrails) {
    if (guardrail.stage !== stage || !covers(guardrail, context)) continue;
    const verdict = await judge(parts, guardrail, stage, current, context);
    if (verdict.action === 'Allow') continue;
    const why = verdict.message ?? guardrail.message;
    decisions.push({ kind: 'GuardrailDecided', payload: {
      stage, guardrail: guardrail.name, action: verdict.action, ...(context.callId === undefined ? {} : { callId: context.callId }), ...(why === undefined ? {} : { message: why.slice(0, 1_024) }),
      ...(verdict.action === 'Mutate' ? { replacement: cutBytes(Buffer.from(verdict.text), 65_536) } : {}),
    } });
    if (verdict.action === 'Deny') return { ok: false, message: `guardrail ${guardrail.name}${why === undefined ? '' : `: ${why}`}`, decisions };
    if (verdict.action === 'RequireApproval') ask ??= `guardrail ${guardrail.name}${why === undefined ? '' : `: ${why}`}`;
    if (verdict.action !== 'Mutate') continue;
    current = verdict.text;
    edits += 1;
    if (edits > MAX_EDITS) return { ok: false, message: `more than ${MAX_EDITS} guardrails change the text`, decisions };
  }
  return { ok: true, text: current, decisions, ...(ask === undefined ? {} : { ask }) };
}

function covers({ tools }: RevisionGuardrail, { facts }: GuardContext): boolean {
  return tools === undefined || (facts.tool !== undefined && tools.includes(facts.tool.display));
}

async function judge(parts: GuardParts, guardrail: RevisionGuardrail, stage: Stage, text: string, context: GuardContext): Promise<Verdict> {
  try {
    if (guardrail.cel !== undefined) return holds(parseGuardrail(guardrail.cel, stage), { ...context.facts, text }) ? taken(guardrail, text) : { action: 'Allow' };
    if (guardrail.webhook !== undefined) return await askWebhook(parts, guardrail, guardrail.webhook, stage, text, context);
    if (guardrail.model !== undefined) return await askModel(parts, guardrail, guardrail.model, text, context);
    return { action: 'Deny', message: 'it says nothing to look for' };
  } catch (error) {
    parts.log.warn({ namespace: context.namespace, reason: guardrail.name, err: errorMessage(error) }, 'a guardrail could not be asked and denies');
    return { action: 'Deny', message: `it could not be asked (${errorMessage(error).slice(0, 200)})` };
  }
}

/** The action of a guardrail that found what it looks for. */
function taken({ action, replace, message }: RevisionGuardrail, text: string): Verdict {
  const why = message === undefined ? {} : { message };
  if (action !== 'Mutate') return { action, ...why };
  if (replace === undefined) return { action: 'Deny', message: 'it changes texts, but does not say how' };
  return { action: 'Mutate', text: linearPattern(replace.pattern).matcher(text).replaceAll(replace.with), ...why };
}

async function askWebhook(parts: GuardParts, guardrail: RevisionGuardrail, { url, timeoutMs, credentialsRef }: NonNullable<RevisionGuardrail['webhook']>, stage: Stage, text: string, context: GuardContext): Promise<Verdict> {
  const key = credentialsRef === undefined ? undefined : await parts.secrets.read(context.namespace, credentialsRef.name, credentialsRef.key);
  const { tool, arguments: args, run } = context.facts;
  const response = await parts.fetchFor(context.namespace)(url, {
    method: 'POST', redirect: 'manual', signal: AbortSignal.timeout(timeoutMs),
    headers: { 'content-type': 'application/json', accept: 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ v: 1, stage, guardrail: guardrail.name, text: cutBytes(Buffer.from(text), SHOWN_BYTES), ...(tool === undefined ? {} : { tool: tool.display, arguments: args }), run }),
  });
  if (!response.ok) return { action: 'Deny', message: `it answered HTTP ${response.status}` };
  const parsed = answerSchema.safeParse(JSON.parse(await boundedText(response)));
  if (!parsed.success) return { action: 'Deny', message: 'its answer cannot be read' };
  const { action, text: edited, message } = parsed.data;
  const why = message === undefined ? {} : { message };
  if (action === 'Allow' || action === 'Deny') return { action, ...why };
  if (action === 'RequireApproval') return stage === 'ToolCall' ? { action, ...why } : { action: 'Deny', message: 'it asks for an approval where only a call can wait for one' };
  return edited === undefined ? taken({ ...guardrail, action: 'Mutate' }, text) : { action: 'Mutate', text: edited, ...why };
}

async function boundedText(response: Response): Promise<string> {
  const text = await response.text();
  if (text.length > 2 * SHOWN_BYTES) throw new Error('its answer is too long');
  return text;
}

async function askModel(parts: GuardParts, guardrail: RevisionGuardrail, { model, instructions }: NonNullable<RevisionGuardrail['model']>, text: string, context: GuardContext): Promise<Verdict> {
  if (parts.judgeModel === undefined) return { action: 'Deny', message: 'no model can be asked' };
  const { flagged, message } = await parts.judgeModel({ namespace: context.namespace, agentRun: context.agentRun, model, instructions, text });
  if (!flagged) return { action: 'Allow' };
  return taken({ ...guardrail, ...(message === undefined ? {} : { message }) }, text);
}
