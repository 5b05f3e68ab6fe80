import { createHash } from 'node:crypto';
import { canonicalJson, specHash } from './canonical.ts';

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

/** Id of the workflow run that a call of a workflow or an agent starts: starting it twice is starting it once. */
export function childRunId(key: string): string {
  return uuidOf(`rambo-child/${key}`);
}

/** Id of what a call puts into long-term memory: remembering it twice is remembering it once. */
export function memoryId(key: string): string {
  return uuidOf(`rambo-memory/${key}`);
}

function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  // The bits of version 8 (RFC 9562: free to use) and of the variant.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-9${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
