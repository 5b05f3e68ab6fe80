import { errorMessage } from '../../platform/errors/index.ts';
import type { ProcessFact } from './facts.ts';

/** Asks something below a base address; the body, whatever the code. Throws when there is no answer. */
export type Get = (path: string) => Promise<{ readonly ok: boolean; readonly body: string }>;

const TIMEOUT_MS = 5_000;

/** Asks a health port over plain HTTP. */
export function httpGet(base: string): Get {
  return async (path) => {
    const response = await fetch(new URL(path, base), { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return { ok: response.ok, body: await response.text() };
  };
}

/** Whether a process is ready, what it lacks, and its metrics. Never throws. */
export async function processFact(name: string, get: Get): Promise<ProcessFact> {
  try {
    const { ok, body } = await get('/readyz');
    const metrics = await get('/metrics').then((answer) => (answer.ok ? answer.body : undefined), () => undefined);
    return { name, ready: ok, says: ok ? 'ready' : body.trim().slice(0, 500), ...(metrics === undefined ? {} : { metrics }) };
  } catch (error) {
    return { name, ready: undefined, says: `it does not answer (${reason(error)})` };
  }
}

/** `fetch failed` says nothing; its cause does. */
function reason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.message !== '' ? cause.message : errorMessage(error);
}
