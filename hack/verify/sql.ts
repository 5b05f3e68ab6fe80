/** Text of SQL cut into statements and parts, as far as a lint needs it: quotes, dollar quotes and comments are known. */

/** Comments become one space; what stands in quotes stays. */
export function withoutComments(sql: string): string {
  return pieces(sql).map((piece) => (piece.kind === 'comment' ? ' ' : piece.text)).join('');
}

/** Statements of a script, trimmed, without their semicolons and comments; empty ones are left out. */
export function statementsOf(sql: string): readonly string[] {
  return splitTop(withoutComments(sql), ';').map((text) => text.replaceAll(/\s+/g, ' ').trim()).filter((text) => text !== '');
}

/** Splits at a character that stands in no quotes and no brackets. */
export function splitTop(text: string, at: string): readonly string[] {
  const out: string[] = [''];
  let depth = 0;
  for (const piece of pieces(text)) {
    if (piece.kind !== 'code') {
      out.push(`${out.pop() ?? ''}${piece.text}`);
      continue;
    }
    for (const char of piece.text) {
      if (char === '(') depth++;
      if (char === ')') depth--;
      if (char === at && depth === 0) out.push('');
      else out.push(`${out.pop() ?? ''}${char}`);
    }
  }
  return out;
}

interface Piece { readonly kind: 'code' | 'quoted' | 'comment'; readonly text: string }

/** In the order in which they are tried at each place. */
const TOKENS: readonly (readonly [Piece['kind'], RegExp])[] = [
  ['comment', /--[^\n]*/y], ['comment', /\/\*[\s\S]*?\*\//y],
  ['quoted', /'(?:[^']|'')*'/y], ['quoted', /"(?:[^"]|"")*"/y], ['quoted', /(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1/y],
];

function pieces(sql: string): readonly Piece[] {
  const out: Piece[] = [];
  let code = '';
  for (let i = 0; i < sql.length;) {
    const found = tokenAt(sql, i);
    if (found === undefined) {
      code += sql[i] ?? '';
      i++;
      continue;
    }
    if (code !== '') out.push({ kind: 'code', text: code });
    code = '';
    out.push(found);
    i += found.text.length;
  }
  if (code !== '') out.push({ kind: 'code', text: code });
  return out;
}

function tokenAt(sql: string, at: number): Piece | undefined {
  for (const [kind, pattern] of TOKENS) {
    pattern.lastIndex = at;
    const match = pattern.exec(sql);
    if (match !== null) return { kind, text: match[0] };
  }
  return undefined;
}
