import { lookup } from 'node:dns/promises';
import ipaddr from 'ipaddr.js';

/** An address that was resolved and may be dialled. */
export interface Target {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Resolves a host name; injected for tests. */
export type Resolve = (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/** The system's resolver, all addresses. */
export const systemResolve: Resolve = (host) => lookup(host, { all: true, verbatim: true });

/** Ranges of public unicast space; everything else (private, loopback, link-local, carrier NAT, multicast, …) is refused. */
const PUBLIC = 'unicast';

/** Whether an address belongs to the public internet, seen through IPv4-mapped, NAT64 and 6to4 forms. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv6) {
    const range = parsed.range();
    // NAT64 and 6to4 carry an IPv4 address that a gateway would reach for us.
    if (range === 'rfc6052') return isPublic(embedded(parsed, 12));
    if (range === '6to4') return isPublic(embedded(parsed, 2));
    return range === PUBLIC;
  }
  return parsed.range() === PUBLIC;
}

function embedded(address: ipaddr.IPv6, at: number): string {
  return address.toByteArray().slice(at, at + 4).join('.');
}

/** Whether `allow` (host names and CIDRs of the pool) names this host or address. */
export function isAllowed(host: string, address: string, allow: readonly string[]): boolean {
  return allow.some((entry) => {
    if (entry.toLowerCase() === host.toLowerCase()) return true;
    return inCidr(address, entry.includes('/') ? entry : `${entry}/${address.includes(':') ? 128 : 32}`);
  });
}

function inCidr(address: string, cidr: string): boolean {
  if (!ipaddr.isValidCIDR(cidr)) return false;
  const parsed = ipaddr.process(address);
  const [network, bits] = ipaddr.parseCIDR(cidr);
  return parsed.kind() === network.kind() && parsed.match([network, bits]);
}

/** Why a target is refused. */
export class AddressRefused extends Error {}

/**
 * Resolves the host once and picks the address to dial. What was checked is what is dialled, so a name that answers
 * differently the next time (rebinding) gains nothing. One refused address refuses the host. Throws AddressRefused.
 */
export async function chooseTarget(host: string, allow: readonly string[], resolve: Resolve): Promise<Target> {
  const bare = host.replace(/^\[|\]$/g, '');
  const found = ipaddr.isValid(bare) ? [{ address: bare, family: bare.includes(':') ? 6 : 4 }] : await resolve(bare);
  for (const { address } of found) {
    if (!isPublic(address) && !isAllowed(bare, address, allow)) {
      throw new AddressRefused(`${host} is the private address ${address}; the pool's spec.http.allow does not name it`);
    }
  }
  const first = found[0];
  if (first === undefined) throw new AddressRefused(`${host} has no address`);
  return { address: first.address, family: first.family === 6 ? 6 : 4 };
}
