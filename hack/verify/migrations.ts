import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './files.ts';
import { splitTop, statementsOf } from './sql.ts';

/*
 * Expand, then contract: while a release is rolled out, and after it was rolled back, the one before it works on the schema of
 * this one. So a migration only adds, and does not stop whoever reads and writes meanwhile. What takes away is a
 * contract: marked by a file CONTRACT beside its SQL, one release after the code that needed it went.
 */

/** A migration as it lies in its folder. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
  /** Text of its file CONTRACT, where it has one. */
  readonly contract?: string;
}

/** What breaks the rules, one line each: migration, statement, the way out. `release` is the version in package.json. */
export function migrationProblems(migrations: readonly Migration[], release: string): readonly string[] {
  return migrations.flatMap((migration) => {
    const marked = migration.contract === undefined ? [] : contractProblems(migration.contract, release);
    return [...nameProblems(migration.name), ...marked, ...statementProblems(migration)].map((problem) => `prisma/migrations/${migration.name}: ${problem}`);
  });
}

/** The migrations of this checkout. */
export function migrationsInFolder(): readonly Migration[] {
  const folder = path.join(ROOT, 'prisma/migrations');
  return readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => {
    const contract = path.join(folder, name, 'CONTRACT');
    return { name, sql: readFileSync(path.join(folder, name, 'migration.sql'), 'utf8'), ...(existsSync(contract) ? { contract: readFileSync(contract, 'utf8') } : {}) };
  });
}

function nameProblems(name: string): readonly string[] {
  return /^\d{14}_[a-z0-9_]+$/.test(name) ? [] : ['name it <14 digits of its time>_<what it does>'];
}

function contractProblems(text: string, release: string): readonly string[] {
  const [, after = '', why = ''] = /^after (none|\d+\.\d+\.\d+): (.+)/s.exec(text.trim()) ?? [];
  if (after === '' || why.trim().length < 20) return ['its file CONTRACT must say `after <last release that needed it, or none>: <why it may go>`'];
  return after !== 'none' && !older(after, release) ? [`it takes away what release ${after} needs: a contract comes one release later, and package.json says ${release}`] : [];
}

function older(a: string, b: string): boolean {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < 3; i++) if (x?.[i] !== y?.[i]) return (x?.[i] ?? 0) < (y?.[i] ?? 0);
  return false;
}

function statementProblems({ sql, contract }: Migration): readonly string[] {
  const statements = statementsOf(sql);
  const fresh = new Set(statements.flatMap((text) => tableAfter(text, /^create (?:unlogged )?table (?:if not exists )?/i) ?? []));
  const problems = statements.flatMap((text) => problemsOf(text, fresh, statements.length, contract !== undefined).map((problem) => `\`${text.slice(0, 100)}\`: ${problem}`));
  return [...problems, ...sameFile(statements)];
}

/** A constraint is added in one migration and validated in a later one: within one transaction the first lock would last through the scan. */
function sameFile(statements: readonly string[]): readonly string[] {
  const all = statements.join('; ');
  return /\bnot valid\b/i.test(all) && /\bvalidate constraint\b/i.test(all) ? ['it adds a constraint NOT VALID and validates it at once: validate in the next migration'] : [];
}

function problemsOf(text: string, fresh: ReadonlySet<string>, count: number, contract: boolean): readonly string[] {
  if (/^create (?:unlogged )?table\b|^create sequence\b|^create type\b|^comment on\b/i.test(text)) return [];
  if (/^create (?:unique )?index\b/i.test(text)) return indexProblems(text, fresh, count);
  const altered = tableAfter(text, /^alter table (?:if exists )?(?:only )?/i);
  if (altered !== undefined) return fresh.has(altered) ? [] : actionsOf(text).flatMap((action) => actionProblems(action, contract));
  const filled = tableAfter(text, /^insert into /i);
  if (filled !== undefined) return fresh.has(filled) ? [] : ['rows of a table that exists are filled in resumable batches, not in a migration'];
  if (/^(?:update|delete|truncate|merge)\b/i.test(text)) return ['rows are changed in resumable batches, not in a migration: it would hold its locks for as long'];
  if (/^(?:drop|alter)\b/i.test(text)) return contract ? [] : ['it takes something away, or changes it: mark the migration as a contract (file CONTRACT), one release after the code that needs it'];
  if (/^set\b/i.test(text)) return ['the migrator sets lock_timeout (2 s) and the rest of the session'];
  return ['the lint does not know this kind of statement: teach it (hack/verify/migrations.ts), or do without'];
}

function indexProblems(text: string, fresh: ReadonlySet<string>, count: number): readonly string[] {
  const table = /\bon (?:only )?("?[\w.]+"?)/i.exec(text)?.[1];
  if (table !== undefined && fresh.has(plain(table))) return [];
  if (!/\bconcurrently\b/i.test(text)) return ['an index on a table that exists is built CONCURRENTLY: otherwise nobody writes to it meanwhile'];
  return count === 1 ? [] : ['an index built CONCURRENTLY is alone in its migration: it cannot run in a transaction'];
}

function actionsOf(text: string): readonly string[] {
  return splitTop(text.replace(/^alter table (?:if exists )?(?:only )?("[^"]+"|[\w.]+)/i, ''), ',').map((action) => action.trim());
}

function actionProblems(action: string, contract: boolean): readonly string[] {
  if (/^add constraint\b|^add (?:check|foreign key|unique|primary key|exclude)\b/i.test(action)) return constraintProblems(action);
  if (/^add\b/i.test(action)) return columnProblems(action);
  if (/^validate constraint\b|^set \(|^reset \(|^alter (?:column )?\S+ (?:set default|set statistics|set storage)\b/i.test(action)) return [];
  return contract ? [] : ['it takes something away, or changes it: mark the migration as a contract (file CONTRACT), one release after the code that needs it'];
}

function constraintProblems(action: string): readonly string[] {
  if (/\bnot valid$/i.test(action) || /\busing index\b/i.test(action)) return [];
  return /\b(?:unique|primary key)\b/i.test(action)
    ? ['build its index CONCURRENTLY in a migration before, then add the constraint USING INDEX']
    : ['add it NOT VALID, and VALIDATE it in the next migration: otherwise nobody reads or writes the table while it is scanned'];
}

/** The release before does not name the column: it needs a value without being told. */
function columnProblems(action: string): readonly string[] {
  if (/\b(?:unique|primary key|references|generated|serial|bigserial)\b/i.test(action)) return ['add a plain column; index and constraint come in migrations of their own'];
  const fallback = /\bdefault (.+?)(?: not null| null|$)/i.exec(action)?.[1]?.trim();
  if (/\bnot null\b/i.test(action) && fallback === undefined) return ['a column that must not be null needs a constant DEFAULT: the release before does not name it'];
  return fallback === undefined || /^(?:'[^']*'(?:::\w+)?|-?[\d.]+|true|false|null|current_timestamp|now\(\))$/i.test(fallback) ? [] : ['its DEFAULT must be a constant: otherwise the whole table is written again'];
}

function tableAfter(text: string, start: RegExp): string | undefined {
  const rest = start.test(text) ? text.replace(start, '') : undefined;
  const name = rest === undefined ? undefined : /^("[^"]+"|[\w.]+)/.exec(rest)?.[1];
  return name === undefined ? undefined : plain(name);
}

function plain(name: string): string {
  return name.replaceAll('"', '').replace(/^public\./, '');
}
