import { UnavailableError } from '../../platform/errors/index.ts';
import type { ApiLog, Identities } from '../ports.ts';
import type { FirebaseAdmin } from './firebase/admin.ts';
import type { Mailer } from './mail/mailer.ts';
import { actionLink, emailVerificationMail, passwordResetMail } from './mail/templates.ts';

/** What it stands on. */
export interface IdentitiesParts {
  readonly firebase: FirebaseAdmin | undefined;
  readonly mailer: Mailer;
  readonly consoleUrl: string;
  readonly log: ApiLog;
}

/** Mails under way at most; above, nothing is sent: a flood must not fill the memory. */
const MOST_MAILS = 100;

/** Makes what operations do with accounts of Firebase. */
export function identitiesOf({ firebase, mailer, consoleUrl, log }: IdentitiesParts): Identities {
  let underWay = 0;
  const later = (what: string, work: () => Promise<void>): void => {
    if (underWay >= MOST_MAILS) {
      log.warn({ reason: what }, 'a mail was not sent: too many are under way');
      return;
    }
    underWay++;
    work().catch((error: unknown) => { log.warn({ reason: what, err: error }, 'a mail could not be sent'); }).finally(() => { underWay--; });
  };
  const project = (): FirebaseAdmin => {
    if (firebase === undefined) throw new UnavailableError('Firebase (no project is configured)');
    return firebase;
  };
  return {
    mailPasswordReset: (email) => {
      later('password reset', async () => {
        const code = await firebase?.passwordResetCode(email);
        if (code !== undefined) await mailer.send(passwordResetMail(email, actionLink({ consoleUrl }, 'resetPassword', code)));
      });
    },
    mailEmailVerification: (email) => {
      later('email verification', async () => {
        const code = await firebase?.emailVerificationCode(email);
        if (code !== undefined) await mailer.send(emailVerificationMail(email, actionLink({ consoleUrl }, 'verifyEmail', code)));
      });
    },
    revoke: async (uid) => project().revoke(uid),
    setDisabled: async (uid, disabled) => project().setDisabled(uid, disabled),
    importAccounts: async (accounts) => project().importAccounts(accounts),
  };
}
