import { AddressRefused, chooseTarget, isAllowed, isPublic, type Resolve } from './addresses.ts';

test.each([
  '0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.100.100.200', '127.0.0.1', '127.255.255.254', '168.63.129.16', '169.254.169.254', '172.16.0.1', '172.31.255.255',
  '192.0.0.192', '192.168.1.1', '198.18.0.1', '203.0.113.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:a9fe:a9fe',
  '::7f00:1', '::a9fe:a9fe', '64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::8.8.8.8', '64:ff9b:1::a9fe:a9fe', '2002:7f00:1::', '2002:a9fe:a9fe::1', '2001::1', '2001:db8::1', 'fc00::1',
  'fd00:ec2::254', 'fe80::1', 'fec0::1', 'ff02::1', '100::1', '::ffff:0:7f00:1', '4000::1', '', 'localhost', '127.0.0.1 ',
])('%s is not of the public internet', (address) => { expect(isPublic(address)).toBe(false); });

test.each(['1.1.1.1', '8.8.8.8', '100.63.255.255', '172.32.0.1', '169.253.0.1', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1', '2606:4700::1111'])('%s is', (address) => {
  expect(isPublic(address)).toBe(true);
});

test.each<[string, string, string, boolean]>([
  ['db.team.svc', '10.0.0.1', 'db.team.svc', true],
  ['DB.team.svc.', '10.0.0.1', 'db.team.svc', true],
  ['db.team.svc', '10.0.0.1', 'other.team.svc', false],
  ['xdb.team.svc', '10.0.0.1', 'db.team.svc', false],
  ['db.team.svc', '10.0.0.1', '*.team.svc', true],
  ['team.svc', '10.0.0.1', '*.team.svc', false],
  ['evilteam.svc', '10.0.0.1', '*.team.svc', false],
  ['x', '10.1.2.3', '10.0.0.0/8', true],
  ['x', '11.1.2.3', '10.0.0.0/8', false],
  ['x', '10.1.2.3', '10.1.2.3', true],
  ['x', '::ffff:10.1.2.3', '10.1.2.0/24', true],
  ['x', 'fd00::1', 'fd00::/8', true],
  ['x', 'fd00::1', '10.0.0.0/8', false],
  ['::1', '::1', '[::1]', true],
  ['x', '::1', '::1', true],
  ['x', '10.1.2.3', '10.0.0.0/99', false],
  ['x', '10.1.2.3', '', false],
])('%s at %s, when %s is allowed: %s', (host, address, entry, expected) => { expect(isAllowed(host, address, [entry])).toBe(expected); });

describe('choosing a target', () => {
  const answers = (...addresses: string[]): Resolve => () => Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));

  test('one refused address refuses the host, wherever it stands', async () => {
    for (const list of [['8.8.8.8', '127.0.0.1'], ['127.0.0.1', '8.8.8.8'], ['2606:4700::1111', '::1']]) {
      await expect(chooseTarget('mixed.example', [], answers(...list))).rejects.toBeInstanceOf(AddressRefused);
    }
  });

  test('the first address is the target', async () => {
    expect(await chooseTarget('two.example', [], answers('2606:4700::1111', '8.8.8.8'))).toEqual({ address: '2606:4700::1111', family: 6 });
  });

  test('a host without address, and names of the cluster', async () => {
    await expect(chooseTarget('none.example', [], answers())).rejects.toThrow('has no address');
    await expect(chooseTarget('kubernetes.default.svc', [], answers('10.96.0.1'))).rejects.toThrow('kubernetes.default.svc is the private address 10.96.0.1');
    expect(await chooseTarget('db.team.svc', ['db.team.svc'], answers('10.96.0.9'))).toEqual({ address: '10.96.0.9', family: 4 });
  });

  test('a number is never resolved', async () => {
    const never: Resolve = () => Promise.reject(new Error('asked'));
    expect(await chooseTarget('8.8.8.8', [], never)).toEqual({ address: '8.8.8.8', family: 4 });
    expect(await chooseTarget('[2606:4700::1111]', [], never)).toEqual({ address: '2606:4700::1111', family: 6 });
    await expect(chooseTarget('[::ffff:7f00:1]', [], never)).rejects.toBeInstanceOf(AddressRefused);
  });
});
