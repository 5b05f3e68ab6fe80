/** Shapes of secrets that may stand inside a text, such as the message of somebody else's error. */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  // postgres://user:password@host, nats://token@host; a password that was not escaped may hold a slash or an @, so all before the last one goes.
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s"'`<>]+@/gi, '$1[redacted]@'],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, '$1 [redacted]'],
  // JSON Web Tokens: of Kubernetes, Firebase and NATS users.
  [/\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){1,2}/g, '[redacted]'],
  // Seeds of NATS: operator, account, user, server.
  [/\bS[OAUNCX][A-Z2-7]{48,}\b/g, '[redacted]'],
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, '[redacted]'],
  // JSON.parse says where it stopped, and with that shows what it read.
  [/(Unexpected [^,]{1,40}, )[\s\S]*(is not valid JSON)/g, '$1[redacted] $2'],
  // password=..., "token": "..."
  [/\b(password|passwd|secret|token|api[-_]?key|authorization|cookie|creds|seed)(["']?\s*[=:]\s*["']?)[^\s"',;&}\][]{3,}/gi, '$1$2[redacted]'],
];

/** A text in which whatever looks like a credential is replaced. */
export function scrub(text: string): string {
  return SHAPES.reduce((clean, [shape, instead]) => clean.replace(shape, instead), text);
}
