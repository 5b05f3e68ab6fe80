// Real servers under load need longer than jest's 5 s; no test waits for time to pass.
import { jest } from "@jest/globals";
jest.setTimeout(60_000);
