import { z } from 'zod';
import type { Clock } from '../../platform/clock/index.ts';
import { RamboError } from '../../platform/errors/index.ts';
import { readObject, type ObjectReader } from '../kube-object.ts';

/** The label that says a Secret may be sent to where a Model or ToolServer is. */
export const CREDENTIALS_LABEL = 'rambo.dev/credentials';
const DEFAULT_KEY = 'apiKey';
/** A Secret that was changed counts within this time. */
const KNOWN_MS = 60_000;
const MISSING_MS = 5_000;
const MOST = 1_000;

const secretSchema = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()).optional() }),
  data: z.record(z.string(), z.string()).optional(),
});

/** Reads keys of Secrets. */
export interface Secrets {
  /** The text of a key (default `apiKey`). Throws RamboError `SecretMissing` or `SecretNotLabelled`, UnavailableError where the API server does not answer. */
  read(namespace: string, name: string, key?: string): Promise<string>;
}

interface Known {
  readonly until: number;
  readonly secret: Promise<z.output<typeof secretSchema> | undefined>;
}

/**
 * Secrets by GET with the gateway's own account, each known for a minute. Whoever may write a Model chooses a host, so a Secret is
 * only given out where its label says that it is meant for that.
 */
export function kubeSecrets(client: ObjectReader, clock: Clock): Secrets {
  const known = new Map<string, Known>();
  const find = (namespace: string, name: string): Known['secret'] => {
    const now = clock.monotonic();
    const id = `${namespace}/${name}`;
    const before = known.get(id);
    if (before !== undefined && before.until > now) return before.secret;
    if (known.size > MOST) known.clear();
    const secret = readObject(client, 'Secret', namespace, name, secretSchema);
    known.set(id, { until: now + KNOWN_MS, secret });
    secret.then((found) => { if (found === undefined) known.set(id, { until: clock.monotonic() + MISSING_MS, secret }); }, () => { known.delete(id); });
    return secret;
  };
  return {
    read: async (namespace, name, key = DEFAULT_KEY) => {
      const secret = await find(namespace, name);
      if (secret === undefined) throw new RamboError('SecretMissing', `there is no Secret ${JSON.stringify(name)} in namespace ${namespace}`);
      if (secret.metadata.labels?.[CREDENTIALS_LABEL] !== 'true') {
        throw new RamboError('SecretNotLabelled', `Secret ${JSON.stringify(name)} in namespace ${namespace} lacks the label ${CREDENTIALS_LABEL}: "true", which says that it may leave the cluster`);
      }
      const text = secret.data?.[key];
      if (text === undefined) throw new RamboError('SecretMissing', `Secret ${JSON.stringify(name)} in namespace ${namespace} has no key ${JSON.stringify(key)}`);
      return Buffer.from(text, 'base64').toString('utf8').trim();
    },
  };
}
