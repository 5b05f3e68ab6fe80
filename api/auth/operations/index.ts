import type { Operation } from '../../operations/operation.ts';
import { ownOperations } from './own.ts';
import { tokenOperations } from './tokens.ts';
import { adminOperations } from './users.ts';

/** Operations of the module auth. */
export const authOperations: readonly Operation[] = [...ownOperations, ...tokenOperations, ...adminOperations];
