import { hash } from 'node:crypto';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';

/** The page of GraphiQL, and the hash of its one script for the policy of content. */
export interface GraphiqlPage { readonly html: string; readonly scriptHash: string }

/** Makes it, nine megabytes with all it needs. */
export function graphiqlPage(): GraphiqlPage {
  const html = renderGraphiQL({ title: 'RamBo GraphiQL', endpoint: '/graphql', isHeadersEditorEnabled: true, shouldPersistHeaders: false, headers: JSON.stringify({ authorization: 'Bearer <token>' }, null, 2) });
  const root = html.indexOf('<div id="root"></div>');
  const script = html.slice(html.indexOf('<script>', root) + '<script>'.length, html.lastIndexOf('</script>'));
  return { html, scriptHash: hash('sha256', script, 'base64') };
}
