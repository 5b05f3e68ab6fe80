import { z } from 'zod';
import { readConfig, text } from '../platform/config/index.ts';
import { systemClock } from '../platform/clock/index.ts';
import { systemIds } from '../platform/ids/index.ts';
import packageJson from '../package.json' with { type: 'json' };
import { run } from './program.ts';

/** How it was called: `rambo`, or `kubectl rambo` where it lies on the PATH as kubectl-rambo (.rambo/bin/rambo says which). */
const { RAMBO_CLI_AS: name } = readConfig(z.object({ RAMBO_CLI_AS: text().default('rambo') }));
await run({
  clock: systemClock,
  print: (text) => { process.stdout.write(text); },
  say: (line) => { process.stderr.write(`${line}\n`); },
  exit: (code) => { process.exitCode = code; },
}, { version: packageJson.version, unique: systemIds.secret().slice(0, 8) }, process.argv.slice(2), name);
