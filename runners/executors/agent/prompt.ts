import type { ModelMessage } from 'ai';
import type { AgentMessage } from '../../../crds/agent-fold.ts';

/** The conversation as the AI SDK takes it. */
export function promptOf(messages: readonly AgentMessage[]): ModelMessage[] {
  return messages.map((message): ModelMessage => {
    switch (message.role) {
      case 'system': return { role: 'system', content: message.text };
      case 'user': return { role: 'user', content: message.text };
      case 'tool': return { role: 'tool', content: [{
        type: 'tool-result', toolCallId: message.callId, toolName: message.tool, output: { type: message.isError ? 'error-text' : 'text', value: message.text },
      }] };
      case 'assistant': return { role: 'assistant', content: [
        ...(message.text === '' ? [] : [{ type: 'text' as const, text: message.text }]),
        ...message.toolCalls.map(({ callId, tool, arguments: given }) => ({ type: 'tool-call' as const, toolCallId: callId, toolName: tool, input: inputOf(given) })),
      ] };
    }
  });
}

/** Arguments are sent back as JSON; what the model wrote and is none goes back as the text it is. */
function inputOf(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * How many messages after the instructions a summary should replace so that at least `keepLast` stay: results of tools stay with
 * the answer that asked for them. 0 where that leaves nothing worth a summary.
 */
export function compactable(messages: readonly AgentMessage[], keepLast: number): number {
  const first = messages[0]?.role === 'system' ? 1 : 0;
  let cut = messages.length - Math.max(0, keepLast);
  while (cut > first && messages[cut]?.role === 'tool') cut -= 1;
  const count = cut - first;
  // One message is what an earlier summary left.
  return count > 1 ? count : 0;
}

/** What is sent for a step: the gateway makes the prompt from its journal and does not look at it. */
export const STEP: ModelMessage[] = [{ role: 'user', content: 'Go on.' }];

/** What asks the model for a summary of what stands before it. */
export const SUMMARISE = 'Summarise the conversation so far for yourself: it will be replaced by your summary. Keep the task, every decision, every fact, name, number and result of a tool '
  + 'that may still matter, and what is left to do. Write the summary only.';
