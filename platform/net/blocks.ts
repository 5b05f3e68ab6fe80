import ipaddr from 'ipaddr.js';

/* Blocks of addresses, as a NetworkPolicy has them. */

/** An address or a block in the form of a block, its host bits zero; undefined for anything else, such as a name. */
export function cidrOf(entry: string): string | undefined {
  const given = entry.replace(/^\[|\]$/g, '');
  const block = given.includes('/') ? given : `${given}/${given.includes(':') ? 128 : 32}`;
  if (!ipaddr.isValidCIDR(block) || /^\d+(\/|$)/.test(given)) return undefined;
  const [address, bits] = ipaddr.parseCIDR(block);
  const base = address.kind() === 'ipv6' ? ipaddr.IPv6.networkAddressFromCIDR(block) : ipaddr.IPv4.networkAddressFromCIDR(block);
  return `${base.toString()}/${bits}`;
}

/** Whether all addresses of a block are in another. */
export function covers(outer: string, inner: string): boolean {
  const [network, bits] = ipaddr.parseCIDR(outer);
  const [address, length] = ipaddr.parseCIDR(inner);
  return network.kind() === address.kind() && length >= bits && address.match([network, bits]);
}
