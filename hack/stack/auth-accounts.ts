/*
 * Accounts of the Auth emulator for demos and tests, over its own REST API, as a front end would use it. Nothing here is a secret: the
 * emulator believes anybody.
 */

/** Project of the emulator. Those that begin with `demo-` can never be real ones. */
export const DEMO_PROJECT = 'demo-rambo';
const KEY = 'demo';

/** An account to be made. */
export interface Account {
  readonly uid: string;
  readonly email: string;
  readonly password: string;
  readonly name: string;
  /** Role in RamBo, where it is made beforehand. */
  readonly role: string;
  /** Phone of its second factor. */
  readonly phone?: string;
  readonly emailVerified?: boolean;
}

/** The accounts of `make up`. Their uids never change: the emulator forgets, Postgres does not. */
export const DEMO_ACCOUNTS: readonly Account[] = ['ADMIN', 'MANAGER', 'DEVELOPER', 'VIEWER'].map((role) => {
  const name = role.toLowerCase();
  return { uid: `demo-${name}`, email: `${name}@rambo.example`, password: 'rambo-demo', name, role, ...(role === 'ADMIN' ? { phone: '+15555550100' } : {}) };
});

/** Tokens of a sign-in. */
export interface SignedIn {
  readonly idToken: string;
  readonly refreshToken: string;
  readonly uid: string;
}

async function post<T>(host: string, place: string, body: object, headers: Readonly<Record<string, string>> = {}, method = 'POST'): Promise<T> {
  const response = await fetch(`http://${host}/identitytoolkit.googleapis.com/${place}`, {
    method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
  });
  const answer: T & { readonly error?: { readonly message: string } } = JSON.parse(await response.text());
  if (!response.ok) throw new Error(`the Auth emulator answered ${response.status} to ${place}: ${answer.error?.message ?? ''}`);
  return answer;
}

const asOwner = <T>(host: string, place: string, body: object, method?: string): Promise<T> => post(host, place, body, { authorization: 'Bearer owner' }, method);
const asClient = <T>(host: string, place: string, body: object): Promise<T> => post(host, `${place}?key=${KEY}`, body);

/** Makes accounts, and lets phones be second factors in the project. */
export async function makeAccounts(host: string, project: string, accounts: readonly Account[]): Promise<void> {
  await asOwner(host, `v2/projects/${project}/config?updateMask=mfa`, { mfa: { state: 'ENABLED', enabledProviders: ['PHONE_SMS'] } }, 'PATCH');
  for (const account of accounts) await makeAccount(host, project, account);
}

async function makeAccount(host: string, project: string, { uid, email, password, name, phone, emailVerified = true }: Account): Promise<void> {
  await asOwner(host, `v1/projects/${project}/accounts`, { localId: uid, email, password, displayName: name, emailVerified });
  if (phone === undefined) return;
  const enrollments = [{ phoneInfo: phone, displayName: 'phone', mfaEnrollmentId: `phone-${uid}`, enrolledAt: new Date(0).toISOString() }];
  await asOwner(host, `v1/projects/${project}/accounts:update`, { localId: uid, mfa: { enrollments } });
}

interface PasswordAnswer {
  readonly idToken: string; readonly refreshToken: string; readonly localId: string;
  readonly mfaPendingCredential?: string; readonly mfaInfo?: readonly { readonly mfaEnrollmentId: string }[];
}

