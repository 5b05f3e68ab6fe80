import { UnavailableError } from '../platform/errors/index.ts';
import { around, note, pass } from '../platform/failpoint/index.ts';
import { resultReplySchema, resultSchema } from '../platform/messages/payloads.ts';
import type { Delivery, NextDispatch, RunnerBus } from './core/harness.ts';
import type { Executor } from './core/types.ts';

/*
 * Failpoints of a runner: runner.receive, runner.ack, runner.execute.before|after, runner.publish.<verb>,
 * runner.request.<verb>.before|after, runner.hear.<verb>. Only the bundles of test/chaos contain this file.
 */

/** Messages of a runner; every result that was answered `Recorded` is noted, for the oracle. */
export function chaosRunnerBus(bus: RunnerBus): RunnerBus {
  return {
    get connected() { return bus.connected; },
    publish: (subject, payload) => {
      const what = pass(`runner.publish.${verbOf(subject)}`);
      if (what !== 'drop') bus.publish(subject, payload);
      if (what === 'repeat') bus.publish(subject, payload);
    },
    request: async (subject, payload, timeoutMs) => {
      const answer = await around(`runner.request.${verbOf(subject)}`, () => bus.request(subject, payload, timeoutMs), (point) => new UnavailableError(`NATS (failpoint ${point})`));
      if (verbOf(subject) === 'result') noteRecorded(payload, answer);
      return answer;
    },
    listen: (subject, handler) => bus.listen(subject, (from, payload) => { if (pass(`runner.hear.${verbOf(subject)}`) !== 'drop') handler(from, payload); }),
  };
}

function noteRecorded(payload: Uint8Array, answer: Uint8Array): void {
  const reply = resultReplySchema.safeParse(parse(answer));
  const result = resultSchema.safeParse(parse(payload));
  if (!reply.success || !result.success || reply.data.status !== 'Recorded') return;
  const { run, node, item, attempt } = result.data;
  note('recorded', `${run} ${node} ${item} ${attempt}`);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** Deliveries, and their acknowledgements. */
export function chaosNext(next: NextDispatch): NextDispatch {
  return async (expires) => {
    const delivery = await next(expires);
    if (delivery === undefined || pass('runner.receive') === 'drop') return undefined;
    return chaosDelivery(delivery);
  };
}

function chaosDelivery(delivery: Delivery): Delivery {
  return { data: delivery.data, count: delivery.count, ack: () => { if (pass('runner.ack') !== 'drop') delivery.ack(); } };
}

/** Executors, with a point before and after. */
export function chaosExecutors(executors: Readonly<Record<string, Executor>>): Record<string, Executor> {
  return Object.fromEntries(Object.entries(executors).map(([type, executor]) => {
    const wrapped: Executor = Object.assign(
      (execution: Parameters<Executor>[0]) => around('runner.execute', () => executor(execution), (point) => new Error(`failpoint ${point}`)),
      executor.noFolder === true ? { noFolder: true as const } : {},
    );
    return [type, wrapped];
  }));
}

function verbOf(subject: string): string {
  return subject.split('.')[1] ?? 'unknown';
}
