import { ApiError } from '../errors.ts';

/** Why a request is given up. One for all: every request ends so, and an error of its own for each costs a fiftieth of it. */
export const GONE = new ApiError('BAD_REQUEST', 'the client went away');
