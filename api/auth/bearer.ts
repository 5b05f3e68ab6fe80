/** Longer ones are no tokens. */
const MOST_TOKEN = 16_384;
const BEARER = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i;

/** The token of exactly one well-formed `Authorization: Bearer` header, else undefined. Other places are never looked at. */
export function bearerToken(headers: readonly string[] | undefined): string | undefined {
  const [header, ...more] = headers ?? [];
  if (header === undefined || more.length > 0 || header.length > MOST_TOKEN) return undefined;
  return BEARER.exec(header)?.[1];
}
