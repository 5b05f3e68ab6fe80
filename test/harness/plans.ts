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
