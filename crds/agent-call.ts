import { createHash } from 'node:crypto';
import { canonicalJson, specHash } from './canonical.ts';
import type { InputQuestion } from './agent-run.ts';
import { derivedUuid } from './derived-id.ts';

/** Names and hashes of tool calls, derived alike by whoever needs them. All are SHA-256 in hex. */

/** Hash of a call's arguments, whatever the order of their keys. */
export function argumentsHash(args: unknown): string {
  return specHash(args);
}

/** K: what a tool that dedupes knows a call by. The same call of a run has it for ever; another step, call or argument has another. */
export function callKey(agentRun: string, step: number, callId: string, args: unknown): string {
  return createHash('sha256').update(`rambo-call/${agentRun}/${step}/${callId}/${canonicalJson(args)}`).digest('hex');
}

/** What an approval is bound to. Anything that changes voids it. */
export interface Approved {
  readonly revision: string;
  /** Display name. */
  readonly tool: string;
  readonly schemaHash: string;
  readonly arguments: unknown;
}

/** The hash an approver sees and gives back. */
export function approvalHash({ revision, tool, schemaHash, arguments: args }: Approved): string {
  return specHash({ revision, tool, schemaHash, arguments: args });
}

/** What an answer to a tool's questions is bound to: the call that asks, exactly what it asks, and what goes back with the answer. */
export interface InputAsked extends Approved {
  readonly callId: string;
  readonly round: number;
  readonly questions: readonly InputQuestion[];
  /** The server's own state; absent: it gave none. */
  readonly state?: string | undefined;
}

/** The hash that whoever answers sees and gives back. */
export function inputHash({ revision, tool, schemaHash, arguments: args, callId, round, questions, state }: InputAsked): string {
  return specHash({ revision, tool, schemaHash, arguments: args, callId, round, questions, ...(state === undefined ? {} : { state }) });
}

/** Id of the workflow run that a call of a workflow or an agent starts: starting it twice is starting it once. */
export function childRunId(key: string): string {
  return derivedUuid(`rambo-child/${key}`);
}

/** Id of what a call puts into long-term memory: remembering it twice is remembering it once. */
export function memoryId(key: string): string {
  return derivedUuid(`rambo-memory/${key}`);
}
