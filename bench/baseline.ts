import { readFileSync } from 'node:fs';
import { connectBus } from '../platform/nats/bus.ts';
import type { TestStack } from '../test/harness/test-stack.ts';
import { percentile } from './numbers.ts';
import type { Report } from './report.ts';

const TRIES = 200;

/** What this machine does without our code: one durable commit in Postgres, one request and answer through NATS. Medians, ms. */
export async function baseline(t: TestStack): Promise<Report['baseline']> {
  await t.sql('create table bench_baseline (n int)');
  const commitMs = await median(() => t.sql('insert into bench_baseline values (1)'));
  await t.sql('drop table bench_baseline');
  const { natsUrl, natsCreds } = t.addresses;
  const bus = await connectBus({ url: natsUrl, name: 'bench', creds: () => readFileSync(natsCreds, 'utf8'), log: { info: () => undefined, warn: () => undefined, error: () => undefined } });
  const echo = bus.respond('bench.echo', (_, payload) => Promise.resolve(payload));
  const peer = await connectBus({ url: natsUrl, name: 'bench-peer', creds: () => readFileSync(natsCreds, 'utf8'), log: { info: () => undefined, warn: () => undefined, error: () => undefined } });
  await bus.flush();
  const natsRoundTripMs = await median(() => peer.request('bench.echo', new Uint8Array(64), 2_000));
  echo.stop();
  await peer.close();
  await bus.close();
  return { commitMs, natsRoundTripMs };
}

async function median(work: () => Promise<unknown>): Promise<number> {
  const ms: number[] = [];
  for (let i = 0; i < TRIES; i++) {
    const start = performance.now();
    await work();
    ms.push(performance.now() - start);
  }
  return percentile(ms, 0.5);
}
