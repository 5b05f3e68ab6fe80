import { RamboError } from '../platform/errors/index.ts';

/** A command cannot do what it was asked to; the message says why and what to do instead. */
export class CliError extends RamboError {}

/** Code of the process when a command failed. */
export const EXIT_FAILED = 1;
/** Code of the process when the command line itself is wrong. */
export const EXIT_USAGE = 2;
/** Code of the process when somebody pressed Ctrl-C, as shells have it. */
export const EXIT_INTERRUPTED = 130;
