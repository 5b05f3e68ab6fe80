/**
 * Pages that are linked to and make targets that are called before they exist, because another branch brings them. Empty
 * once that branch is here: a name whose page or target exists is told.
 */
export const PENDING: ReadonlySet<string> = new Set([]);
