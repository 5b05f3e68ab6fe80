import { createServer } from 'node:http';
import { errorMessage } from '../errors/index.ts';
import { scrub } from '../log/scrub.ts';
import { listenOn } from './listen.ts';

/** A named check of readiness; says what is wrong, or nothing. */
export type Check = () => string | undefined | Promise<string | undefined>;

/** What a process says of itself. */
export interface Telling {
  readonly checks: Readonly<Record<string, Check>>;
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
}

/** A running health server. */
export interface HealthServer {
  readonly port: number;
  /** From now on it says this. */
  tell(telling: Telling): void;
  close(): Promise<void>;
}

/** Serves `/healthz`, `/readyz` (failing checks by name) and `/metrics`. Port 0: the system chooses. */
export async function serveHealth(options: Telling & { readonly host: string; readonly port: number }): Promise<HealthServer> {
  let telling: Telling = options;
  const server = createServer((request, response) => {
    void answer(telling, request.url ?? '/').catch(failed).then(({ status, type, text }) => {
      response.writeHead(status, { 'content-type': type }).end(text);
    });
  });
  const port = await listenOn(server, options.host, options.port);
  return {
    port, tell: (next) => { telling = next; },
    close: () => new Promise((done) => { server.closeAllConnections(); server.close(() => { done(); }); }),
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function answer(options: Telling, url: string): Promise<Answer> {
  const path = url.split('?')[0];
  if (path === '/healthz') return { status: 200, type: 'text/plain', text: 'ok\n' };
  if (path === '/metrics') return { status: 200, ...await options.metrics() };
  if (path === '/readyz') return ready(options.checks);
  return { status: 404, type: 'text/plain', text: 'not found\n' };
}

/** A page that cannot be made is an answer too: a scrape must never end the process. */
function failed(error: unknown): Answer {
  return { status: 500, type: 'text/plain', text: `${scrub(errorMessage(error))}\n` };
}

/** Runs all checks at once. */
export async function ready(checks: Readonly<Record<string, Check>>): Promise<Answer> {
  const results = await Promise.all(Object.entries(checks).map(async ([name, check]) => {
    try {
      const wrong = await check();
      return wrong === undefined ? undefined : `${name}: ${wrong}`;
    } catch (error) {
      return `${name}: ${errorMessage(error)}`;
    }
  }));
  const failing = results.filter((result) => result !== undefined);
  return { status: failing.length === 0 ? 200 : 503, type: 'text/plain', text: failing.length === 0 ? 'ok\n' : `${failing.join('\n')}\n` };
}
