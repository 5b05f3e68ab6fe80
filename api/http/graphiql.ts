import type { Express, Request, Response } from 'express';
import { ApiError } from '../errors.ts';
import type { GraphiqlPage } from './graphiql-page.ts';
import { refuse } from './refuse.ts';

/**
 * Adds GraphiQL at /graphiql where the schema may be read, which is in development. The page holds nothing of anybody: whoever uses it puts
 * a token into its headers. Images of a release are without its file; there it is not found.
 */
export function addGraphiql(app: Express, introspection: boolean): void {
  let page: Promise<GraphiqlPage | undefined> | undefined;
  app.get('/graphiql', async (request: Request, response: Response) => {
    page ??= introspection ? import('./graphiql-page.ts').then((made) => made.graphiqlPage(), () => undefined) : Promise.resolve(undefined);
    const made = await page;
    if (made === undefined) refuse(request, response, new ApiError('NOT_FOUND', 'GraphiQL is for development: make up has it'));
    else send(response, made.html, made.scriptHash);
  });
}

/** Its own script and workers made of it, calls to this API, nobody may frame it. */
function send(response: Response, html: string, scriptHash: string): void {
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.setHeader('content-security-policy', [
    "default-src 'none'", `script-src 'sha256-${scriptHash}' blob:`, 'worker-src blob:', "style-src 'unsafe-inline'", "img-src 'self' data:", 'font-src data:', "connect-src 'self'", "base-uri 'none'",
    "form-action 'none'", "frame-ancestors 'none'",
  ].join('; '));
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('x-frame-options', 'DENY');
  response.setHeader('cross-origin-opener-policy', 'same-origin');
  response.setHeader('cache-control', 'no-cache');
  response.end(html);
}
