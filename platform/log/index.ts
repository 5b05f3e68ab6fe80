import { pino, type Logger, type LoggerOptions } from 'pino';
import { errorMessage } from '../errors/index.ts';
import { scrub } from './scrub.ts';

/** Structured logging: a constant message, facts as keys (`fields.ts`). Level `error` says that somebody has to look: a fault of ours. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'> & { child(facts: object): Log };

/** A line of level error, for whoever counts or reports faults. */
export interface Fault {
  /** The constant message. */
  readonly message: string;
  readonly error: unknown;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Keys whose values never reach a log, wherever they stand. */
const SECRET_KEYS = ['secret', 'token', 'password', 'authorization', 'creds', 'seed', 'databaseUrl', 'cookie'];
/** pino's number of level error. */
const ERROR = 50;

/** A logger of one process: one JSON object per line, on standard output unless `out` is given. `fault` hears of each line of level error. */
export function createLog(process: string, level: string, fault: (fault: Fault) => void = () => undefined, out?: { write(line: string): void }): Log {
  const options: LoggerOptions = {
    level,
    base: { process },
    messageKey: 'msg',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[redacted]' },
    hooks: {
      logMethod(args, method, number) {
        const [first, message] = args as readonly unknown[];
        if (typeof first !== 'object' || first === null) {
          method.apply(this, args);
          return;
        }
        const facts: Record<string, unknown> = { ...first };
        if (number >= ERROR) fault({ message: String(message), error: facts['err'], facts });
        method.apply(this, [plain(facts, number >= ERROR), String(message)]);
      },
    },
  };
  return out === undefined ? pino(options) : pino(options, out);
}

/** One shape for errors: `err` is a text without credentials; `stack` is added where somebody has to look. */
function plain(facts: Readonly<Record<string, unknown>>, withStack: boolean): Record<string, unknown> {
  const { err } = facts;
  if (err === undefined) return { ...facts };
  const stack = withStack && err instanceof Error ? err.stack : undefined;
  return { ...facts, err: scrub(errorMessage(err)), ...(stack === undefined ? {} : { stack: scrub(stack) }) };
}
