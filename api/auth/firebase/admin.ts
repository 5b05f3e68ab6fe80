import { readFileSync } from 'node:fs';
import type { Credential, ServiceAccount } from 'firebase-admin/app';
import type { Auth } from 'firebase-admin/auth';
import { ConfigError } from '../../../platform/config/index.ts';
import { errorMessage, UnavailableError } from '../../../platform/errors/index.ts';
import type { FirebaseStanding } from '../accounts.ts';

/** An account that waits to be taken into Firebase with its old password hash. */
export interface WaitingAccount {
  readonly uid: string;
  readonly email: string;
  readonly emailVerified: boolean;
  /** `<algorithm>$...` as `parseHash` reads it. */
  readonly hash: ImportableHash;
}

/** Password hashes Firebase can take over. */
export type ImportableHash =
  | { readonly algorithm: 'BCRYPT'; readonly hash: Buffer }
  | { readonly algorithm: 'PBKDF2_SHA256' | 'PBKDF_SHA1'; readonly rounds: number; readonly salt: Buffer; readonly hash: Buffer };

/** What RamBo asks of Firebase. Every method throws UnavailableError when it cannot be reached. */
export interface FirebaseAdmin {
  /** What Firebase says of an account now; undefined where there is none. */
  standing(uid: string): Promise<FirebaseStanding | undefined>;
  /** Makes all refresh tokens and sign-ins of an account void. */
  revoke(uid: string): Promise<void>;
  /** Lets an account sign in, or no more. */
  setDisabled(uid: string, disabled: boolean): Promise<void>;
  /** Code that lets its bearer set a new password; undefined where no account has that address. */
  passwordResetCode(email: string): Promise<string | undefined>;
  /** Code that proves the address of an account; undefined where there is none. */
  emailVerificationCode(email: string): Promise<string | undefined>;
  /** Takes accounts over; the uids of those that were refused, with why. */
  importAccounts(accounts: readonly WaitingAccount[]): Promise<readonly { readonly uid: string; readonly reason: string }[]>;
  close(): Promise<void>;
}

/** Which project, and who we are there. */
export interface FirebaseOptions {
  readonly project: string;
  /** JSON file of a service account; the machine's own identity when absent. */
  readonly credentialFile: string | undefined;
  /** Whether the SDK talks to the Auth emulator: it reads FIREBASE_AUTH_EMULATOR_HOST itself. */
  readonly emulator: boolean;
}

let apps = 0;

/** Opens the project. Connects lazily. Throws ConfigError for a credential file that cannot be used. */
export async function openFirebase(options: FirebaseOptions): Promise<FirebaseAdmin> {
  // Only now: an installation without sign-in does not pay for the SDK.
  const [{ applicationDefault, cert, deleteApp, initializeApp }, { getAuth }] = await Promise.all([import('firebase-admin/app'), import('firebase-admin/auth')]);
  const credential = credentialOf(options, { applicationDefault, cert });
  const app = initializeApp({ projectId: options.project, ...(credential === undefined ? {} : { credential }) }, `rambo-${++apps}`);
  const auth = getAuth(app);
  return {
    standing: (uid) => asked(async () => {
      const { disabled, tokensValidAfterTime } = await auth.getUser(uid);
      return { disabled, validSince: tokensValidAfterTime === undefined ? 0 : Date.parse(tokensValidAfterTime) };
    }),
    revoke: async (uid) => { await asked(() => auth.revokeRefreshTokens(uid)); },
    setDisabled: async (uid, disabled) => { await asked(() => auth.updateUser(uid, { disabled })); },
    passwordResetCode: (email) => asked(async () => codeOf(await auth.generatePasswordResetLink(email))),
    emailVerificationCode: (email) => asked(async () => codeOf(await auth.generateEmailVerificationLink(email))),
    importAccounts: (accounts) => importAll(auth, accounts),
    close: () => deleteApp(app),
  };
}

interface Credentials {
  readonly applicationDefault: () => Credential;
  readonly cert: (key: ServiceAccount) => Credential;
}

function credentialOf({ credentialFile, emulator }: FirebaseOptions, { applicationDefault, cert }: Credentials): Credential | undefined {
  if (emulator) return undefined;
  if (credentialFile === undefined) return applicationDefault();
  try {
    const key: ServiceAccount = JSON.parse(readFileSync(credentialFile, 'utf8'));
    return cert(key);
  } catch (error) {
    throw new ConfigError('Config', `RAMBO_FIREBASE_CREDENTIAL_FILE: ${credentialFile} is no key file of a service account (${errorMessage(error).slice(0, 200)})`, { cause: error });
  }
}

/** Our own page gets the code: the link of Firebase leads to a page of Google's. */
function codeOf(link: string): string {
  const code = new URL(link).searchParams.get('oobCode');
  if (code === null) throw new Error('the link of Firebase has no code');
  return code;
}

const NOBODY = ['auth/user-not-found', 'auth/email-not-found', 'auth/invalid-email', 'auth/invalid-uid'];

/** What is not there is undefined; whatever else goes wrong means that nobody can tell now. */
async function asked<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (NOBODY.includes(authCode(error) ?? '')) return undefined;
    throw new UnavailableError('Firebase', error);
  }
}

function authCode(error: unknown): string | undefined {
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : undefined;
}

async function importAll(auth: Auth, accounts: readonly WaitingAccount[]): Promise<readonly { uid: string; reason: string }[]> {
  const groups = new Map<string, WaitingAccount[]>();
  for (const account of accounts) {
    const { hash } = account;
    const key = hash.algorithm === 'BCRYPT' ? hash.algorithm : `${hash.algorithm} ${hash.rounds}`;
    groups.set(key, [...groups.get(key) ?? [], account]);
  }
  const refused: { uid: string; reason: string }[] = [];
  for (const group of groups.values()) {
    const [first] = group;
    if (first === undefined) continue;
    const { hash: sample } = first;
    const users = group.map(({ uid, email, emailVerified, hash }) => ({ uid, email, emailVerified, passwordHash: hash.hash, ...(hash.algorithm === 'BCRYPT' ? {} : { passwordSalt: hash.salt }) }));
    const hash = sample.algorithm === 'BCRYPT' ? { algorithm: sample.algorithm } : { algorithm: sample.algorithm, rounds: sample.rounds };
    const result = await asked(() => auth.importUsers(users, { hash }));
    for (const { index, error } of result?.errors ?? []) refused.push({ uid: group[index]?.uid ?? '', reason: error.code });
  }
  return refused;
}
