import type { Clock } from '../../platform/clock/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import { readSecretFile } from '../../platform/config/index.ts';
import type { Gateway } from '../../prisma/gateway/index.ts';
import { accessTokenByHash, accessTokenById, accountByFirebase, accountById, touchAccessToken } from '../../prisma/store/index.ts';
import type { Executor } from '../../prisma/store/index.ts';
import type { ApiConfig } from '../config.ts';
import type { ApiLog, ApiMetrics, Authenticator, Identities, StandingReader } from '../ports.ts';
import { accessTokenPrincipal, tokenCounts } from './access-tokens.ts';
import { standingOf } from './accounts.ts';
import { authenticatorByKind } from './authenticator.ts';
import { openFirebase } from './firebase/admin.ts';
import type { FirebaseAdmin } from './firebase/admin.ts';
import { idTokenVerifier } from './firebase/id-token.ts';
import { FirebaseKeys } from './firebase/keys.ts';
import { identitiesOf } from './identities.ts';
import { fileMailer, noMailer, smtpMailer } from './mail/mailer.ts';
import type { Mailer } from './mail/mailer.ts';
import { signIn } from './sign-in.ts';

/** Everything about who somebody is. */
export interface Identity {
  readonly authenticator: Authenticator;
  readonly standing: StandingReader;
  readonly identities: Identities;
  close(): Promise<void>;
}

/** What it is made of. */
export interface IdentityParts {
  readonly config: ApiConfig;
  readonly kubernetes: Authenticator;
  readonly db: Executor;
  readonly gateway: Gateway;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: ApiLog;
  readonly metrics: Pick<ApiMetrics, 'signIn'>;
}

/** Puts the kinds of tokens together. Throws ConfigError for a credential that cannot be used. */
export async function openIdentity(parts: IdentityParts): Promise<Identity> {
  const { config, kubernetes, db, clock, log } = parts;
  const firebase = await firebaseOf(config, log);
  const mailer = mailerOf(parts);
  const accessTokens = { byHash: (hash: Uint8Array) => accessTokenByHash(db, hash), touch: (id: string, at: number) => touchAccessToken(db, id, at), clock, log };
  return {
    authenticator: authenticatorByKind({
      kubernetes, accessTokens: { authenticate: (token) => accessTokenPrincipal(accessTokens, token) }, firebase: firebase === undefined ? undefined : firebaseAuthenticator(parts, firebase), metrics: parts.metrics,
    }),
    standing: standingOf({
      account: (id) => accountById(db, id), firebase: async (uid) => firebase?.standing(uid),
      token: async (id) => {
        const row = await accessTokenById(db, id);
        return row !== undefined && tokenCounts(row, clock.now());
      },
    }),
    identities: identitiesOf({ firebase, mailer, consoleUrl: config.RAMBO_CONSOLE_URL, log }),
    close: async () => {
      mailer.close();
      await firebase?.close();
    },
  };
}

async function firebaseOf(config: ApiConfig, log: ApiLog): Promise<FirebaseAdmin | undefined> {
  const { RAMBO_FIREBASE_PROJECT: project, RAMBO_FIREBASE_CREDENTIAL_FILE: credentialFile, FIREBASE_AUTH_EMULATOR_HOST: emulator } = config;
  if (emulator !== undefined) log.warn({ host: emulator }, 'the Auth emulator is believed: anybody can make tokens');
  return project === undefined ? undefined : openFirebase({ project, credentialFile, emulator: emulator !== undefined });
}

function firebaseAuthenticator({ config, db, gateway, clock, ids, log }: IdentityParts, firebase: FirebaseAdmin): Authenticator {
  const verifier = idTokenVerifier({
    project: config.RAMBO_FIREBASE_PROJECT ?? '', clock, keys: new FirebaseKeys(clock, config.RAMBO_FIREBASE_KEYS_URL), emulator: config.FIREBASE_AUTH_EMULATOR_HOST !== undefined,
  });
  const parts = {
    verifier, standing: (uid: string) => firebase.standing(uid), accountOf: (uid: string) => accountByFirebase(db, uid), gateway, clock, ids, log,
    defaultRole: config.RAMBO_DEFAULT_ROLE, adminEmails: config.RAMBO_ADMIN_EMAILS.map((email) => email.toLowerCase()),
  };
  return { authenticate: (token) => signIn(parts, token) };
}

function mailerOf({ config, ids, log }: IdentityParts): Mailer {
  if (config.RAMBO_MAIL_DIR !== undefined) return fileMailer(config.RAMBO_MAIL_DIR, () => ids.uuid());
  const file = config.RAMBO_SMTP_URL_FILE;
  const url = config.RAMBO_SMTP_URL ?? (file === undefined ? undefined : readSecretFile('RAMBO_SMTP_URL_FILE', file));
  return url === undefined ? noMailer(log) : smtpMailer(url, config.RAMBO_MAIL_FROM);
}
