/* What we use of autocannon, which has no types of its own. */
declare module 'autocannon' {
  interface Options { readonly url: string; readonly connections: number; readonly duration?: number; readonly method?: 'POST'; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  interface Result { readonly requests: { readonly average: number; readonly total: number }; readonly latency: { readonly p50: number; readonly p99: number }; readonly errors: number; readonly non2xx: number }
  export default function autocannon(options: Options): Promise<Result>;
}
