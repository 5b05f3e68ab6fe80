// Real servers under load need longer than jest's 5 s; no test waits for time to pass.
import { expect, jest } from '@jest/globals';

jest.setTimeout(60_000);

/**
 * Tests that break things at random moments of a real stack, on a machine that may be busy, get a second try. What the
 * first one found is printed as "RETRY ERRORS" and is to be read: it may be a bug that shows in one run of ten.
 */
const RANDOM = /integration\/(chaos\/|run\/(replicas|extremes|faults))/;
if (RANDOM.test(expect.getState().testPath ?? '')) jest.retryTimes(1, { logErrorsBeforeRetry: true, retryImmediately: true });
