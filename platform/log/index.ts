import { pino, type Logger } from 'pino';

/** Structured logging: a constant message, facts as keys. Children carry run, node, item, attempt. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'> & { child(facts: object): Log };

/** Keys whose values never reach a log, wherever they stand. */
const SECRET_KEYS = ['secret', 'token', 'password', 'authorization', 'creds', 'seed', 'databaseUrl', 'cookie'];

/** A logger of one process: one JSON object per line on standard output. */
export function createLog(process: string, level: string): Log {
  return pino({
    level,
    base: { process },
    messageKey: 'msg',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[redacted]' },
  });
}
