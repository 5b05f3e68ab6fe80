/** What stands where a secret stood. */
export const REDACTED = '[redacted]';

/** Text in which anything that looks like a secret is replaced. Patterns with a group keep what comes before the secret. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g, REDACTED],
  // The credentials of a URL.
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']*@/gi, `$1${REDACTED}@`],
  [/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  // JSON Web Tokens; a NATS credential is one too.
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?/g, REDACTED],
  // Seeds of NATS: S, the kind, base32.
  [/\bS[ACNOUX][A-Z2-7]{40,}\b/g, REDACTED],
  // Keys of well-known providers.
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, REDACTED], [/\b(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[abprs])[-_][A-Za-z0-9_-]{12,}/g, REDACTED],
  [/\bAIza[A-Za-z0-9_-]{30,}/g, REDACTED],
];

/** A name and its value, in JSON, YAML, a query, an environment or a log line. */
const NAMED = /(["']?[A-Za-z0-9_.-]*(?:secret|token|passw(?:or)?d|passphrase|authorization|credential|creds|seed|api[_-]?key|private[_-]?key|access[_-]?key|cookie|session[_-]?id|dsn)[A-Za-z0-9_.-]*["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&}\])"']+)/gi;
/** The same in JSON that stands inside a JSON string: its quotes are escaped. */
const NESTED = /(\\"[A-Za-z0-9_.-]*(?:secret|token|passw(?:or)?d|authorization|credential|creds|seed|api[_-]?key|private[_-]?key|cookie|dsn)[A-Za-z0-9_.-]*\\"\s*:\s*\\")((?:[^"\\]|\\[^"])*)(\\")/gi;

/** Values that are no secrets although their name sounds like one. */
const HARMLESS = /^["']?(?:null|true|false|\d{1,6}|\[redacted\])?["']?$/i;

/**
 * Makes a function that takes secrets out of text: the ones that are known (passwords and tokens this very command uses), whatever
 * looks like one, and the value of whatever is named like one. Better one word too many than one too few.
 */
export function redactor(known: Iterable<string>): (text: string) => string {
  const secrets = [...new Set(known)].filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length);
  return (text) => {
    let out = text;
    for (const secret of secrets) out = out.replaceAll(asFound(secret), REDACTED);
    for (const [pattern, by] of PATTERNS) out = out.replaceAll(pattern, by);
    out = out.replaceAll(NESTED, (_, start: string, value: string, end: string) => `${start}${HARMLESS.test(value) ? value : REDACTED}${end}`);
    return out.replaceAll(NAMED, (whole, name: string, value: string) => {
      if (HARMLESS.test(value)) return whole;
      const quote = /^["']/.exec(value)?.[0] ?? '';
      return `${name}${quote}${REDACTED}${quote}`;
    });
  };
}

/** A short secret may be an ordinary word (a password of `postgres`): it counts as a word of its own, a long one anywhere. */
function asFound(secret: string): RegExp {
  const text = secret.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(secret.length >= 12 ? text : `(?<![A-Za-z0-9])${text}(?![A-Za-z0-9])`, 'g');
}

/** Secrets inside a URL: its password, also as it stands encoded. */
export function secretsOfUrl(url: string | undefined): readonly string[] {
  if (url === undefined) return [];
  try {
    const { password } = new URL(url);
    return password === '' ? [] : [password, decodeURIComponent(password)];
  } catch {
    return [];
  }
}
