import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Child } from '../../hack/stack/child.ts';
import { objectsReady, objectsServer, type ObjectsAddress } from '../../hack/stack/objects.ts';
import { freePort } from '../../hack/stack/ports.ts';
import { readTools } from '../../hack/stack/stack.ts';
import type { ObjectStoreOptions } from '../../platform/objects/index.ts';

/** A real S3 server of one test file. */
export interface TestObjects {
  readonly address: ObjectsAddress;
  /** What our client is opened with. */
  readonly options: ObjectStoreOptions;
  /** Ends the server as a crash does; objects stay. */
  kill(): Promise<void>;
  /** Starts it again on the same port and objects. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server with one empty bucket. About 100 ms. */
export async function testObjects(): Promise<TestObjects> {
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-objects-'));
  const binary = readTools().versitygw;
  const { args, env, ...address } = objectsServer(dir, await freePort());
  const begin = async (): Promise<Child> => {
    const child = new Child({ name: 'objects', command: binary, args, env, restart: false, logFile: path.join(dir, 'log'), log: () => undefined });
    child.start();
    await objectsReady(address.endpoint);
    return child;
  };
  let child = await begin();
  return {
    address,
    options: { ...address, accessKey: readFileSync(address.accessKeyFile, 'utf8'), secretKey: readFileSync(address.secretKeyFile, 'utf8') },
    kill: () => child.stop('SIGKILL'),
    restart: async () => { child = await begin(); },
    stop: async () => {
      await child.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
