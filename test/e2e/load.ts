import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';

/** What a load saw. */
export interface LoadResult {
  readonly requests: number;
  readonly failed: readonly string[];
  /** Milliseconds, of all requests that were answered. */
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
}

/** One request of a load. */
export interface LoadRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const TIMEOUT_MS = 10_000;

/**
 * Sends requests over kept connections, `clients` at a time, until told to stop. Anything but status 200 and a body that `good`
 * accepts is a failure; nothing is sent again, as k6 does it, but for what HTTP itself allows: a kept connection that the
 * server closed before it had read the request (ECONNRESET without a byte of an answer) is no request.
 */
export function startLoad(load: LoadRequest, clients: number, good: (body: string) => boolean): { stop(): Promise<LoadResult> } {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const times: number[] = [];
  const failed: string[] = [];
  let on = true;
  const loop = async (): Promise<void> => {
    while (on) {
      const began = performance.now();
      const problem = await send(agent, load, good);
      if (problem === undefined) times.push(performance.now() - began);
      else failed.push(`${new Date().toISOString()} ${problem}`);
    }
  };
  const loops = Array.from({ length: clients }, loop);
  return { stop: async () => {
    on = false;
    await Promise.all(loops);
    agent.destroy();
    times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
    return { requests: times.length + failed.length, failed, p50: at(0.5), p99: at(0.99), slowest: times.at(-1) ?? 0 };
  } };
}

/** Connections that have had a request; `reusedSocket` of Node forgets those that were handed on at once. */
const used = new WeakSet<Socket>();

/** What went wrong, or undefined. */
function send(agent: Agent, { url, headers, body }: LoadRequest, good: (body: string) => boolean): Promise<string | undefined> {
  return new Promise((resolve) => {
    const sent = request(url, { method: 'POST', agent, headers: { ...headers, 'content-length': Buffer.byteLength(body) }, timeout: TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
      response.once('end', () => { resolve(response.statusCode === 200 && good(text) ? undefined : `${response.statusCode ?? 0} ${text.slice(0, 200)}`); });
      response.once('error', (error) => { resolve(error.message); });
    });
    let kept = false;
    sent.once('socket', (socket) => {
      kept = used.has(socket);
      used.add(socket);
    });
    sent.once('timeout', () => { sent.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)); });
    sent.once('error', (error: NodeJS.ErrnoException) => {
      // A kept connection that was closed while we wrote: HTTP says to send it on another one.
      if (kept && error.code === 'ECONNRESET') send(agent, { url, headers, body }, good).then(resolve, () => { resolve('lost'); });
      else resolve(`${error.code ?? ''} ${error.message}`);
    });
    sent.end(body);
  });
}
