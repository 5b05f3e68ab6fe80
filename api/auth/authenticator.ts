import type { Authenticator } from '../ports.ts';
import { TOKEN_PREFIX } from './access-tokens.ts';
import { saysFirebase } from './firebase/id-token.ts';

/** Who is asked about which kind of token. */
export interface AuthenticatorParts {
  readonly kubernetes: Authenticator;
  readonly accessTokens: Authenticator;
  /** Absent where no Firebase project is configured: its tokens are nobody's. */
  readonly firebase: Authenticator | undefined;
}

/**
 * Asks the one who can have made the token, by what it says of itself, and nobody else: a token that its maker refuses is never tried
 * elsewhere, and an access token never leaves this process.
 */
export function authenticatorByKind({ kubernetes, accessTokens, firebase }: AuthenticatorParts): Authenticator {
  return {
    authenticate: async (token) => {
      if (token.startsWith(TOKEN_PREFIX)) return accessTokens.authenticate(token);
      if (saysFirebase(token)) return firebase?.authenticate(token);
      return kubernetes.authenticate(token);
    },
  };
}
