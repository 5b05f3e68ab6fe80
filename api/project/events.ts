import { z } from 'zod';
import { listProjectEvents } from '../../prisma/store/index.ts';
import { page } from '../operations/entity.ts';
import { id, pageFields } from '../operations/fields.ts';
import { defineList } from '../operations/operation.ts';
import type { Operation } from '../operations/operation.ts';
import { pageInput, pageValue } from '../operations/paging.ts';
import { changeOf, ProjectChange } from './entities.ts';

const ORDER = 'change';

/** Operations on the history of a project. */
export const eventOperations: readonly Operation[] = [
  defineList({
    name: 'projectChanges', summary: 'What changed in a project, the oldest first.', rest: { method: 'GET', path: '/projects/{projectId}/changes' },
    input: z.strictObject({ projectId: id('The project.'), afterSeq: z.int().min(0).max(2_147_483_647).optional().describe('Only changes with a higher number.'), ...pageFields }),
    output: page(ProjectChange), right: { verb: 'list', resource: 'events', on: 'project' },
    run: async ({ services }, { projectId, afterSeq = 0, ...rest }) => {
      const { first, after } = pageInput(ORDER, rest);
      const begin = after === undefined ? afterSeq : Math.max(afterSeq, z.int().parse(after.value));
      const { rows, hasMore } = await listProjectEvents(services.db, projectId, begin, first);
      return pageValue(ORDER, { items: rows.map(changeOf), hasMore }, after !== undefined, (item) => [item.seq, item.projectId]);
    },
  }),
];
