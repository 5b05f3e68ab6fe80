import { Buffer } from 'node:buffer';
import type { ImportableHash } from './firebase/admin.ts';

const BCRYPT = /^\$2[aby]?\$\d\d\$[./A-Za-z0-9]{53}$/;
/** `pbkdf2_sha256$<rounds>$<salt>$<hash in base64>`, as Django keeps it. */
const PBKDF2 = /^pbkdf2_(sha256|sha1)\$(\d{1,7})\$([^$]{1,128})\$([A-Za-z0-9+/]+={0,2})$/;

/** A password hash of the prototype's accounts in a form that Firebase takes over; undefined for any other. */
export function parseHash(text: string): ImportableHash | undefined {
  if (BCRYPT.test(text)) return { algorithm: 'BCRYPT', hash: Buffer.from(text) };
  const [, digest, rounds, salt, hash] = PBKDF2.exec(text) ?? [];
  if (digest === undefined || salt === undefined || hash === undefined) return undefined;
  const count = Number(rounds);
  // What Firebase takes; fewer rounds are no protection, and it refuses more.
  if (count < 1 || count > 120_000) return undefined;
  return { algorithm: digest === 'sha256' ? 'PBKDF2_SHA256' : 'PBKDF_SHA1', rounds: count, salt: Buffer.from(salt), hash: Buffer.from(hash, 'base64') };
}
