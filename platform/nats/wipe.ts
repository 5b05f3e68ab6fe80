import { Buffer } from 'node:buffer';
import { JetStreamApiError, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { UnavailableError } from '../errors/index.ts';
import { DISPATCH_STREAM } from '../messages/subjects.ts';

/**
 * Deletes the dispatch stream: what waits in it belongs to a database that is gone. Controllers declare it anew. Returns
 * whether there was one. Throws UnavailableError when NATS does not answer, or refuses.
 */
export async function wipeDispatches(url: string, creds: string): Promise<boolean> {
  try {
    const connection = await connect({ servers: url, name: 'rambo-restore', maxReconnectAttempts: 0, timeout: 5_000, authenticator: credsAuthenticator(Buffer.from(`${creds}\n`)) });
    try {
      const jsm = await jetstreamManager(connection, { checkAPI: false });
      return await jsm.streams.delete(DISPATCH_STREAM).catch(absent);
    } finally {
      await connection.close();
    }
  } catch (error) {
    throw new UnavailableError(`NATS at ${url}`, error);
  }
}

function absent(error: unknown): boolean {
  if (error instanceof JetStreamApiError && error.code === 10_059) return false;
  throw error;
}
