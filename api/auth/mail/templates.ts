import type { Mail } from './mailer.ts';

/** Where links lead: a page of the console that takes `mode` and `oobCode`, as Firebase's own pages do. */
export interface LinkTarget {
  /** Such as `https://rambo.example.com`. */
  readonly consoleUrl: string;
}

/** The link with a code of Firebase. */
export function actionLink({ consoleUrl }: LinkTarget, mode: 'resetPassword' | 'verifyEmail', code: string): string {
  const link = new URL('/auth/action', consoleUrl);
  link.searchParams.set('mode', mode);
  link.searchParams.set('oobCode', code);
  return link.href;
}

/** Mail with which somebody sets a new password. */
export function passwordResetMail(to: string, link: string): Mail {
  return mail(to, 'Set a new password for RamBo', [
    'Somebody asked for a new password for your account in RamBo.', 'Open this link to set one. It works once, and for an hour.',
  ], link, 'Set a new password', 'If it was not you, do nothing: your password stays as it is.');
}

/** Mail with which somebody proves an address. */
export function emailVerificationMail(to: string, link: string): Mail {
  return mail(to, 'Confirm your address for RamBo', ['Open this link to confirm that this address is yours.'], link, 'Confirm', 'If you have no account in RamBo, do nothing.');
}

function mail(to: string, subject: string, before: readonly string[], link: string, label: string, after: string): Mail {
  const paragraphs = before.map((line) => `<p>${escape(line)}</p>`).join('');
  return {
    to, subject,
    text: [...before, '', link, '', after, ''].join('\n'),
    html: `<!doctype html><html lang="en"><body style="font-family:sans-serif;max-width:36em">${paragraphs}<p><a href="${escape(link)}">${escape(label)}</a></p><p>${escape(after)}</p></body></html>`,
  };
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
