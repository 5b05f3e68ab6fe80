import { REASONS } from '../../crds/conditions.ts';
import type { AgentAnswer, AgentAskCode } from '../../platform/messages/agent-ask.ts';
import type { Standing } from './asks.ts';
import type { Trouble } from './conditions.ts';

type Failed = Exclude<AgentAnswer, { readonly ok: true }>;
type Said = Exclude<AgentAskCode, 'NotMirrored' | 'Busy'>;

/** Which condition a code of the gateway belongs to, and whether it may pass by itself. */
const CODES: Readonly<Record<Said, Pick<Trouble, 'reason' | 'about' | 'passes'>>> = {
  SecretNotFound: { reason: REASONS.secretNotFound, about: 'ResolvedRefs' },
  SecretNotLabelled: { reason: REASONS.secretNotLabelled, about: 'ResolvedRefs' },
  SecretKeyMissing: { reason: REASONS.secretKeyMissing, about: 'ResolvedRefs' },
  ConfigInvalid: { reason: REASONS.invalid, about: 'Accepted' },
  AuthFailed: { reason: REASONS.authFailed, about: 'Ready' },
  Unreachable: { reason: REASONS.unreachable, about: 'Ready', passes: true },
  AddressRefused: { reason: REASONS.addressRefused, about: 'Ready' },
  ProtocolError: { reason: REASONS.protocolError, about: 'Ready' },
  TooManyTools: { reason: REASONS.tooManyTools, about: 'Ready' },
  AnswerTooLarge: { reason: REASONS.answerTooLarge, about: 'Ready' },
};

/** What keeps an object from being ready by what the gateway said of it; undefined where it said yes. */
export function troubleOf(standing: Standing): Trouble | undefined {
  const { answer } = standing;
  if (answer?.ok === true) return undefined;
  if (answer === undefined) {
    return { about: 'Ready', reason: REASONS.gatewayUnavailable, message: standing.silent ? 'the model gateway does not answer; it is asked again' : 'the model gateway has not looked yet; it is asked again', passes: true, unknown: true };
  }
  return failure(answer);
}

function failure({ error }: Failed): Trouble {
  if (error.code === 'NotMirrored' || error.code === 'Busy') return { about: 'Ready', reason: REASONS.gatewayUnavailable, message: error.message, passes: true, unknown: true };
  return { ...CODES[error.code], message: error.message };
}
