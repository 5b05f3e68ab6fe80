import { z } from 'zod';
import { readConfig, text } from '../platform/config/index.ts';
import { stayAlive, systemClock } from '../platform/clock/index.ts';
import { systemIds } from '../platform/ids/index.ts';
import packageJson from '../package.json' with { type: 'json' };
import { openLines } from './io/lines.ts';
import { run } from './program.ts';

/** How it was called: `rambo`, or `kubectl rambo` where it lies on the PATH as kubectl-rambo (.rambo/bin/rambo says which). */
const { RAMBO_CLI_AS: name } = readConfig(z.object({ RAMBO_CLI_AS: text().default('rambo') }));
// Whoever read us has enough (`rambo --help | head -1`): that is no error.
for (const stream of [process.stdout, process.stderr]) stream.on('error', (error: NodeJS.ErrnoException) => { if (error.code !== 'EPIPE') throw error; });
// A command that only waits for its next question would end in the middle of it.
const alive = stayAlive();
await run({
  clock: systemClock,
  open: () => openLines(process),
  print: (text) => { process.stdout.write(text); },
  say: (line) => { process.stderr.write(`${line}\n`); },
  exit: (code) => { process.exitCode = code; },
}, { version: packageJson.version, unique: systemIds.secret().slice(0, 8) }, process.argv.slice(2), name);
alive.cancel();
