import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Site } from './site.ts';

/* Schemathesis against the real server and the document it serves. Where it cannot be installed this says so; openapi.test.ts holds the same with generators of our own. */

const tool = spawnSync(fileURLToPath(new URL('../../../hack/tools/schemathesis.sh', import.meta.url)), { encoding: 'utf8' });
const program = tool.status === 0 ? tool.stdout.trim() : undefined;
if (program === undefined) process.stderr.write(`schemathesis is left out: ${tool.stderr.trim()}\n`);

let site: Site;
beforeAll(async () => { site = await Site.start(); });
afterAll(async () => { await site.stop(); });

(program === undefined ? test.skip : test)('what schemathesis makes up is answered as the document says', async () => {
  const person = await site.person('MANAGER');
  const args = [
    'run', `${site.url}/api/v1/openapi.json`, '--url', `${site.url}/api/v1`, '--header', `Authorization: Bearer ${person.token}`, '--max-examples', '6', '--phases', 'examples,coverage,fuzzing', '--seed', '7',
    '--checks', 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method', '--request-timeout', '20', '--no-color',
    // These end the sign-in, or need Firebase or an object store, which this server has not.
    '--exclude-operation-id', 'createFile',
    '--exclude-operation-id', 'revokeSessions', '--exclude-operation-id', 'requestPasswordReset', '--exclude-operation-id', 'requestEmailVerification', '--exclude-operation-id', 'importAccounts',
  ];
  const { code, said } = await new Promise<{ code: number | null; said: string }>((resolve) => {
    const child = spawn(program ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/tmp', env: { ...process.env, HYPOTHESIS_STORAGE_DIRECTORY: '/tmp/rambo-hypothesis' } });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    child.once('close', (status) => { resolve({ code: status, said: text }); });
  });
  // What it found comes before pages of advice.
  expect(code === 0 ? '' : said.slice(Math.max(0, said.search(/=+ FAILURES/))).slice(0, 6_000)).toBe('');
}, 400_000);
