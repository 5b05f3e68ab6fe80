import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Where an object store is and what opens it. The keys lie in files, as a Secret mounts them. */
export interface ObjectsAddress {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyFile: string;
  readonly secretKeyFile: string;
}

/** How to run the S3 server, and where it will be. */
export interface ObjectsServer extends ObjectsAddress {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const BUCKET = 'rambo';
const REGION = 'us-east-1';

/**
 * What versitygw needs to serve one bucket from a folder. Keys are random and made once per folder; they reach the server as
 * environment, because everybody may read its arguments. The bucket is a folder, so it is there from the start.
 */
export function objectsServer(dir: string, port: number): ObjectsServer {
  const [data, sidecar] = [path.join(dir, 'data'), path.join(dir, 'meta')];
  for (const folder of [path.join(data, BUCKET), sidecar]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [accessKeyFile, secretKeyFile] = [path.join(dir, 'access-key'), path.join(dir, 'secret-key')];
  if (!existsSync(secretKeyFile)) {
    writeFileSync(accessKeyFile, randomBytes(10).toString('hex'), { mode: 0o600 });
    writeFileSync(secretKeyFile, randomBytes(24).toString('hex'), { mode: 0o600 });
  }
  return {
    endpoint: `http://127.0.0.1:${port}`, bucket: BUCKET, region: REGION, accessKeyFile, secretKeyFile,
    // Metadata lie in files beside the objects: not every file system has extended attributes.
    args: ['--port', `127.0.0.1:${port}`, '--region', REGION, '--quiet', '--keep-alive', '--health', '/health', 'posix', '--sidecar', sidecar, data],
    env: { ROOT_ACCESS_KEY: readFileSync(accessKeyFile, 'utf8'), ROOT_SECRET_KEY: readFileSync(secretKeyFile, 'utf8') },
  };
}

/** Waits until the server answers. Throws when it does not within 30 s. */
export async function objectsReady(endpoint: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const answers = await fetch(`${endpoint}/health`).then((response) => response.ok, () => false);
    if (answers) return;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error('the object store did not become ready; see logs/objects.log');
}
