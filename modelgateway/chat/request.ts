import { z } from 'zod';
import type { AgentMessage } from '../../crds/agent-fold.ts';

/* The body of a chat completion as OpenAI defines it, as far as we read it: what we do not know is left out. */

const content = z.union([z.string(), z.array(z.object({ type: z.literal('text'), text: z.string() })), z.null()]).optional()
  .transform((value) => (typeof value === 'string' ? value : (value ?? []).map(({ text }) => text).join('')));
const toolCall = z.object({ id: z.string().min(1).max(128), function: z.object({ name: z.string().min(1).max(256), arguments: z.string() }) });

const messageSchema = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content }),
  z.object({ role: z.literal('developer'), content }),
  z.object({ role: z.literal('user'), content }),
  z.object({ role: z.literal('assistant'), content, tool_calls: z.array(toolCall).default([]) }),
  z.object({ role: z.literal('tool'), content, tool_call_id: z.string().min(1).max(128) }),
]);

/** A chat completion request. Of a step only `stream` counts: its prompt is the journal's. */
export const chatRequestSchema = z.object({
  messages: z.array(messageSchema).max(100_000).default([]),
  max_tokens: z.int().min(1).optional(),
  max_completion_tokens: z.int().min(1).optional(),
  stream: z.boolean().default(false),
});

/** A chat completion request. */
export type ChatRequest = z.output<typeof chatRequestSchema>;

/** The messages in the journal's terms. */
export function agentMessages(messages: ChatRequest['messages']): readonly AgentMessage[] {
  return messages.map((message): AgentMessage => {
    switch (message.role) {
      case 'system': case 'developer': return { role: 'system', text: message.content };
      case 'user': return { role: 'user', text: message.content };
      case 'assistant': return { role: 'assistant', text: message.content, toolCalls: message.tool_calls.map(({ id, function: called }) => ({ callId: id, tool: called.name, arguments: called.arguments })) };
      case 'tool': return { role: 'tool', callId: message.tool_call_id, tool: '', text: message.content, isError: false };
    }
  });
}

/** Most tokens the caller wants as an answer. */
export function wantedOutput({ max_tokens: old, max_completion_tokens: most }: ChatRequest): number | undefined {
  return most ?? old;
}
