import type { Operation } from '../operations/operation.ts';
import { ownProjectOperations } from './projects.ts';
import { requirementOperations } from './requirements.ts';
import { sprintOperations } from './sprints.ts';
import { taskOperations } from './tasks.ts';
import { ticketOperations } from './tickets.ts';

/** All operations of the module. */
export const projectOperations: readonly Operation[] = [...ownProjectOperations, ...taskOperations, ...sprintOperations, ...ticketOperations, ...requirementOperations];
