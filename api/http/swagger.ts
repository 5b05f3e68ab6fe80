import type { Express, Request, Response } from 'express';
import { ApiError } from '../errors.ts';
import { REST_ROOT } from '../operations/rest.ts';
import { refuse } from './refuse.ts';

/** What the page may do: its own files and calls to this API; no inline script, nobody may frame it. Its style sheet is its own, but it styles elements. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>RamBo API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const START = `SwaggerUIBundle({ url: '${REST_ROOT}/openapi.json', dom_id: '#api', deepLinking: true, persistAuthorization: false, validatorUrl: null });\n`;

/**
 * Adds the OpenAPI document and the page that shows it. Both are the same for everybody and hold nothing of anybody: no token is asked
 * for. The document is made when somebody asks for it first.
 */
export function addDocs(app: Express, makeDocument: () => object): void {
  let text: string | undefined;
  app.get(`${REST_ROOT}/openapi.json`, (_request: Request, response: Response) => { send(response, 'application/json; charset=utf-8', text ??= JSON.stringify(makeDocument())); });
  app.get('/docs', (_request: Request, response: Response) => { send(response, 'text/html; charset=utf-8', PAGE); });
  app.get('/docs/start.js', (_request: Request, response: Response) => { send(response, 'text/javascript; charset=utf-8', START); });
  app.get('/docs/:file', async (request: Request, response: Response) => {
    // Nearly two megabytes that most processes never need: loaded with the first page.
    const { swaggerAssets } = await import('./swagger-assets.ts');
    const asset = swaggerAssets(String(request.params['file']));
    if (asset === undefined) refuse(request, response, new ApiError('NOT_FOUND', 'there is no such file: the page is at /docs'));
    else send(response, asset.type, asset.text, 'public, max-age=86400');
  });
}

function send(response: Response, type: string, text: string, cache = 'no-cache'): void {
  response.setHeader('content-type', type);
  response.setHeader('content-security-policy', POLICY);
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('x-frame-options', 'DENY');
  response.setHeader('cross-origin-opener-policy', 'same-origin');
  response.setHeader('cache-control', cache);
  response.end(text);
}
