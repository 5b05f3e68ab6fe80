import { spawn } from 'node:child_process';
import path from 'node:path';
import { DEMO_PROJECT } from '../../hack/stack/auth-accounts.ts';
import { freePort } from '../../hack/stack/ports.ts';
import { ROOT } from '../../hack/stack/stack.ts';

/** The real Auth emulator, in a process of its own. */
export interface AuthEmulator {
  /** host:port. */
  readonly host: string;
  readonly project: string;
  stop(): Promise<void>;
}

/** Starts an emulator with the demo accounts. About 5 s. */
export async function startAuthEmulator(): Promise<AuthEmulator> {
  const port = await freePort();
  const child = spawn(path.join(ROOT, 'node_modules/.bin/node'), ['--no-warnings', path.join(ROOT, 'hack/stack/auth-emulator.ts'), String(port), DEMO_PROJECT], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => { child.once('close', () => { resolve(); }); });
  let text = '';
  await new Promise<void>((resolve, reject) => {
    const take = (chunk: string): void => {
      text += chunk;
      if (/^ready$/m.test(text)) resolve();
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    void ended.then(() => { reject(new Error(`the Auth emulator ended: ${text.slice(-2_000)}`)); });
  });
  return {
    host: `127.0.0.1:${port}`, project: DEMO_PROJECT,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
