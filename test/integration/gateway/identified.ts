import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openIdentity, type Identity } from '../../../api/auth/identity.ts';
import { apiConfigSchema } from '../../../api/config.ts';
import { systemClock } from '../../../platform/clock/index.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import type { AuthEmulator } from '../../harness/auth-emulator.ts';
import { Site } from './site.ts';

/** A site whose people sign in with the Auth emulator; Kubernetes accounts are still those of its World. */
export interface IdentifiedSite {
  readonly site: Site;
  readonly identity: Identity;
  /** Mails that were sent, the newest last. */
  mails(): readonly { readonly to: string; readonly subject: string; readonly text: string }[];
  stop(): Promise<void>;
}

/** Environment of an API that believes the emulator. */
export function emulatorEnvironment(emulator: AuthEmulator): Record<string, string> {
  return {
    RAMBO_ENVIRONMENT: 'development', RAMBO_FIREBASE_PROJECT: emulator.project, FIREBASE_AUTH_EMULATOR_HOST: emulator.host, RAMBO_DATABASE_URL: 'unused', RAMBO_NATS_URL: 'unused', RAMBO_NATS_CREDS_FILE: 'unused',
    RAMBO_ADMIN_EMAILS: 'Admin@rambo.example', RAMBO_CONSOLE_URL: 'https://rambo.example',
  };
}

/** Starts one. The SDK of Firebase reads the address of the emulator from the environment of the process. */
export async function identifiedSite(emulator: AuthEmulator): Promise<IdentifiedSite> {
  process.env['FIREBASE_AUTH_EMULATOR_HOST'] = emulator.host;
  const mailDir = mkdtempSync(path.join(tmpdir(), 'rambo-mails-'));
  const config = apiConfigSchema.parse({ ...emulatorEnvironment(emulator), RAMBO_MAIL_DIR: mailDir });
  const opened: { identity?: Identity } = {};
  const site = await Site.start(async (ports, world) => {
    const identity = await openIdentity({ config, kubernetes: ports.authenticator, db: ports.db, gateway: ports.gateway, clock: systemClock, ids: systemIds, log: world.log(), metrics: world.metrics() });
    opened.identity = identity;
    return { authenticator: identity.authenticator, standing: identity.standing, identities: identity.identities };
  });
  const { identity } = opened;
  if (identity === undefined) throw new Error('no identity');
  return {
    site, identity,
    mails: () => readdirSync(mailDir).sort().map((file) => JSON.parse(readFileSync(path.join(mailDir, file), 'utf8'))),
    stop: async () => {
      await site.stop();
      await identity.close();
    },
  };
}
