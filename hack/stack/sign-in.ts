// Prints an ID token of a demo account of the running stack, second factor included. Usage: sign-in.ts <email>, after `. .rambo/env`.
import { DEMO_ACCOUNTS, DEMO_PROJECT, signIn } from './auth-accounts.ts';

const host = process.env['RAMBO_AUTH_EMULATOR'] ?? '';
const account = DEMO_ACCOUNTS.find(({ email }) => email === process.argv[2]);
if (host === '' || account === undefined) {
  process.stderr.write(`usage: sign-in.ts <email>, after \`. .rambo/env\`; one of ${DEMO_ACCOUNTS.map(({ email }) => email).join(', ')}\n`);
  process.exit(2);
}
process.stdout.write(`${(await signIn(host, DEMO_PROJECT, account)).idToken}\n`);
