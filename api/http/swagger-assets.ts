import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** A file of Swagger UI. */
export interface Asset { readonly type: string; readonly text: string }

const TYPES: Readonly<Record<string, string>> = { 'swagger-ui.css': 'text/css; charset=utf-8', 'swagger-ui-bundle.js': 'text/javascript; charset=utf-8' };

declare global {
  // A bundle has no packages beside it: the build puts the files into it (hack/build/bundle.mjs).
  var RAMBO_SWAGGER: Readonly<Record<string, string>> | undefined;
}

/** One of the two files the page needs, by its name. */
export function swaggerAssets(name: string): Asset | undefined {
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (type === undefined) return undefined;
  return { type, text: globalThis.RAMBO_SWAGGER?.[name] ?? readFileSync(createRequire(import.meta.url).resolve(`swagger-ui-dist/${name}`), 'utf8') };
}
