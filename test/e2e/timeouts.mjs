// A real cluster on two cores needs minutes where jest gives 5 s; no test waits for time to pass.
import { jest } from '@jest/globals';

jest.setTimeout(120_000);
