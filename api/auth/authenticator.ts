import type { ApiMetrics, Authenticator, Principal } from '../ports.ts';
import { TOKEN_PREFIX } from './access-tokens.ts';
import { saysFirebase } from './firebase/id-token.ts';

/** Who is asked about which kind of token. */
export interface AuthenticatorParts {
  readonly kubernetes: Authenticator;
  readonly accessTokens: Authenticator;
  /** Absent where no Firebase project is configured: its tokens are nobody's. */
  readonly firebase: Authenticator | undefined;
  readonly metrics: Pick<ApiMetrics, 'signIn'>;
}

/**
 * Asks the one who can have made the token, by what it says of itself, and nobody else: a token that its maker refuses is never tried
 * elsewhere, and an access token never leaves this process.
 */
export function authenticatorByKind({ kubernetes, accessTokens, firebase, metrics }: AuthenticatorParts): Authenticator {
  const counted = async (kind: 'kubernetes' | 'firebase' | 'accessToken', answer: Promise<Principal | undefined> | undefined): Promise<Principal | undefined> => {
    try {
      const principal = await answer;
      metrics.signIn(kind, principal === undefined ? 'refused' : 'accepted');
      return principal;
    } catch (error) {
      metrics.signIn(kind, 'unavailable');
      throw error;
    }
  };
  return {
    authenticate: async (token) => {
      if (token.startsWith(TOKEN_PREFIX)) return counted('accessToken', accessTokens.authenticate(token));
      if (saysFirebase(token)) return counted('firebase', firebase?.authenticate(token));
      return counted('kubernetes', kubernetes.authenticate(token));
    },
  };
}
