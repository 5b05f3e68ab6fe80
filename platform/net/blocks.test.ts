import { cidrOf, covers } from './blocks.ts';

test.each([
  ['10.1.2.3', '10.1.2.3/32'], ['10.1.2.3/8', '10.0.0.0/8'], ['0.0.0.0/0', '0.0.0.0/0'], ['fd00::1', 'fd00::1/128'], ['[fd00::1]', 'fd00::1/128'], ['2001:db8::1/32', '2001:db8::/32'], ['::/0', '::/0'],
  ['example.com', undefined], ['*.example.com', undefined], ['*', undefined], ['10', undefined], ['10.1.2.3/33', undefined], ['10.1.2.3:443', undefined], ['', undefined],
])('%s is the block %s', (entry, block) => { expect(cidrOf(entry)).toBe(block); });

test('a block covers what is in it, of its own kind', () => {
  expect([covers('0.0.0.0/0', '169.254.0.0/16'), covers('169.254.0.0/16', '169.254.169.254/32'), covers('169.254.0.0/16', '0.0.0.0/0'), covers('0.0.0.0/0', 'fe80::/10'), covers('10.0.0.0/8', '10.0.0.0/7')]).toEqual([true, true, false, false, false]);
});
