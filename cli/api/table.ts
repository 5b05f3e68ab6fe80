const MOST_COLUMNS = 7;
const WIDEST = 48;
/** Columns people look for first. */
const FIRST = ['id', 'name', 'title', 'status', 'phase', 'role', 'type'];

/** Items as a table: the columns of the first item that hold plain values, the well-known ones first; cells are cut. */
export function tableOf(items: readonly unknown[]): string {
  if (items.length === 0) return 'nothing\n';
  const rows = items.map((item): ReadonlyMap<string, unknown> => new Map(typeof item === 'object' && item !== null ? Object.entries(item) : [['value', item]]));
  const columns = columnsOf(rows);
  return textTable(columns.map(headOf), rows.map((row) => columns.map((column) => row.get(column))));
}

/** Rows below a head, in columns as wide as they have to be. Texts are cut; what is missing is `-`. */
export function textTable(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const lines = [head, ...rows.map((row) => row.map(cellOf))];
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  return lines.map((line) => `${line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   ').trimEnd()}\n`).join('');
}

function columnsOf(rows: readonly ReadonlyMap<string, unknown>[]): readonly string[] {
  const plain = [...new Set(rows.flatMap((row) => [...row.keys()]))].filter((name) => rows.every((row) => !isNested(row.get(name))));
  const place = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return plain.sort((a, b) => place(a) - place(b)).slice(0, MOST_COLUMNS);
}

function isNested(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function headOf(name: string): string {
  return name.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').toUpperCase();
}

/** Control characters of whoever wrote the text do nothing to the terminal. */
function cellOf(value: unknown): string {
  const text = typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean' ? '-' : String(value).replaceAll(/\p{C}+/gu, ' ');
  return text.length > WIDEST ? `${text.slice(0, WIDEST - 1)}…` : text;
}
