import pg from 'pg';

/** Fills a database with rows by the million, and lets Postgres look at them. `sql`: statements, each ending with a semicolon and a line break. */
export async function seed(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('SET session_replication_role = replica'); // no foreign key is looked up
  await client.query('SET synchronous_commit = off');
  for (const statement of sql.split(';\n').filter((text) => text.trim() !== '')) await client.query(statement);
  await client.query('VACUUM ANALYZE');
  await client.end();
}

/** An id of the rows of a seed, by its kind and number. */
export function seededId(kind: number, i: number): string {
  return `00000000-0000-7000-800${kind}-${i.toString(16).padStart(12, '0')}`;
}

/** The part of a plan of Postgres that tests look at. */
export interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Shared Hit Blocks'?: number;
  readonly 'Shared Read Blocks'?: number;
  readonly Plans?: readonly Plan[];
}

/** Tables that a plan reads from end to end, but for those named. */
export function scans(plan: Plan, small: readonly string[] = []): readonly string[] {
  const table = plan['Relation Name'] ?? '';
  const own = plan['Node Type'] === 'Seq Scan' && !small.includes(table) ? [`Seq Scan on ${table}`] : [];
  return [...own, ...(plan.Plans ?? []).flatMap((below) => scans(below, small))];
}

/** Blocks a plan that was carried out has looked at. */
export function blocksOf(plan: Plan): number {
  return (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
}
