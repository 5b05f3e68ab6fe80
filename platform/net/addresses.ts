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
export const systemResolve: Resolve = (host) => lookup(host, { all: true, order: 'verbatim' });

/** Ranges of public unicast space; everything else (private, loopback, link-local, carrier NAT, multicast, …) is refused. */
const PUBLIC = 'unicast';

/** Whether an address belongs to the public internet, seen through IPv4-mapped, NAT64 and 6to4 forms. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv6) {
    const range = parsed.range();
    // NAT64 and 6to4 carry an IPv4 address that a gateway would reach for us.
    if (range === 'rfc6052') return isWellKnownNat64(parsed) && isPublic(embedded(parsed, 12));
    if (range === '6to4') return isPublic(embedded(parsed, 2));
    // Global unicast is 2000::/3 so far; whatever else the library calls unicast (::7f00:1, say) is not of the internet.
    return range === PUBLIC && (parsed.toByteArray()[0] ?? 0) >> 5 === 1;
  }
  return parsed.range() === PUBLIC && !CLOUD_INTERNAL.has(parsed.toString());
}

/** Whether an address is of the link itself: there the cloud answers with credentials of the machine. */
export function isLinkLocal(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'linkLocal';
}

/** Public by its number, yet answered by the cloud's host: Azure's wire server. */
const CLOUD_INTERNAL = new Set(['168.63.129.16']);

/** 64:ff9b::/96. A local NAT64 prefix (64:ff9b:1::/48) may put the address elsewhere, so it is never public. */
function isWellKnownNat64(address: ipaddr.IPv6): boolean {
  return address.toByteArray().slice(4, 12).every((byte) => byte === 0);
}

function embedded(address: ipaddr.IPv6, at: number): string {
  return address.toByteArray().slice(at, at + 4).join('.');
}

/** Whether `allow` (host names, `*.` and a domain, addresses and CIDRs of the pool) names this host or address. */
export function isAllowed(host: string, address: string, allow: readonly string[]): boolean {
  const name = plainHost(host);
  return allow.some((given) => {
    const entry = plainHost(given);
    if (entry === name || (entry.startsWith('*.') && name.endsWith(entry.slice(1)))) return true;
    return inCidr(address, entry.includes('/') ? entry : `${entry}/${entry.includes(':') ? 128 : 32}`);
  });
}

/** Lower case, without the brackets of IPv6 and the dot of the root. */
function plainHost(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$|\.$/g, '');
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
export async function chooseTarget(host: string, allow: readonly string[], resolve: Resolve, named = 'the list of private addresses that may be reached'): Promise<Target> {
  const bare = host.replace(/^\[|\]$/g, '');
  const found = ipaddr.isValid(bare) ? [{ address: bare, family: bare.includes(':') ? 6 : 4 }] : await resolve(bare);
  for (const { address } of found) {
    if (!isPublic(address) && !isAllowed(bare, address, allow)) {
      throw new AddressRefused(`${host} is the private address ${address}; ${named} does not name it`);
    }
  }
  const first = found[0];
  if (first === undefined) throw new AddressRefused(`${host} has no address`);
  return { address: first.address, family: first.family === 6 ? 6 : 4 };
}
