/** Types a browser may be told about: none of them runs anything. All others are bytes to it. */
const INERT = new Set([
  'application/json', 'application/pdf', 'application/zip', 'application/gzip', 'image/png', 'image/jpeg', 'image/gif', 'image/webp', 'text/csv', 'text/plain',
]);

/** Content type under which a file leaves: its own where that is inert, else plain bytes (HTML, SVG, scripts, XML). */
export function servedType(contentType: string): string {
  const [bare = ''] = contentType.toLowerCase().split(';');
  return INERT.has(bare.trim()) ? contentType : 'application/octet-stream';
}

/** `Content-Disposition` that saves under a name, whatever is in it (RFC 6266, RFC 8187). */
export function attachment(filename: string): string {
  const name = filename.toWellFormed();
  const plain = name.normalize('NFKD').replace(/[^\x20-\x7e]|["\\%]/g, '_').slice(0, 150);
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain === '' ? 'file' : plain}"; filename*=UTF-8''${encoded}`;
}
