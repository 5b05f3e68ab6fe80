import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../platform/clock/index.ts';
import { errorMessage, RamboError } from '../../platform/errors/index.ts';
import { isAllowed } from '../../platform/net/addresses.ts';
import type { Fetch, SecretReader } from './parts.ts';
import type { KnownServer } from './servers.ts';
import { jsonOf } from '../json.ts';

/** Why a server cannot be called with the credentials it names: `SecretMissing`, `SecretNotLabelled`, `AuthUnsupported`, `AuthFailed`, `AddressRefused`, `Unavailable`. */
export class CredentialError extends RamboError {}

const tokenSchema = z.object({ access_token: z.string().min(1).max(16_384), expires_in: z.number().min(0).max(31_536_000).optional() });
/** A token is not used in its last seconds. */
const MARGIN_MS = 30_000;
/** A server that says nothing of how long a token lasts. */
const DEFAULT_MS = 300_000;
const TOKEN_MS = 10_000;
const MOST = 1_000;

/** Headers that open tool servers. Nothing of them is logged, journaled or answered. */
export class Credentials {
  readonly #secrets: SecretReader;
  readonly #clock: Clock;
  readonly #tokens = new Map<string, { readonly until: number; readonly token: Promise<string> }>();

  constructor(secrets: SecretReader, clock: Clock) {
    this.#secrets = secrets;
    this.#clock = clock;
  }

  /** The headers of a request to this server. Throws CredentialError. */
  async headers(server: KnownServer, fetch: Fetch): Promise<Readonly<Record<string, string>>> {
    // What a server over stdio may reach is said to its pods; where it is itself is our own Service.
    if (server.spec.mcp?.stdio === undefined) refuseEgress(server, server.url);
    const { auth } = server.spec;
    try {
      if (auth?.secret !== undefined) {
        const { secretRef, header, prefix } = auth.secret;
        return { [header.toLowerCase()]: plain(`${prefix}${await this.#secrets.read(server.namespace, secretRef.name, secretRef.key)}`) };
      }
      if (auth?.clientCredentials !== undefined) return { authorization: `Bearer ${plain(await this.#token(server, auth.clientCredentials, fetch))}` };
    } catch (error) {
      if (error instanceof CredentialError) throw error;
      throw new CredentialError(error instanceof RamboError ? error.code : 'AuthFailed', errorMessage(error), { cause: error });
    }
    if (auth?.perUser !== undefined || auth?.tokenExchange !== undefined) {
      throw new CredentialError('AuthUnsupported', `auth.${auth.perUser === undefined ? 'tokenExchange' : 'perUser'} of ToolServer ${server.name} is not supported by this release`);
    }
    return {};
  }

  /** Forgets the token of a server that refused it. */
  forget(server: KnownServer): void {
    for (const key of this.#tokens.keys()) if (key.startsWith(`${server.uid}/`)) this.#tokens.delete(key);
  }

  async #token(server: KnownServer, auth: NonNullable<NonNullable<KnownServer['spec']['auth']>['clientCredentials']>, fetch: Fetch): Promise<string> {
    refuseEgress(server, auth.tokenUrl);
    const secret = await this.#secrets.read(server.namespace, auth.clientSecretRef.name, auth.clientSecretRef.key);
    const key = `${server.uid}/${createHash('sha256').update(JSON.stringify([auth, secret])).digest('hex')}`;
    const known = this.#tokens.get(key);
    if (known !== undefined && known.until > this.#clock.monotonic()) return known.token;
    if (this.#tokens.size >= MOST) this.#tokens.clear();
    const asked = askToken(auth, secret, fetch);
    const token = asked.then(({ access_token: text }) => text);
    // Whoever waits for it hears of a failure; that nobody else does must not end the process.
    token.catch(() => undefined);
    this.#tokens.set(key, { until: this.#clock.monotonic() + TOKEN_MS, token });
    try {
      const { expires_in: seconds } = await asked;
      this.#tokens.set(key, { until: this.#clock.monotonic() + Math.max(0, (seconds === undefined ? DEFAULT_MS : seconds * 1_000) - MARGIN_MS), token });
    } catch (error) {
      this.#tokens.delete(key);
      throw error;
    }
    return token;
  }
}

async function askToken(auth: { readonly tokenUrl: string; readonly clientId: string; readonly scopes?: readonly string[] | undefined; readonly audience?: string | undefined }, secret: string, fetch: Fetch): Promise<z.output<typeof tokenSchema>> {
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (auth.scopes !== undefined) form.set('scope', auth.scopes.join(' '));
  if (auth.audience !== undefined) form.set('audience', auth.audience);
  // RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
  const basic = Buffer.from(`${encodeURIComponent(auth.clientId)}:${encodeURIComponent(secret)}`).toString('base64');
  const response = await fetch(auth.tokenUrl, {
    method: 'POST', headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }, body: form.toString(),
    signal: AbortSignal.timeout(TOKEN_MS),
  });
  const text = (await response.text()).slice(0, 65_536);
  const parsed = response.ok ? tokenSchema.safeParse(jsonOf(text)) : undefined;
  // What the server says may repeat the secret: only its status is told.
  if (parsed?.success !== true) throw new CredentialError('AuthFailed', `the token server gave no token (HTTP ${response.status})`);
  return parsed.data;
}

/** A list of hosts in the spec bounds where the credentials go, whatever the installation allows beside it. */
function refuseEgress({ spec, name }: KnownServer, address: string): void {
  if (spec.egress === undefined) return;
  const host = new URL(address).hostname;
  if (!isAllowed(host, host.replace(/^\[|\]$/g, ''), spec.egress)) throw new CredentialError('AddressRefused', `${host} is not in spec.egress of ToolServer ${name}`);
}

function plain(value: string): string {
  if (/[^\x20-\x7e\x80-\xff\t]/.test(value)) throw new CredentialError('AuthFailed', 'the credential holds a character that no header may have');
  return value;
}
