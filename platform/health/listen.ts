import type { AddressInfo } from 'node:net';

/** A server as far as listening goes. */
export interface Listening {
  listen(port: number, host: string, done: () => void): unknown;
  once(event: 'error', told: (error: Error) => void): unknown;
  off(event: 'error', told: (error: Error) => void): unknown;
  address(): AddressInfo | string | null;
}

/**
 * Listens; resolves to the port, which for port 0 the system chose. `::` means every address, of IPv4 too; on a machine
 * that has no IPv6 at all those of IPv4 are every address.
 */
export function listenOn(server: Listening, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      if (host === '::' && 'code' in error && error.code === 'EAFNOSUPPORT') listenOn(server, '0.0.0.0', port).then(resolve, reject);
      else reject(error);
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : port);
    });
  });
}
