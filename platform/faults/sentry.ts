import { createStackParser, createTransport, Scope, type BaseTransportOptions, type Event, type StackFrame, type Transport } from '@sentry/core';
import { nodeStackLineParser, ServerRuntimeClient } from '@sentry/core/server';
import { errorMessage, RamboError } from '../errors/index.ts';
import type { Fault } from '../log/index.ts';
import { scrub } from '../log/scrub.ts';
import type { FaultSink } from './index.ts';

/* Loaded only where a DSN is configured. The client of Sentry without its integrations: they would send the environment, headers and breadcrumbs. */

/** Facts of a log line that may leave: names and numbers of things, never their content. */
const TAGS: readonly string[] = ['run', 'node', 'item', 'attempt', 'queue', 'resource', 'errorId'];
const SEND_MS = 5_000;
const FLUSH_MS = 3_000;

/** Reports faults to the project of `dsn`. Throws where it is none. */
export function sentrySink(process: string, dsn: string, environment: string): FaultSink {
  // Checked here: the client would print what it does not like.
  if (!/^https?:\/\/[^\s:@/]+(:[^\s@/]*)?@[^\s/]+\/(\S*\/)?\d+$/.test(dsn)) throw new RamboError('Config', 'RAMBO_SENTRY_DSN: expected https://<key>@<host>/<project>');
  const client = new ServerRuntimeClient({
    dsn, environment, integrations: [], transport: send, stackParser: createStackParser(nodeStackLineParser()), platform: 'node',
    sendClientReports: false, beforeSend: (event) => onlyAllowed(event),
  });
  client.init();
  return {
    report: ({ message, error, facts }: Fault) => {
      const scope = new Scope();
      for (const tag of TAGS) if (['string', 'number'].includes(typeof facts[tag])) scope.setTag(tag, String(facts[tag]));
      scope.setTag('process', process);
      scope.setTransactionName(message);
      client.captureException(error instanceof Error ? error : new Error(error === undefined ? message : `${message}: ${errorMessage(error)}`), {}, scope);
    },
    flush: async () => { await client.flush(FLUSH_MS); },
  };
}

/** An event made anew of what may leave; whatever the client adds one day stays here. */
function onlyAllowed(event: Event & { type: undefined }): Event & { type: undefined } {
  const { event_id: id, timestamp, level, environment, transaction, tags, exception } = event;
  const values = (exception?.values ?? []).map(({ type, value, stacktrace }) => ({
    ...(type === undefined ? {} : { type }), value: scrub(value ?? ''), ...(stacktrace === undefined ? {} : { stacktrace: { frames: (stacktrace.frames ?? []).map(place) } }),
  }));
  return {
    type: undefined, platform: 'node', ...(id === undefined ? {} : { event_id: id }), ...(timestamp === undefined ? {} : { timestamp }), ...(level === undefined ? {} : { level }),
    ...(environment === undefined ? {} : { environment }), ...(transaction === undefined ? {} : { transaction }), ...(tags === undefined ? {} : { tags }), exception: { values },
  };
}

/** Where a frame is in the code; no variables, no text of lines. */
function place({ filename, function: name, lineno, colno, in_app: ours }: StackFrame): StackFrame {
  return {
    ...(filename === undefined ? {} : { filename }), ...(name === undefined ? {} : { function: name }), ...(lineno === undefined ? {} : { lineno }),
    ...(colno === undefined ? {} : { colno }), ...(ours === undefined ? {} : { in_app: ours }),
  };
}

function send(options: BaseTransportOptions): Transport {
  return createTransport(options, async ({ body }) => {
    const response = await fetch(options.url, { method: 'POST', body: typeof body === 'string' ? body : new Uint8Array(body), signal: AbortSignal.timeout(SEND_MS) });
    await response.arrayBuffer();
    return { statusCode: response.status, headers: { 'retry-after': response.headers.get('retry-after'), 'x-sentry-rate-limits': response.headers.get('x-sentry-rate-limits') } };
  });
}
