import type { PostgresServer } from '../../hack/stack/postgres.ts';

declare global {
  var ramboTestPostgres: { readonly server: PostgresServer; readonly dir: string } | undefined;
}

/** Remembers the server that set-up started. jest loads set-up and teardown apart: only the process is common to both. */
export function keepServer(server: PostgresServer, dir: string): void {
  globalThis.ramboTestPostgres = { server, dir };
}

/** The server that set-up started, once; undefined where it started none. */
export function takeServer(): { readonly server: PostgresServer; readonly dir: string } | undefined {
  const kept = globalThis.ramboTestPostgres;
  globalThis.ramboTestPostgres = undefined;
  return kept;
}
