import { z } from 'zod';
import { discoveredToolSchema } from '../../crds/agent-revision.ts';

/**
 * What the controller asks the model gateway, which alone holds credentials: what tools a server has, whether a model answers. A request
 * names an object by uid and generation; the gateway reads its spec from the mirror, and answers `NotMirrored` where that is older.
 */

const version = z.literal(1);
const object = { namespace: z.string().min(1).max(63), name: z.string().min(1).max(63), uid: z.string().min(1).max(64), generation: z.int().min(0) };

/** What the controller asks. */
export const agentAskSchema = z.discriminatedUnion('verb', [
  /** The tools of a ToolServer. Of one with operations over HTTP: only whether its credentials are there; `tools` is empty then. */
  z.object({ v: version, verb: z.literal('discover'), ...object }),
  /** Whether a Model answers with the credentials it names. */
  z.object({ v: version, verb: z.literal('probe'), ...object }),
]);

/**
 * Why there is no answer. The first four are about what the object names, `AuthFailed` about what stands in the Secret, the rest about the
 * other side. `NotMirrored` and `Busy` say nothing about the object: ask again soon.
 */
export const AGENT_ASK_CODES = [
  'SecretNotFound', 'SecretNotLabelled', 'SecretKeyMissing', 'ConfigInvalid', 'AuthFailed', 'Unreachable', 'AddressRefused', 'ProtocolError', 'TooManyTools', 'AnswerTooLarge', 'NotMirrored', 'Busy',
] as const;

/** What the gateway answers. */
export const agentAnswerSchema = z.discriminatedUnion('ok', [
  z.object({
    v: version, ok: z.literal(true),
    /** discover */
    tools: z.array(discoveredToolSchema).max(512).optional(),
    protocol: z.string().max(64).optional(),
    /** probe: names the provider lists, at most 64. */
    models: z.array(z.string().max(256)).max(64).optional(),
  }),
  z.object({ v: version, ok: z.literal(false), error: z.object({ code: z.enum(AGENT_ASK_CODES), message: z.string().max(2_048) }) }),
]);

export type AgentAsk = z.infer<typeof agentAskSchema>;
export type AgentAnswer = z.infer<typeof agentAnswerSchema>;
export type AgentAskCode = (typeof AGENT_ASK_CODES)[number];
