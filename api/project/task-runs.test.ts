import type { TaskRunRow } from '../../prisma/store/index.ts';
import type { OperationContext } from '../operations/operation.ts';
import { nextCursor } from '../operations/rest.ts';
import { taskRunPage } from './task-runs.ts';

const id = (n: number): string => `01234567-89ab-7def-8123-${String(n).padStart(12, '0')}`;

/** Runs of one task, the newest first, and a caller who may see those of namespace `mine`. */
function world(namespaces: readonly string[]) {
  const rows = namespaces.map((namespace, i) => ({ id: id(i), namespace, linkedAt: 1_000 - i }) as TaskRunRow);
  const reads: (string | undefined)[] = [];
  const context = {
    principal: { kind: 'firebase', name: 'ann' },
    services: {
      can: (_: unknown, __: unknown, { namespace }: { namespace: string }) => Promise.resolve(namespace === 'mine'),
      runs: { ofTasks: (ids: readonly string[], after: { readonly id: string } | undefined, first: number) => {
        reads.push(after?.id);
        const from = after === undefined ? 0 : rows.findIndex((row) => row.id === after.id) + 1;
        return Promise.resolve(ids.map(() => ({ rows: rows.slice(from, from + first), hasMore: rows.length > from + first })));
      } },
    },
  } as unknown as OperationContext;
  const all = async (first: number): Promise<string[]> => {
    const seen: string[] = [];
    for (let after: string | null | undefined; after !== null;) {
      const page = await taskRunPage(context, 'task', { first, after });
      seen.push(...page.items.map((row) => row.id));
      after = nextCursor(page);
    }
    return seen;
  };
  return { context, all, reads };
}

test.each<[string, string, number]>([
  ['all of them', 'mmmmm', 2], ['none', 'ooooo', 2], ['the oldest alone, behind pages that are hidden', 'oooooom', 2], ['some between', 'moommoooom', 2], ['one by one', 'omom', 1], ['in one page', 'omom', 100], ['no run at all', '', 5],
])('reading on gives every run that may be seen, once: %s', async (_, pattern, first) => {
  const namespaces = Array.from(pattern, (each) => (each === 'm' ? 'mine' : 'theirs'));
  const { all } = world(namespaces);
  expect(await all(first)).toEqual(namespaces.flatMap((namespace, i) => (namespace === 'mine' ? [id(i)] : [])));
});

test('a caller who may see nothing makes us read so much and no more', async () => {
  const { all, reads } = world(Array.from({ length: 500 }, () => 'theirs'));
  expect(await all(1)).toEqual([]);
  expect(reads).toHaveLength(20);
});
