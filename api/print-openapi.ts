import { readFileSync, writeFileSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import { operations, streams } from './modules.ts';
import { API_VERSION, openapi } from './operations/openapi.ts';

/* `node api/print-openapi.ts` writes docs/openapi.json; with --check it only compares and fails when the copy is stale. */

const file = new URL('../docs/openapi.json', import.meta.url);
const text = `${JSON.stringify(openapi(operations, API_VERSION, streams), null, 2)}\n`;

if (!argv.includes('--check')) {
  writeFileSync(file, text);
  stdout.write('wrote docs/openapi.json\n');
} else if (readFileSync(file, 'utf8') !== text) {
  stdout.write('docs/openapi.json is stale: run `node api/print-openapi.ts` and commit it\n');
  exit(1);
}
