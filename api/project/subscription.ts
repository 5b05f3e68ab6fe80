import { listProjectEvents, projectsByIds } from '../../prisma/store/index.ts';
import type { ProjectEventRow } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { builder } from '../graphql/builder.ts';
import type { StreamContext } from '../graphql/context.ts';
import { id as idSchema } from '../operations/fields.ts';
import { entityRef } from '../operations/graphql-types.ts';
import { ProjectFeed } from '../realtime/project-feed.ts';
import { openStream } from '../realtime/streams.ts';
import { changeOf, ProjectChange } from './entities.ts';

const asId = idSchema('A project.');

builder.subscriptionField('projectChanged', (t) => t.field({
  type: entityRef(ProjectChange),
  description: 'Every change of a project, once and in order, from a number on or from now on. Read what changed again: nothing of it is sent. '
    + 'NOT_FOUND if it does not exist or is not yours; so it ends, too, when the right is gone. Needs `watch events`.',
  args: {
    projectId: t.arg.id({ required: true, description: 'Which project.' }),
    after: t.arg.int({ description: 'The last `seq` you know: changes above it come first. Only what happens from now on if not given.' }),
  },
  subscribe: (_, { projectId, after }, context) => openProjectFeed(context, projectId, after ?? undefined),
  resolve: (row: ProjectEventRow) => changeOf(row),
}));

/** The changes of a project for one caller; counted among their open streams. Throws NOT_FOUND for what can be no id. */
export function openProjectFeed(context: StreamContext, given: string, after: number | undefined): ProjectFeed {
  const { services, principal } = context;
  const projectId = asId.safeParse(given);
  if (!projectId.success || (after !== undefined && after < 0)) throw new ApiError('NOT_FOUND', `project ${given.slice(0, 64)} does not exist or is not yours`);
  return openStream(context, (onClose) => new ProjectFeed({
    clock: services.clock, notices: services.projectNotices,
    changes: async (of, seq, first) => (await listProjectEvents(services.db, of, seq, first)).rows,
    lastSeq: async (of) => (await projectsByIds(services.db, [of]))[0]?.seq,
    mayWatch: async (of) => await context.stillValid() && await services.can(principal, 'watch', { kind: 'project', resource: 'events', projectId: of }),
  }, projectId.data, after, onClose));
}