/** Signs in with a password, and with the second factor where the account has one. */
export async function signIn(host: string, project: string, { email, password }: Pick<Account, 'email' | 'password'>): Promise<SignedIn> {
  const first = await asClient<PasswordAnswer>(host, 'v1/accounts:signInWithPassword', { email, password, returnSecureToken: true });
  const uid = first.localId;
  const { mfaPendingCredential } = first;
  if (mfaPendingCredential === undefined) return { uid, idToken: first.idToken, refreshToken: first.refreshToken };
  const mfaEnrollmentId = first.mfaInfo?.[0]?.mfaEnrollmentId;
  const started = await asClient<{ readonly phoneResponseInfo: { readonly sessionInfo: string } }>(host, 'v2/accounts/mfaSignIn:start', {
    mfaPendingCredential, mfaEnrollmentId, phoneSignInInfo: { recaptchaToken: 'ignored' },
  });
  const { sessionInfo } = started.phoneResponseInfo;
  const sent = await fetch(`http://${host}/emulator/v1/projects/${project}/verificationCodes`, { headers: { authorization: 'Bearer owner' } });
  const { verificationCodes }: { readonly verificationCodes: readonly { readonly sessionInfo: string; readonly code: string }[] } = JSON.parse(await sent.text());
  const code = verificationCodes.find((one) => one.sessionInfo === sessionInfo)?.code;
  const done = await asClient<PasswordAnswer>(host, 'v2/accounts/mfaSignIn:finalize', { mfaPendingCredential, phoneVerificationInfo: { sessionInfo, code } });
  return { uid, idToken: done.idToken, refreshToken: done.refreshToken };
}

/** Signs in as Google or GitHub would vouch for: the emulator believes a made-up credential. GitHub proves no address. */
export async function signInWith(host: string, provider: 'google.com' | 'github.com', person: { readonly sub: string; readonly email: string; readonly name?: string }): Promise<SignedIn> {
  const { sub, email, name } = person;
  const credential = provider === 'google.com'
    ? `id_token=${encodeURIComponent(JSON.stringify({ sub, email, email_verified: true, name }))}`
    : `access_token=${encodeURIComponent(JSON.stringify({ sub, id: sub, email, name }))}`;
  const answer = await asClient<PasswordAnswer>(host, 'v1/accounts:signInWithIdp', {
    postBody: `${credential}&providerId=${provider}`, requestUri: 'http://localhost', returnSecureToken: true, returnIdpCredential: true,
  });
  return { uid: answer.localId, idToken: answer.idToken, refreshToken: answer.refreshToken };
}

/** Creates an account as a sign-up page does: its address is not verified. */
export async function signUp(host: string, email: string, password: string): Promise<SignedIn> {
  const answer = await asClient<PasswordAnswer>(host, 'v1/accounts:signUp', { email, password, returnSecureToken: true });
  return { uid: answer.localId, idToken: answer.idToken, refreshToken: answer.refreshToken };
}

/** Uses a code of a mail, as the page behind its link does. */
export async function useCode(host: string, code: string, newPassword?: string): Promise<void> {
  if (newPassword === undefined) await asClient(host, 'v1/accounts:update', { oobCode: code });
  else await asClient(host, 'v1/accounts:resetPassword', { oobCode: code, newPassword });
}

/** A new ID token for a refresh token. Throws where it counts no more. */
export async function refresh(host: string, refreshToken: string): Promise<string> {
  const response = await fetch(`http://${host}/securetoken.googleapis.com/v1/token?key=${KEY}`, {
    method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
  });
  const answer: { readonly id_token?: string; readonly error?: { readonly message: string } } = JSON.parse(await response.text());
  if (answer.id_token === undefined) throw new Error(answer.error?.message ?? 'no token');
  return answer.id_token;
}

/** How to sign in from a shell; nothing where there is no emulator. */
export function signInHelp(host: string): readonly string[] {
  const [, , developer] = DEMO_ACCOUNTS;
  if (host === '' || developer === undefined) return [];
  return [
    `accounts of the Auth emulator (${host}): ${DEMO_ACCOUNTS.map(({ email, phone }) => (phone === undefined ? email : `${email} (second factor ${phone})`)).join(', ')}; password ${developer.password}`,
    `an ID token: curl -s 'http://${host}/identitytoolkit.googleapis.com/v1/accounts:signInWithPassword?key=demo' -H 'content-type: application/json' -d '{"email":"${developer.email}","password":"${developer.password}","returnSecureToken":true}'`,
    `an ID token with the second factor: node --no-warnings hack/stack/sign-in.ts ${DEMO_ACCOUNTS[0]?.email ?? ''}`,
  ];
}
