import type { AgentMessage } from './agent-fold.ts';
import { specHash } from './canonical.ts';

/** What is asked of a model, in a form that the runner, the model gateway and a replay all come to: no model, no provider, no ids of theirs. */
export interface ModelRequest {
  readonly messages: readonly AgentMessage[];
  /** Tools the model sees, by name. */
  readonly tools: readonly { readonly name: string; readonly description: string; readonly inputSchema: unknown }[];
  readonly parameters: { readonly temperature?: number | undefined; readonly topP?: number | undefined; readonly maxOutputTokens?: number | undefined };
}

/**
 * Hash of a request: equal requests get equal hashes whoever computes them, so that a replay finds the first step at which another
 * prompt, tool or history would have asked something else.
 */
export function requestHash({ messages, tools, parameters }: ModelRequest): string {
  return specHash({
    messages: messages.map(plain), parameters,
    tools: tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema })).sort((a, b) => (a.name < b.name ? -1 : 1)),
  });
}

/** A message with nothing in it that does not reach the model: results are told apart by their call, not by how they came. */
function plain(message: AgentMessage): object {
  switch (message.role) {
    case 'assistant': return { role: message.role, text: message.text, calls: message.toolCalls.map(({ callId, tool, arguments: args }) => ({ callId, tool, args })) };
    case 'tool': return { role: message.role, callId: message.callId, text: message.text };
    case 'system': case 'user': return { role: message.role, text: message.text };
  }
}
