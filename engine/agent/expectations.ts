import { ValueError } from '../errors.ts';
import type { Program } from '../expr/program.ts';

/** Refuses a condition of which the checker knows that it is neither true nor false. */
export function expectBoolean(program: Program): void {
  if (program.type !== 'bool' && program.type !== 'dyn') throw new ValueError('ExpressionInvalid', `a condition is true or false, this is a ${program.type}`);
}
