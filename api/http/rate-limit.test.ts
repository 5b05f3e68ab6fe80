import { Socket } from 'node:net';
import { ManualClock } from '../../platform/clock/manual.ts';
import { clientAddress, networkOf, RateLimits } from './rate-limit.ts';

function from(remoteAddress: string, forwarded: readonly string[] = []): Parameters<typeof clientAddress>[0] {
  return { socket: Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress }), headersDistinct: { 'x-forwarded-for': [...forwarded] } };
}

test.each([
  ['no proxy: headers are not believed', 0, ['9.9.9.9'], '1.1.1.1'],
  ['one proxy: the last entry', 1, ['6.6.6.6, 2.2.2.2'], '2.2.2.2'],
  ['two proxies: the last but one', 2, ['6.6.6.6, 2.2.2.2, 3.3.3.3'], '2.2.2.2'],
  ['two headers are one list', 2, ['6.6.6.6', '2.2.2.2, 3.3.3.3'], '2.2.2.2'],
  ['past the proxies: the socket', 2, ['2.2.2.2'], '1.1.1.1'],
  ['nonsense: the socket', 1, ['<script>'], '1.1.1.1'],
  ['no header: the socket', 1, [], '1.1.1.1'],
])('%s', (_, hops, forwarded, expected) => {
  expect(clientAddress(from('1.1.1.1', forwarded), hops)).toBe(expected);
});

test.each([
  ['1.2.3.4', '1.2.3.4'], ['::ffff:1.2.3.4', '1.2.3.4'], ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'], ['2001:db8:1:2:ffff::1', '2001:db8:1:2::'], ['fe80::1%eth0', 'fe80::'], ['nonsense', 'unknown'], ['', 'unknown'],
])('%s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test('a burst passes, then as many as refill; each caller has a bucket of their own', () => {
  const clock = new ManualClock();
  const limits = new RateLimits(clock, { principal: 2, address: 0, hops: 0 });
  const passed = (name: string, tries: number): number => {
    let count = 0;
    for (let i = 0; i < tries; i++) {
      try {
        limits.principal(name);
        count += 1;
      } catch (error) {
        expect(error).toMatchObject({ publicCode: 'RATE_LIMITED', retryAfterS: 1 });
      }
    }
    return count;
  };
  expect(passed('alice', 50)).toBe(20);
  expect(passed('bob', 1)).toBe(1);
  clock.advance(1_000);
  expect(passed('alice', 50)).toBe(2);
  clock.advance(3_600_000);
  expect(passed('alice', 50)).toBe(20);
});

test('refused calls take nothing: who keeps calling gets through as often as who waits', () => {
  const clock = new ManualClock();
  const limits = new RateLimits(clock, { principal: 1, address: 0, hops: 0 });
  let passed = 0;
  for (let i = 0; i < 1_000; i++) {
    clock.advance(100);
    try {
      limits.principal('alice');
      passed += 1;
    } catch { /* refused */ }
  }
  expect(passed).toBe(10 + 100 - 1);
});

test('none set: any number', () => {
  const limits = new RateLimits(new ManualClock(), { principal: 0, address: 0, hops: 0 });
  for (let i = 0; i < 10_000; i++) limits.principal('alice');
});
