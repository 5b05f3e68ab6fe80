import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createTransport } from 'nodemailer';
import type { ApiLog } from '../../ports.ts';

/** A mail to one person. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** Sends mails. */
export interface Mailer {
  /** Resolves once the server has taken it. */
  send(mail: Mail): Promise<void>;
  close(): void;
}

const ANSWER_MS = 15_000;

/** Hands mails to an SMTP server, `smtp://user:password@host:587` or `smtps://...:465`. TLS is demanded where a password is sent. */
export function smtpMailer(url: string, from: string): Mailer {
  const { username } = new URL(url);
  const transport = createTransport({ url, connectionTimeout: ANSWER_MS, greetingTimeout: ANSWER_MS, socketTimeout: ANSWER_MS, disableFileAccess: true, disableUrlAccess: true, ...(username === '' ? {} : { requireTLS: true }) });
  return {
    send: async ({ to, subject, text, html }) => {
      // As an object: an address with a comma or a line break in it stays one address.
      await transport.sendMail({ from, to: { name: '', address: to }, subject, text, html });
    },
    close: () => { transport.close(); },
  };
}

/** Writes mails as files, newest last: for stacks without a mail server. */
export function fileMailer(dir: string, unique: () => string): Mailer {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return {
    send: (mail) => {
      writeFileSync(path.join(dir, `${unique()}.json`), JSON.stringify(mail, null, 2), { mode: 0o600 });
      return Promise.resolve();
    },
    close: () => undefined,
  };
}

/** Says that nothing is sent: no mail server is configured. */
export function noMailer(log: ApiLog): Mailer {
  return {
    send: ({ subject }) => {
      log.warn({ subject }, 'a mail was not sent: no mail server is configured');
      return Promise.resolve();
    },
    close: () => undefined,
  };
}
