import { AsyncLocalStorage } from 'node:async_hooks';
import { Buffer } from 'node:buffer';
import { AGENT_EVENTS } from '../../crds/agent-run.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { around, pass, strike } from '../../platform/failpoint/index.ts';
import type { GuardedFetch } from '../../platform/net/fetch.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import type { Db, Executor } from '../../prisma/store/index.ts';

/*
 * Failpoints of the model gateway: at every boundary of the journal, and around what leaves the process. Only the bundles of
 * test/chaos contain this file.
 *
 *   journal.<kind of event>.before   the event is about to be written, nothing of its transaction is durable
 *   journal.<kind of event>.after    its transaction is committed, nothing has been done about it
 *   outside.fetch.before|after       a request to a model or a tool: before it leaves; when its answer begins
 *   outside.ask.before|after         the same for what a controller asked to know of a model or a tool server
 *   nats.publish.<verb>, nats.request.<verb>.before|after
 */

const KINDS: ReadonlySet<string> = new Set(Object.keys(AGENT_EVENTS));
const away = (what: string) => (point: string): Error => new UnavailableError(`${what} (failpoint ${point})`);

/** Statements and transactions; kinds of events are seen in what a statement writes. */
export function chaosDb(db: Db): Db {
  const watched = (executor: Executor, wrote: Set<string>): Executor['query'] => async (statement, values) => {
    const kinds = statement.text.includes('INTO agent_event') ? kindsIn(values) : [];
    for (const kind of kinds) {
      wrote.add(kind);
      await strike(`journal.${kind}.before`, away('Postgres'));
    }
    return executor.query(statement, values);
  };
  const committed = async (wrote: ReadonlySet<string>): Promise<void> => { for (const kind of wrote) await strike(`journal.${kind}.after`, away('Postgres')); };
  return {
    ...bound(db),
    query: async (statement, values) => {
      const wrote = new Set<string>();
      const rows = await watched(db, wrote)(statement, values);
      await committed(wrote);
      return rows as never;
    },
    transaction: async (work) => {
      const wrote = new Set<string>();
      const result = await db.transaction((tx) => work({ query: watched(tx, wrote) }));
      await committed(wrote);
      return result;
    },
  };
}

/** Methods of an object that may have private fields, bound to it. */
function bound(db: Db): Db {
  return { query: db.query.bind(db), transaction: db.transaction.bind(db), close: db.close.bind(db), stats: db.stats.bind(db) };
}

/** Kinds of events among the values of a statement: texts, or arrays of texts in Postgres's binary form. */
function kindsIn(values: readonly unknown[]): readonly string[] {
  return [...new Set(values.flatMap(wordsOf))].filter((word) => KINDS.has(word));
}

/** Payloads are long and hold anything; lists of kinds are short and hold nothing but names and lengths. */
function wordsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (!(value instanceof Uint8Array) || value.byteLength >= 1_024) return [];
  return Buffer.from(value).toString('latin1').match(/[A-Za-z]{4,}/g) ?? [];
}

/** Messages out. */
export function chaosBus(bus: Bus): Bus {
  return new Proxy(bus, {
    get: (target, name) => {
      if (name === 'publish') return (subject: string, payload: Uint8Array): void => { if (pass(`nats.publish.${verbOf(subject)}`) !== 'drop') target.publish(subject, payload); };
      if (name === 'request') {
        return (subject: string, payload: Uint8Array, timeoutMs: number) => around(`nats.request.${verbOf(subject)}`, () => target.request(subject, payload, timeoutMs), away('NATS'));
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (...args: unknown[]): unknown => Reflect.apply(value, target, args) : value;
    },
  });
}

const asked = new AsyncLocalStorage<boolean>();

/** What is fetched meanwhile is not of a run: it comes when controllers please, and would be taken for a call. */
export function chaosAsk<T>(answer: () => Promise<T>): Promise<T> {
  return asked.run(true, answer);
}

/** Requests to models and tools. */
export function chaosFetch(fetch: GuardedFetch): GuardedFetch {
  const passing = (input: string | URL | Request, init?: RequestInit): Promise<Response> => around(asked.getStore() === true ? 'outside.ask' : 'outside.fetch', () => fetch(input, init), away('the network'));
  return Object.assign(passing, { close: () => { fetch.close(); } });
}

function verbOf(subject: string): string {
  return subject.split('.')[1] ?? 'unknown';
}
