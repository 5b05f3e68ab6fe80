import { z } from 'zod';
import type { News } from '../api/events.ts';
import { plain } from '../io/plain.ts';

/* What is said of the events of an agent run while it goes on. */

const text = z.string().default('');
const payloadSchema = z.looseObject({
  tool: text, arguments: text, callId: text, approval: text, input: text, text, isError: z.boolean().default(false), message: text, level: text, action: text, toolCalls: z.array(z.unknown()).default([]),
});

/** The line for an event, for people beside the answer; of most there is none. `answers`: the text of answers too. */
export function said(news: News, agentRun: string, answers = true): string | undefined {
  if (news.kind === 'delta') return undefined;
  const of = payloadSchema.safeParse(news.event.payload);
  if (!of.success) return undefined;
  const { tool, arguments: args, callId, approval, input, text: answer, isError, message, level, action } = of.data;
  switch (news.event.kind) {
    case 'ModelCompleted': return !answers || answer === '' ? undefined : `  ${plain(answer).replaceAll('\n', '\n  ')}`;
    case 'ToolRequested': return `> ${plain(tool)} ${plain(args).slice(0, 500)}`;
    case 'ToolCompleted': return `< ${plain(tool)}${isError ? ' failed' : ''}: ${plain(answer).slice(0, 200).replaceAll('\n', ' ')}`;
    case 'ApprovalRequested': return `? ${plain(tool)} waits for a person: rambo approve ${plain(approval)}`;
    case 'InputRequested': return `? ${plain(tool)} asks a person: rambo answer ${plain(input)}`;
    case 'ToolInDoubt': return `? nobody knows whether ${plain(tool)} happened (${plain(message)}); say it: rambo api settleAgentDoubt --id ${agentRun} --call-id ${plain(callId)} --verdict Happened|DidNotHappen|Stop`;
    case 'BudgetExceeded': return `! ${plain(message)}${action === 'Pause' ? `; it waits: rambo api raiseAgentBudget --id ${agentRun} --level ${plain(level)} --usd <limit>` : ''}`;
    default: return undefined;
  }
}
