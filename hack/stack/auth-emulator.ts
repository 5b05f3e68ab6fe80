// The Auth emulator of firebase-tools, without Java and the rest of its suite: a private path, so firebase-tools is pinned.
// Usage: auth-emulator.ts <port> <project>: makes the demo accounts and says `ready`. Accounts live in memory.
import { createRequire } from 'node:module';
import { DEMO_ACCOUNTS, makeAccounts } from './auth-accounts.ts';

interface Emulator {
  start(): Promise<void>;
  stop(): Promise<void>;
}
type EmulatorClass = new (options: { readonly host: string; readonly port: number; readonly projectId: string; readonly singleProjectMode: string }) => Emulator;

const [port = '', project = ''] = process.argv.slice(2);
const { AuthEmulator }: { readonly AuthEmulator: EmulatorClass } = createRequire(import.meta.url)('firebase-tools/lib/emulator/auth');
const emulator = new AuthEmulator({ host: '127.0.0.1', port: Number(port), projectId: project, singleProjectMode: 'error' });
await emulator.start();
await makeAccounts(`127.0.0.1:${port}`, project, DEMO_ACCOUNTS);
process.stdout.write('ready\n');
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => { void emulator.stop().finally(() => { process.exit(0); }); });
