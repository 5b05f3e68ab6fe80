import { Buffer } from 'node:buffer';
import { createAccount, createOperator, createUser, encodeAccount, encodeOperator, encodeUser, fmtCreds, fromSeed } from '@nats-io/jwt';
import type { Permissions } from '../messages/subjects.ts';

/** Everything a NATS server in JWT mode and those who sign users for it need. Seeds are secrets. */
export interface NatsIdentity {
  readonly operatorJwt: string;
  readonly accountJwt: string;
  readonly accountPublicKey: string;
  /** Signs users; only controllers have it. */
  readonly accountSeed: string;
  readonly systemAccountJwt: string;
  readonly systemAccountPublicKey: string;
}

const UNLIMITED = -1;
/** One answer to each request, within two minutes (in nanoseconds). */
const RESPONSES = { max: 1, ttl: 120 * 1_000_000_000 };

/** Makes an operator with one account for RamBo, JetStream allowed, and the system account the server wants. */
export async function createNatsIdentity(): Promise<NatsIdentity> {
  const operator = createOperator();
  const account = createAccount();
  const system = createAccount();
  const systemAccountJwt = await encodeAccount('SYS', system, {}, { signer: operator });
  const limits = {
    subs: UNLIMITED, data: UNLIMITED, payload: UNLIMITED, imports: UNLIMITED, exports: UNLIMITED, wildcards: true, conn: UNLIMITED, leaf: 0,
    mem_storage: UNLIMITED, disk_storage: UNLIMITED, streams: UNLIMITED, consumer: UNLIMITED,
  };
  const accountJwt = await encodeAccount('RAMBO', account, { limits }, { signer: operator });
  const operatorJwt = await encodeOperator('rambo', operator, { system_account: system.getPublicKey() });
  return {
    operatorJwt, accountJwt, accountPublicKey: account.getPublicKey(), accountSeed: text(account.getSeed()),
    systemAccountJwt, systemAccountPublicKey: system.getPublicKey(),
  };
}

/** A user of the account: the text of its credentials file. `permissions` undefined allows everything in the account. */
export async function signUser(user: {
  readonly name: string;
  readonly accountSeed: string;
  readonly permissions?: Permissions;
  /** Seconds of validity; for ever when absent. */
  readonly expiresInSeconds?: number;
  /** Epoch milliseconds. */
  readonly now: number;
}): Promise<string> {
  const account = fromSeed(Buffer.from(user.accountSeed));
  const keys = createUser();
  const allowed = user.permissions === undefined ? {} : {
    pub: { allow: [...user.permissions.publish] }, sub: { allow: [...user.permissions.subscribe] }, ...(user.permissions.respond === true ? { resp: RESPONSES } : {}),
  };
  const expiry = user.expiresInSeconds === undefined ? {} : { exp: Math.floor(user.now / 1_000) + user.expiresInSeconds };
  const jwt = await encodeUser(user.name, keys, account, { ...allowed, subs: UNLIMITED, data: UNLIMITED, payload: UNLIMITED }, expiry);
  return text(fmtCreds(jwt, keys));
}

/** Configuration of a nats-server: JWT mode, JetStream, 1 MB payloads, no monitoring port. */
export function serverConfig(options: {
  readonly port: number;
  /** Address it listens on; loopback when absent. */
  readonly host?: string;
  readonly storeDir: string;
  readonly identity: NatsIdentity;
  readonly pidFile?: string;
  readonly portsDir?: string;
}): string {
  const { identity } = options;
  return [
    'server_name: rambo', `listen: "${options.host ?? '127.0.0.1'}:${options.port}"`,
    'max_payload: 1048576', 'max_pending: 67108864', 'write_deadline: "10s"',
    ...(options.pidFile === undefined ? [] : [`pid_file: ${JSON.stringify(options.pidFile)}`]),
    ...(options.portsDir === undefined ? [] : [`ports_file_dir: ${JSON.stringify(options.portsDir)}`]),
    `jetstream { store_dir: ${JSON.stringify(options.storeDir)}, max_memory_store: 1GB, max_file_store: 10GB }`,
    `operator: ${identity.operatorJwt}`,
    `system_account: ${identity.systemAccountPublicKey}`,
    'resolver: MEMORY',
    `resolver_preload: { ${identity.accountPublicKey}: ${identity.accountJwt}, ${identity.systemAccountPublicKey}: ${identity.systemAccountJwt} }`,
    '',
  ].join('\n');
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
