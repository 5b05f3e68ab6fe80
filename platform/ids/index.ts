import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';

/** Makes identifiers; injected so that tests and replays know them beforehand. */
export interface Ids {
  /** Time-ordered UUID, for runs. */
  uuid(): string;
  /** 32 hex characters that cannot be guessed, for attempt secrets. */
  secret(): string;
  /** 0 to 1, for jitter. */
  random(): number;
}

/** Real identifiers. */
export const systemIds: Ids = {
  uuid: () => v7(),
  secret: () => randomBytes(16).toString('hex'),
  random: () => Math.random(),
};

/** Identifiers that count up: for tests. */
export function countingIds(prefix = '00000000-0000-7000-8000-'): Ids {
  let n = 0;
  return {
    uuid: () => `${prefix}${(++n).toString(16).padStart(12, '0')}`,
    secret: () => (++n).toString(16).padStart(32, '0'),
    random: () => 0.5,
  };
}
