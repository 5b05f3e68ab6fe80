import type { Operation } from '../operations/operation.ts';
import { eventOperations } from './events.ts';
import { invitationOperations } from './invitations.ts';
import { memberOperations } from './members.ts';
import { ownProjectOperations } from './projects.ts';
import { requirementOperations } from './requirements.ts';
import { sprintOperations } from './sprints.ts';
import { taskRunOperations } from './task-runs.ts';
import { taskOperations } from './tasks.ts';
import { ticketOperations } from './tickets.ts';

/** All operations of the module. */
export const projectOperations: readonly Operation[] = [
  ...ownProjectOperations, ...memberOperations, ...invitationOperations, ...eventOperations, ...taskOperations, ...taskRunOperations, ...sprintOperations, ...ticketOperations, ...requirementOperations,
];
